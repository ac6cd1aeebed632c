"""The scripts that lay out a ledger, in order. A script never changes once a ledger has had the script."""
