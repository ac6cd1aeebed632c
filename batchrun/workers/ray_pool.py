"""Reading on a Ray cluster, as tasks of Ray Core."""

import logging

from batchrun.workers import greeting
from batchrun.workers.cluster_pool import Cluster, ClusterPool


class RayPool(ClusterPool):
    """Runs calls on the cluster that RAY_ADDRESS names or that `ray start` started here, else on a local cluster."""

    name = "ray"


def connect() -> Cluster:
    """Connect to a cluster, or start one. Without an address, Ray itself chooses as `RayPool` says."""
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
