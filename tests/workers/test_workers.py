"""Documents that end or occupy the process which reads them are failures of their own; all others are read."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hostile_reading import Weigher

from batchrun.documents import Shard
from batchrun.errors import EnvironmentProblem
from batchrun.workers import children as children_module
from batchrun.workers import workers as workers_module
from batchrun.workers.children import Children
from batchrun.workers.limits import Limits
from batchrun.workers.workers import Workers

pytestmark = pytest.mark.slow
QUICK = Limits(memory_bytes=1_000_000_000, cpu_s=30.0, wall_s=3.0)
LITTLE_CPU = Limits(memory_bytes=1_000_000_000, cpu_s=1.0, wall_s=60.0)
"""On a busy machine a second of processor time may take many seconds by the clock."""


@pytest.fixture(scope="module", autouse=True)
def as_they_are_started() -> Iterator[None]:
    """Here the processes are not forked, but started as the program starts them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children_module, "subprocess", subprocess)
        yield


@pytest.fixture
def children(request: pytest.FixtureRequest) -> Iterator[Children]:
    with Children(2, getattr(request, "param", QUICK)) as opened:
        yield opened


@pytest.fixture
def workers(children: Children) -> Workers[list[str], str, str]:
    return Workers(Weigher(), children, parallel=True)


def shards(*names: tuple[str, ...]) -> Iterator[tuple[Shard, bool]]:
    return ((Shard(number, place, 1), False) for number, place in enumerate(names))


def weighed(workers: Workers[list[str], str, str], *names: tuple[str, ...]) -> list[list[str]]:
    pages = {shard.number: page for shard, page in workers.weigh(shards(*names))}
    assert len(pages) == len(names)
    return [pages[number] for number in range(len(names))]


def test_what_is_safe_starts_no_process(workers: Workers[list[str], str, str], children: Children) -> None:
    assert weighed(workers, ("plain a", "plain b")) == [["text of plain a", "text of plain b"]]
    assert workers.prepare(["plain c"]) == ["text of plain c"]
    assert not children.started


def test_many_bytes_are_read_by_children(
    workers: Workers[list[str], str, str], children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "WORTH_CHILDREN", 3)
    assert weighed(workers, *[(f"plain {number}",) for number in range(20)]) == [
        [f"text of plain {number}"] for number in range(20)
    ]
    assert children.started


ENDS = {
    "abort": "the library that reads it gave up",
    "crash": "the library that reads it crashed",
    "killed": "was killed",
    "sleeps": "reading it took more than 3 seconds",
    "busy": "reading it took more than 1 seconds of processor time",
}


@pytest.mark.parametrize(
    ("name", "children"),
    [(name, LITTLE_CPU if name == "busy" else QUICK) for name in ENDS],
    ids=ENDS,
    indirect=["children"],
)
def test_a_document_that_ends_the_process_is_given_up_and_all_others_are_read(
    workers: Workers[list[str], str, str], name: str
) -> None:
    found = weighed(workers, ("a", "b"), ("c", name, "d"), ("e",))
    assert found[0] == ["text of a", "text of b"]
    assert found[1][0] == "text of c"
    assert found[1][1].startswith("given up: ")
    assert ENDS[name] in found[1][1]
    assert found[1][2] == "text of d"
    assert found[2] == ["text of e"]


def test_several_of_them_in_every_shard(workers: Workers[list[str], str, str]) -> None:
    names = [(f"a {number}", f"abort {number}", f"crash {number}", f"b {number}") for number in range(6)]
    for number, page in enumerate(weighed(workers, *names)):
        assert page[0] == f"text of a {number}"
        assert page[3] == f"text of b {number}"
        assert all(one.startswith("given up: ") for one in page[1:3])


def test_memory_is_limited(workers: Workers[list[str], str, str]) -> None:
    assert weighed(workers, ("hungry", "a")) == [["too much memory", "text of a"]]


def test_a_fault_in_a_child_is_raised(workers: Workers[list[str], str, str]) -> None:
    with pytest.raises(ValueError, match="a fault of the reader"):
        weighed(workers, ("fails",))


def test_documents_that_are_read_again_are_guarded_too(workers: Workers[list[str], str, str]) -> None:
    first, second, third = workers.prepare(["a", "abort", "b"])
    assert (first, third) == ("text of a", "text of b")
    assert second.startswith("given up: ")
    assert workers.prepare(["abort"]) == [second], "it is not tried again"


def test_a_child_that_is_killed_between_calls_costs_nothing(
    workers: Workers[list[str], str, str], children: Children
) -> None:
    assert workers.prepare(["a"]) == ["text of a"]
    for child in children._children:
        child.kill()
    assert workers.prepare(["b", "c"]) == ["text of b", "text of c"]


def test_children_that_cannot_start_end_the_command(
    workers: Workers[list[str], str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EnvironmentProblem, match="the processes that read documents end at once"):
        workers.prepare(["a"])


def test_closing_ends_children_amid_their_work() -> None:
    with Children(2, Limits(cpu_s=60, wall_s=60)) as children:
        calls = [children.submit(Weigher().prepare, ["sleeps"]) for _ in range(4)]
        while sum(child._process is not None for child in children._children) < 2:
            time.sleep(0.01)
        pids = [child._process.pid for child in children._children if child._process]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert all(call.done() for call in calls)
    with pytest.raises(RuntimeError, match="have been ended"):
        children.submit(Weigher().prepare, ["a"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_whole_group_leave_the_children_alone(
    workers: Workers[list[str], str, str], children: Children, number: signal.Signals
) -> None:
    workers.prepare(["a"])
    (pid,) = [child._process.pid for child in children._children if child._process]
    os.kill(pid, number)
    assert workers.prepare(["b"]) == ["text of b"]
    assert pid in [child._process.pid for child in children._children if child._process]


def test_children_that_are_killed_now_and_then_are_replaced_each_time(
    workers: Workers[list[str], str, str], children: Children
) -> None:
    for number in range(6):
        assert workers.prepare([f"a {number}"]) == [f"text of a {number}"]
        for child in children._children:
            child.kill()


def test_reading_goes_on_while_children_are_killed_amid_their_start_and_their_reading(
    workers: Workers[list[str], str, str], children: Children
) -> None:
    """What is read takes longer than the time between two kills."""
    names, done = [f"slow {number}" for number in range(60)], threading.Event()

    def kill() -> None:
        for number in range(12):
            if not done.wait(0.4):
                for child in children._children[number % 2 :][:1]:
                    child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    found = workers.prepare(names)
    done.set()
    killer.join()
    assert found == [f"text of {name}" for name in names]


def test_no_key_is_where_hostile_files_are_read(
    workers: Workers[list[str], str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret-secret")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "secret-secret")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-team: secret-secret")
    assert workers.prepare(["keys"]) == ["[]"]


def test_once_there_are_children_all_shards_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[int]()
    inline = Workers._inline

    def watched(workers: Workers[list[str], str, str], shard: Shard, *, counts: bool) -> list[str] | None:
        tried.append(shard.number)
        return inline(workers, shard, counts=counts)

    monkeypatch.setattr(Workers, "_inline", watched)
    with Children(1, QUICK) as alone:
        one = Workers(Weigher(), alone, parallel=True)
        assert weighed(one, ("plain a",), ("b",), ("c",), ("plain d",)) == [
            ["text of plain a"], ["text of b"], ["text of c"], ["text of plain d"],
        ]  # fmt: skip
    assert tried == [0, 1], "no shard is begun here and read again there"
