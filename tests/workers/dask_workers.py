"""Workers of Dask on this machine, until standard input is closed: `python dask_workers.py NUMBER`."""

import json
import sys

from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(int(sys.argv[1]), threads_per_worker=1, dashboard_address=None) as cluster:
        sys.stdout.write(json.dumps({"address": cluster.scheduler_address}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
