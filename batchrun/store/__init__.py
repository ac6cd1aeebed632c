"""What is remembered: the ledger (SQLite, the only truth) and the output (DuckDB, a projection of it)."""
