"""What a reply means: an answer of the right shape, or the reason why there is none."""
