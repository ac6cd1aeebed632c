"""Workers that die and do not say why: the document at fault is found, and nothing else is lost. No process starts."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hostile_reading import Weigher
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.documents import FoundFile, Shard
from batchrun.errors import EnvironmentProblem
from batchrun.planning import suspects
from batchrun.workers.pool import Pool, WorkerDied
from batchrun.workers.workers import AHEAD, TRIES, Workers


class ScriptedPool(Pool):
    """Threads for workers. A worker dies over a document whose name begins with `kills`, or as often as is said."""

    name = "scripted"

    def __init__(self, *, deaths: int = 0, number: int = 2) -> None:
        self.deaths = deaths
        self.calls: list[Any] = []
        self.most_under_way = 0
        self._number = number
        self._threads = ThreadPoolExecutor(number)
        self._under_way = 0
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        return self._number

    @property
    def started(self) -> bool:
        return bool(self.calls)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        with self._lock:
            self.calls.append(args)
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
        return self._threads.submit(self._call, fn, args)

    def _call(self, fn: Callable[..., Any], args: Any) -> Any:
        names = list(args[0].place if args and isinstance(args[0], Shard) else args[0] if args else ())
        with self._lock:
            self._under_way -= 1
            dies, self.deaths = self.deaths > 0, self.deaths - 1
        if dies or any(name.startswith("kills") for name in names):
            raise WorkerDied(None)
        return fn(*args, lambda _: None) if not names else [f"text of {name}" for name in names]


def weighed(pool: Pool, shards: list[list[str]]) -> list[list[str]]:
    workers = Workers(Weigher(), pool, parallel=True)
    given = ((Shard(number, names, 1), False) for number, names in enumerate(shards))
    pages = {shard.number: page for shard, page in workers.weigh(given)}
    return [pages[number] for number in range(len(shards))]


def expected(name: str) -> str:
    lost = "text of plain, because the worker that read it died"
    return lost if name.startswith("kills") else f"text of {name}"


NAMES = st.sampled_from(["a", "b", "kills", "c", "d", "e"])


@settings(max_examples=50)
@given(st.lists(st.lists(NAMES, min_size=1, max_size=20), max_size=8))
def test_only_what_kills_is_lost(shards: list[list[str]]) -> None:
    assert weighed(ScriptedPool(), shards) == [[expected(name) for name in names] for names in shards]


@given(st.lists(NAMES, max_size=30), st.integers(1, 5))
def test_nothing_else_is_lost_when_documents_are_read_again(names: list[str], number: int) -> None:
    workers = Workers(Weigher(), ScriptedPool(number=number), parallel=True)
    assert workers.prepare(names) == [expected(name) for name in names]


@settings(max_examples=20)
@given(st.integers(1, 3 * TRIES))
def test_deaths_for_other_reasons_cost_nothing(deaths: int) -> None:
    try:
        found = weighed(ScriptedPool(deaths=deaths), [["a", "b"], ["c"], ["d", "e"]])
    except EnvironmentProblem:
        assert deaths > TRIES + 1, "as many workers in a row died that did nothing"
    else:
        assert [len(page) for page in found] == [2, 1, 2]
        assert deaths > TRIES or [*found[0], *found[1], *found[2]] == [f"text of {name}" for name in "abcde"]


class ImpatientPool(ScriptedPool):
    """A worker dies over each call that takes it longer than `patience` documents, and tells of the last one."""

    patience = 4

    def _call(self, fn: Callable[..., Any], args: Any) -> Any:
        if args and len(names := args[0]) > self.patience:
            raise WorkerDied(names[self.patience])
        return super()._call(fn, args)


def test_what_is_begun_again_and_again_becomes_shorter() -> None:
    pool, names = ImpatientPool(), [f"{number}" for number in range(100)]

    assert Workers(Weigher(), pool, parallel=True).prepare(names) == [f"text of {name}" for name in names]
    assert len(pool.calls) < 100, "no document is read by itself"


def test_a_machine_on_which_all_workers_die_is_told() -> None:
    pool = ScriptedPool(deaths=10**9)
    with pytest.raises(EnvironmentProblem, match="the processes that read documents end at once"):
        weighed(pool, [["a"] * 500] * 3)
    assert len(pool.calls) < 3 * 8
    with pytest.raises(EnvironmentProblem):
        Workers(Weigher(), pool, parallel=True).prepare(["a"])


def test_the_window_follows_the_number_of_workers() -> None:
    for number in (1, 3):
        pool = ScriptedPool(number=number)
        listed = list[int]()

        def shards(pool: ScriptedPool = pool, listed: list[int] = listed) -> Iterator[tuple[Shard, bool]]:
            for at in range(60):
                listed.append(at)
                yield Shard(at, ["a"], 1), False

        for done, _ in enumerate(Workers(Weigher(), pool, parallel=True).weigh(shards()), 1):
            assert len(listed) <= done + AHEAD * number
        assert pool.most_under_way <= AHEAD * number


def test_documents_of_one_file_are_read_again_by_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Weigher, "file_of", lambda _, name: name[0])
    pool = ScriptedPool(number=3)
    names = ["a1", "a2", "b1", "c1", "c2", "c3", "d1"]

    found = Workers(Weigher(), pool, parallel=True).prepare(names)

    assert found == [f"text of {name}" for name in names]
    assert sorted(call[0] for call in pool.calls) == [["a1", "a2", "b1"], ["c1", "c2", "c3", "d1"]]


def test_what_others_cannot_read_is_read_here() -> None:
    pool = ScriptedPool()
    workers = Workers(Weigher(), pool, parallel=False)
    assert workers.prepare(["plain a"]) == ["text of plain a"]
    assert [page for _, page in workers.weigh([(Shard(0, ["plain b"], 10**9), False)])] == [["text of plain b"]]
    assert not pool.started


class Rows:
    """A source of which a shard has so many rows."""

    def read_shard(self, shard: Shard, guard: Any) -> Iterator[Any]:
        return (suspects.Unreadable(f"{row}", "rows.csv", "as it is", f"{row}") for row in range(shard.place))  # type: ignore[call-overload]


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(0, 299))
def test_a_row_that_kills_is_found(rows: int, bad: int) -> None:
    source: Any = Rows()

    def read(shard: Shard) -> list[tuple[str, str]]:
        found = [(one.doc_id, one.reason) for one in suspects.read_stretch(source, shard, lambda _: None)]  # type: ignore[union-attr, return-value, arg-type]
        return (
            [one for half in suspects.halved(shard, "it kills") for one in read(half)]
            if (f"{bad}", "as it is") in found
            else found
        )

    found = read(Shard(0, rows, 1))

    assert found == [(f"{row}", "it kills" if row == bad else "as it is") for row in range(rows)]


@given(st.integers(1, 30), st.integers(0, 29))
def test_a_file_that_kills_is_found_and_not_opened(number: int, bad: int) -> None:
    files = tuple(FoundFile(at, f"{at}.txt", 1, 0, 0, 0) for at in range(number))

    def read(shard: Shard) -> list[FoundFile]:
        killed = any(file.number == bad and not file.problem for file in shard.files)
        return [one for half in suspects.halved(shard, "it kills") for one in read(half)] if killed else [*shard.files]

    found = read(Shard(0, None, number, files))

    assert found == [file._replace(problem="it kills" if file.number == bad else None) for file in files]


def test_what_kills_without_being_looked_at_is_told() -> None:
    with pytest.raises(EnvironmentProblem, match="a row cannot even be passed over: it kills"):
        suspects.halved(Shard(0, suspects.Stretch(7, 3, 4, "it kills"), 1), "it kills")
