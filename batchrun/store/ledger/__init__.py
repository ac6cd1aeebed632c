"""The ledger: SQLite tables, and every change of them in one transaction."""
