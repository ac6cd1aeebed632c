"""The pools that all have to do the same, and clusters on which some of them run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import clean_environment

from batchrun.job.spec import WorkersSetting

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))  # what workers run in tests is here, and they get this path


def cluster(name: str, library: str) -> Any:
    """A cluster as a parameter, skipped where its library is missing."""
    missing = find_spec(library) is None
    reason = f"{library} is not installed: pip install 'batchrun-documents[{name}]'"
    return pytest.param(name, id=name, marks=pytest.mark.skipif(missing, reason=reason))


CLUSTERS = [cluster("ray", "ray"), cluster("dask", "distributed")]
KINDS = [pytest.param("inline", id="inline"), pytest.param(2, id="processes"), *CLUSTERS]
"""What `[run] workers` may be, each with the mark that skips it where it is not installed."""


@contextmanager
def running(folder: Path, script: str, *args: str) -> Iterator[dict[str, Any]]:
    """Start a cluster in a process of its own; yields what the script tells of the cluster."""
    environment = clean_environment(folder) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(FOLDER / script), *args]
    with (
        (folder / script).open("w") as errors,
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        told = next((line for line in process.stdout if line.startswith("{")), None)
        assert told, (folder / script).read_text()
        yield json.loads(told)
        process.communicate("")


@pytest.fixture(scope="session")
def ray_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Three nodes of Ray, with a core each."""
    with running(tmp_path_factory.mktemp("ray"), "ray_nodes.py", "1", "1", "1") as told:
        yield told


@pytest.fixture(scope="session")
def dask_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Two workers of Dask."""
    with running(tmp_path_factory.mktemp("dask"), "dask_workers.py", "2") as told:
        yield told


ADDRESSES = {"ray": ("RAY_ADDRESS", "ray_nodes"), "dask": ("DASK_SCHEDULER_ADDRESS", "dask_workers")}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> WorkersSetting:
    """Who reads documents. Clusters are there already, and the variables of their libraries name them."""
    setting: WorkersSetting = request.param
    if setting in ADDRESSES:
        variable, fixture = ADDRESSES[str(setting)]
        monkeypatch.setenv(variable, request.getfixturevalue(fixture)["address"])
    return setting
