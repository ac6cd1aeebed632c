"""Ray and Dask on this machine: what dies is told, no key and no word of theirs goes where it does not belong."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import CLUSTERS
from hostile_reading import Weigher
from on_nodes import PATIENCE_S, descendants, drivers, is_there, nap, until, variables

from batchrun.errors import EnvironmentProblem
from batchrun.workers.cluster_pool import ClusterPool
from batchrun.workers.greeting import Greeting
from batchrun.workers.on_worker import versions
from batchrun.workers.pool import WorkerDied, WorkerRefused

pytestmark = pytest.mark.slow
KEY = "sk-ant-api03-for-no-node-3141592653"
STATUS = Path(__file__).stat()
SEEN = __file__, STATUS.st_size, STATUS.st_mtime_ns


@dataclass
class Local:
    """A local cluster, and the greeting of its nodes."""

    name: str
    greeting: Greeting = (versions(), SEEN, "")

    def __post_init__(self) -> None:
        self.pool = ClusterPool(self.name, lambda: self.greeting)


@pytest.fixture(scope="module", params=CLUSTERS)
def local(request: pytest.FixtureRequest) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "local")
        patch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
        patch.setenv("ANTHROPIC_API_KEY", KEY)
        local = Local(request.param)
        assert not local.pool.started
        with local.pool:
            yield local
            processes = [one for driver in drivers() for one in (driver, *descendants(driver))]
        until(lambda: not any(map(is_there, processes)))


def test_a_cluster_reads_and_tells_who_dies(local: Local, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weigher, pool, handlers = Weigher(), local.pool, [signal.getsignal(one) for one in signal.valid_signals()]
    sleeping = pool.submit(nap, str(tmp_path / "pid"), PATIENCE_S)
    until((tmp_path / "pid").exists)
    assert pool.number == len(os.sched_getaffinity(0))
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    with pytest.raises(WorkerDied) as died:
        sleeping.result(PATIENCE_S)
    assert died.value.source is None
    reading = [pool.submit(weigher.prepare, [f"plain {number}", "abort"]) for number in range(4)]
    assert [reading[number].exception(PATIENCE_S).source for number in range(4)] == ["abort"] * 4
    given_up = {"abort": died.value.reason}
    reading = [pool.submit(weigher.prepare, [f"plain {number}", "b"], given_up=given_up) for number in range(4)]
    assert [one.result(PATIENCE_S) for one in reading] == [[f"text of plain {n}", "text of b"] for n in range(4)]
    with pytest.raises(ValueError, match="a fault of the reader"):
        pool.submit(weigher.prepare, ["fails"]).result(PATIENCE_S)
    assert KEY not in pool.submit(variables).result(PATIENCE_S).values()
    assert [signal.getsignal(one) for one in signal.valid_signals()] == handlers
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        ((versions(), (__file__ + " of another", 1, 1), ""), "does not see the documents: .* No such file"),
        ((versions(), (__file__, 1, 1), ""), "another file is there"),
        (((versions()[0], ("batchrun", "9.9"), *versions()[2:]), SEEN, ""), "has another batchrun: .*has 9.9"),
        (((("Python", "2.7"), *versions()[1:]), SEEN, ""), "has another Python: .*has 2.7"),
    ],
    ids=["no mount", "another mount", "another batchrun", "another Python"],
)
def test_a_node_that_differs_is_refused_by_name(
    local: Local, greeting: Greeting, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "greeting", greeting)
    with pytest.raises(WorkerRefused, match=f"the node {os.uname().nodename} .*{words}"):
        local.pool.submit(Weigher().prepare, ["plain a"]).result(PATIENCE_S)


def test_a_lost_cluster_is_no_bug_and_leaves_no_process(local: Local, tmp_path: Path) -> None:
    """Ray ends its driver a minute after the head node is lost."""
    sleeping = local.pool.submit(nap, str(tmp_path / "pid"), PATIENCE_S)
    until((tmp_path / "pid").exists)
    (driver,) = drivers()
    processes = [driver, *descendants(driver)]
    os.kill(driver, signal.SIGKILL)
    for call in (sleeping, local.pool.submit(Weigher().prepare, ["plain a"])):
        with pytest.raises(EnvironmentProblem, match=f"the cluster of {local.name} is lost: "):
            call.result(PATIENCE_S)
    until(lambda: not any(map(is_there, processes)))
