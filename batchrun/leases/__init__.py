"""Caps that several hosts share: a service grants each host's ledger a part of them, and keeps the books."""
