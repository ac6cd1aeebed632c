"""The output: typed rows in a DuckDB file, a projection of the ledger."""
