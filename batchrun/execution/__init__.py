"""How requests travel: streamed or in batches, within rate limits and caps, with every attempt in the ledger."""
