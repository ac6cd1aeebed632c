"""Decisions over values: the plan, its routes, the model chain, caching, refusals. Pure: no clock, no network."""
