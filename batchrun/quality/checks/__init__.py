"""Checks: what a job file says must be true of the output, held against the output."""
