"""How requests travel: streamed one by one, under the rate limits, with every attempt recorded."""
