"""Opens the pool that a job asks for, and greets the nodes of a cluster for the job."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec

from batchrun.documents import Source
from batchrun.errors import EnvironmentProblem
from batchrun.job.spec import WorkersSetting
from batchrun.workers.children import Children
from batchrun.workers.greeting import Greeting
from batchrun.workers.on_worker import versions
from batchrun.workers.pool import Pool

CLUSTERS = {"ray": "RayPool", "dask": "DaskPool"}


@dataclass(frozen=True)
class Greeter:
    """Makes the greeting of nodes for one job, as the documents are now."""

    source: Source
    fingerprint: Callable[[], str]
    """Finds the fingerprint of the job."""

    def __call__(self) -> Greeting:
        """Look at the first file again: somebody may have changed the file since the first node was greeted."""
        try:
            status = os.stat(self._canary or "")  # noqa: PTH116 (the path is a text)
        except OSError:  # what is no longer there is the source's to tell
            return versions(), None, self._fingerprint
        return versions(), (self._canary or "", status.st_size, status.st_mtime_ns), self._fingerprint

    @cached_property
    def _canary(self) -> str | None:
        return self.source.canary()

    @cached_property
    def _fingerprint(self) -> str:
        return self.fingerprint()


def open_pool(wish: WorkersSetting, greeter: Callable[[], Greeting], *, is_shared: bool) -> Pool:
    """Make the pool for a setting. Nothing is started. Raises EnvironmentProblem if an extra is missing.

    Documents that are not shared with other machines are read on this one, also if the setting is a cluster.
    """
    if isinstance(wish, int):
        return Children(wish, takes_all=True)
    if wish not in CLUSTERS or not is_shared:
        return Children(1) if wish == "inline" else Children()
    if find_spec(wish if wish == "ray" else "distributed") is None:
        raise EnvironmentProblem(
            f'[run] workers = "{wish}" needs {wish}, which is not installed.',
            hint=f"pip install 'batchrun-documents[{wish}]', or read on this machine: --workers auto",
        )
    pool: Pool = getattr(import_module(f"batchrun.workers.{wish}_pool"), CLUSTERS[wish])(greeter)
    return pool
