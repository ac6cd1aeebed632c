"""Reviewing answers: which documents are suspicious, which fields are drawn, and what may be promised of the rest."""
