"""Claude at the clouds: what makes the SDK's client of each, and where their credentials come from."""
