"""Intervals, tests and stopping rules over counts: pure, and taken from the literature that each one names."""
