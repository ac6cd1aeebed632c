"""Who carries out the reading of documents: this process, or child processes with limits of memory and time."""
