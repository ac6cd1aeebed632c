"""Requests in Message Batches: packed, created once, found again, polled and collected."""
