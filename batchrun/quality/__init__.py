"""How good answers are: gold labels, checks, comparing runs, tuning and review."""
