"""Reading on a Dask cluster."""

import os
from contextlib import ExitStack
from functools import partial

from batchrun.workers import greeting
from batchrun.workers.cluster_pool import Cluster


def connect() -> Cluster:
    """Connect to the scheduler that DASK_SCHEDULER_ADDRESS names, or start a cluster with a process for each core."""
    import cloudpickle
    import dask
    from distributed import Client, KilledWorker, LocalCluster

    cloudpickle.register_pickle_by_value(greeting)
    opened = ExitStack()
    address = dask.config.get("scheduler-address", None)
    if not address:
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        cores = len(os.sched_getaffinity(0))
        address = opened.enter_context(LocalCluster(cores, threads_per_worker=1, dashboard_address=None))
    client = opened.enter_context(Client(address))
    return Cluster(
        number=lambda: sum(client.nthreads().values()),
        call=partial(client.get_executor(pure=False, retries=0).submit, greeting.receive),
        end=opened.close,
        died=(KilledWorker,),
    )
