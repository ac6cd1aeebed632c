"""Read models: what the ledger knows about runs, for summaries, `status` and `cost`."""
