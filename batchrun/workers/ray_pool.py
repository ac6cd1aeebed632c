"""Reading on a Ray cluster, as tasks of Ray Core."""

import logging

from batchrun.workers import greeting
from batchrun.workers.cluster_pool import Cluster


def connect() -> Cluster:
    """Connect to the cluster that RAY_ADDRESS names or that `ray start` started on this machine, else start one.

    So Ray itself chooses where it is given no address.
    """
    import ray
    from ray import exceptions

    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    ray.cloudpickle.register_pickle_by_value(greeting)
    receive = ray.remote(max_retries=0)(greeting.receive)
    return Cluster(
        number=lambda: int(ray.cluster_resources().get("CPU", 0)),
        call=lambda *call: receive.remote(*call).future(),
        end=ray.shutdown,
        died=(
            exceptions.WorkerCrashedError,
            exceptions.OutOfMemoryError,
            exceptions.NodeDiedError,
            exceptions.ObjectLostError,
        ),
    )
