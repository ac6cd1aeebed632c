"""Benchmarks in the forms in which they are published: a file each, which reads the folder and has the scorer."""
