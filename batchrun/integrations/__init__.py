"""What other programs hear of a run: metrics, traces, CI systems and whoever a job notifies."""
