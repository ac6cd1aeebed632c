"""What requests use up: rate limits, the prompt cache, and the books of what was billed."""
