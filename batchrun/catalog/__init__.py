"""What models are: prices, capabilities, rate limits, lifecycle. Pure, but for the reading of price files."""
