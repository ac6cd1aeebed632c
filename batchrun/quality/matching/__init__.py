"""How an answer is held against a gold label: rules, what rules take as equal, and the pairing of entries."""
