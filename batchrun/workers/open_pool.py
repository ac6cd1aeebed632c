"""Opens the pool that a job asks for, and greets the nodes of a cluster for the job."""

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

from batchrun.documents import Source
from batchrun.errors import EnvironmentProblem
from batchrun.job.spec import WorkersSetting
from batchrun.workers.children import Children
from batchrun.workers.cluster_pool import ClusterPool
from batchrun.workers.greeting import Greeting
from batchrun.workers.on_worker import versions
from batchrun.workers.pool import Pool

CLUSTERS = {"ray": "ray", "dask": "distributed"}


def greeter(source: Source, fingerprint: Callable[[], str]) -> Callable[[], Greeting]:
    """Return what makes the greeting of nodes for a job, with the first file as it is then: files change meanwhile."""
    canary, fingerprint = cache(source.canary), cache(fingerprint)

    def greeting() -> Greeting:
        path = canary() or ""
        try:
            status = os.stat(path)  # noqa: PTH116 (the path is a text)
        except OSError:  # what is no longer there is the source's to tell
            return versions(), None, fingerprint()
        return versions(), (path, status.st_size, status.st_mtime_ns), fingerprint()

    return greeting


def open_pool(wish: WorkersSetting, greet: Callable[[], Greeting], *, is_shared: bool) -> Pool:
    """Make the pool for a setting. Nothing is started. Raises EnvironmentProblem if an extra is missing.

    Documents that are not shared with other machines are read on this one, also if the setting is a cluster.
    """
    if isinstance(wish, int):
        return Children(wish, takes_all=True)
    if wish not in CLUSTERS or not is_shared:
        return Children(1) if wish == "inline" else Children()
    if find_spec(CLUSTERS[wish]) is None:
        raise EnvironmentProblem(
            f'[run] workers = "{wish}" needs {wish}, which is not installed.',
            hint=f"pip install 'batchrun-documents[{wish}]', or read on this machine: --workers auto",
        )
    return ClusterPool(wish, greet)
