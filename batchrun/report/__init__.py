"""What the ledger knows of a run, as pages and pictures for people."""
