"""The Python API: jobs, plans and runs for programs. `batchrun` itself gives these names away, when asked."""
