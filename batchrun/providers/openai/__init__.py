"""OpenAI and compatible servers: what speaks to them, and translates at the rim."""
