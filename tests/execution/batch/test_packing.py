"""What goes into a batch: whole requests byte for byte, within every limit, from a spool that leaves nothing behind."""

import asyncio
import errno
import json
import os
import sqlite3
import threading
import tracemalloc
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.answers.form import AnswerForm
from batchrun.budget.caps import Amount, Cap, Caps, Origin, Per
from batchrun.catalog.price_table import load_prices
from batchrun.catalog.rate_limits import published_limits
from batchrun.estimation.estimate import Estimator
from batchrun.estimation.interval import Interval
from batchrun.events import DocumentSettled, Event
from batchrun.execution.batch import packing
from batchrun.execution.batch.packing import Packer, PackLimits, Spool, SpooledBody
from batchrun.execution.document_reader import Gone
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.pending_request import PendingRequest
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.execution.send_setup import SendSetup
from batchrun.job.spec import BatchSection, LimitsSection, RetrySection
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.wire import batch_member, batch_size
from batchrun.request import Request
from batchrun.store.ledger.batch_records import RemainingBudget
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Pending, RunPlan
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.sqlite_errors import StoreFull
from batchrun.strategy.model_chain import ChainModel, ModelChain
from batchrun.strategy.routes import Route

T = TypeVar("T")
NONCE = "0123456789ab"
EACH = 10
"""The worst case of a request, unless a test says otherwise."""
CAPS = Caps(run=Cap(Per.RUN, 10**12, "budget.max_cost_usd", Origin.JOB))
MODEL = replace(load_prices(today=date(2026, 11, 21)).prices["claude-haiku-4-5"], name="m")
LIMITS = published_limits(LimitsSection(), MODEL.limits)
OWN_MODEL = ChainModel(price=MODEL, limits=LIMITS, effort=None, thinking=None)
PLENTY = PackLimits(requests=1_000, bytes=10**9, remaining_budget=RemainingBudget(10**9))


def limits(*, room_nusd: int = 10**9, **changes: int) -> PackLimits:
    return PackLimits(**({"requests": 1_000, "bytes": 10**9} | changes), remaining_budget=RemainingBudget(room_nusd))


def request(text: str) -> Request:
    return Request.of({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": text}]})


class Documents:
    """Pending documents of a run, in a ledger in memory; what a `DocumentReader` reads."""

    texts_at_once = 3

    def __init__(self, texts: Sequence[str | None], *, page: int = 4) -> None:
        """None stands for a document that is gone."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        self.run_no = Runs(self.ledger).begin_run(
            RunPlan(job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
                    cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1), run_id="r",
        )  # fmt: skip
        self._page = page
        self._texts: dict[int, str | None] = {}
        self.most_texts_at_once = 0
        for number, text in enumerate(texts):
            self._add(f"d{number}", text)

    def _add(self, doc_id: str, text: str | None) -> None:
        run = self.ledger.connection.execute
        request_id = request(text or doc_id).request_id
        run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')"
            " on conflict do nothing",
            (request_id,),
        )
        document_no = run(
            "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq) values ('trial', ?, 's',"
            " 'sha', (select request_no from requests where request_id = ?), ?, 1)",
            (doc_id, request_id, self.run_no),
        ).lastrowid
        self._texts[document_no] = text

    async def page(self, run: RunKey, *, after: int, model: str | None = None) -> list[Pending]:
        return self.ledger.pending(run.run_no, since=run.since, after=after, limit=self._page, model=model)

    async def read(self, pending: list[Pending]) -> list[PendingRequest | Gone]:
        self.most_texts_at_once = max(self.most_texts_at_once, len(pending))
        return [self._work(one) for one in pending]

    def _work(self, one: Pending) -> PendingRequest | Gone:
        text = self._texts[one.document_no]
        return Gone(one, "it is gone") if text is None else PendingRequest(one, request(text))


class Bench:
    """Packs, in an event loop, with a recorder."""

    def __init__(self, folder: Path, texts: Sequence[str | None], **options: Any) -> None:
        self.folder = folder
        self.documents = Documents(texts, **options)
        self.events: list[Event] = []

    def run(
        self, use: Callable[[Packer], Awaitable[T]], *, worst_nusd: Callable[[PendingRequest], int] = lambda _: EACH
    ) -> T:
        made: list[Spool] = []

        class Noted(Packer):
            async def pack(self, nonce: str, limits: PackLimits) -> Spool:
                made.append(await super().pack(nonce, limits))
                return made[-1]

            def worst_case(self, pending: PendingRequest) -> Amount:
                return Amount(worst_nusd(pending))

        async def main() -> T:
            async with LedgerWriter(self.documents.ledger) as writer:
                context = RunContext(
                    key=RunKey(self.documents.run_no, since=0), job="trial", writer=writer, halt=Halt(),
                    tell=self.events.append, retry=RetrySection(), batch=BatchSection(),
                    price_of={MODEL.name: MODEL}.get, recover=lambda ledger: None,
                )  # fmt: skip
                setup = SendSetup(
                    route=Route.BATCH, reader=self.documents, chain=ModelChain((OWN_MODEL,), frozenset()),
                    estimator=Estimator(MODEL, fixed_tokens=0, output=Interval(1, 1, 1)), concurrency=1, caps=CAPS,
                    form=AnswerForm({}), folder=self.folder,
                )  # fmt: skip
                return await use(Noted(context, setup))

        try:
            return asyncio.run(main())
        finally:
            for spool in made:
                spool.close()

    def pack(self, limits: PackLimits = PLENTY, **options: Any) -> tuple[list[str], bytes]:
        """The members' documents, and the whole body."""

        async def use(packer: Packer) -> tuple[list[str], bytes]:
            spool = await packer.pack(NONCE, limits)
            return [one.doc_id for one in spool.candidates], await whole(spool, range(len(spool.candidates)))

        return self.run(use, **options)

    def names(self, **changes: Any) -> list[str]:
        options = {"worst_nusd": changes.pop("worst_nusd")} if "worst_nusd" in changes else {}
        return self.pack(limits(**changes), **options)[0]

    def statuses(self) -> dict[str, tuple[str, str]]:
        rows = self.documents.ledger.connection.execute(
            "select doc_id, status, reason from document_status where status != 'pending'"
        )
        return {doc_id: (outcome, reason) for doc_id, outcome, reason in rows}


async def whole(spool: Spool, positions: Sequence[int]) -> bytes:
    if not positions:
        return b""
    body = SpooledBody(spool, positions, "claude-haiku-4-5")
    received = b"".join([part async for part in body.parts()])
    assert len(received) == body.size
    return received


def expected(texts: Sequence[str]) -> bytes:
    items = [
        b'{"custom_id":"' + f"{NONCE}-{one.request_id}".encode() + b'","params":' + one.body + b"}"
        for one in map(request, texts)
    ]
    return b'{"requests":[' + b",".join(items) + b"]}"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda texts, **options: Bench(tmp_path, texts, **options)


TEN = [f"text {number}" for number in range(10)]

# --- the body


def test_the_body_is_json_whose_params_are_the_bytes_of_each_request(bench: Callable[..., Bench]) -> None:
    texts = ["plain", 'quo"tes \\ and \n lines', "é ü 🙂 \u2028 \u2029", "\ud800 alone", "\x00\x1f", "x" * 300_000, ""]

    names, body = bench(texts).pack()

    assert names == [f"d{number}" for number in range(len(texts))]
    assert body == expected(texts)
    told = json.loads(body)
    assert [one["params"]["messages"][0]["content"] for one in told["requests"]] == texts
    assert [list(one) for one in told["requests"]] == [["custom_id", "params"]] * len(texts)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=12, unique=True), st.data())
def test_the_body_of_any_members_is_theirs_alone(texts: list[str], data: st.DataObject) -> None:
    chosen = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), min_size=1)))

    def use(spool: Spool) -> bytes:
        for number, text in enumerate(texts):
            member = batch_member(request(text), nonce=spool.nonce)
            spool.add(packing.Candidate(number, "d", Amount(EACH)), member)
        return asyncio.run(whole(spool, chosen))

    spool = Spool(Path("/tmp"), NONCE)
    try:
        assert use(spool) == expected([texts[number] for number in chosen])
        everything = asyncio.run(whole(spool, range(len(texts))))
        assert len(everything) == spool.size == batch_size(spool.sizes)
    finally:
        spool.close()


def test_members_may_be_left_out_in_the_middle_and_the_body_may_be_read_twice(bench: Callable[..., Bench]) -> None:
    chosen = array("Q", [0, 1, 4, 6, 7, 9])

    async def use(packer: Packer) -> tuple[bytes, bytes]:
        spool = await packer.pack(NONCE, PLENTY)
        return await whole(spool, chosen), await whole(spool, chosen)

    first, second = bench(TEN).run(use)

    assert first == second == expected([TEN[number] for number in chosen])


def test_a_large_body_comes_in_small_parts(bench: Callable[..., Bench]) -> None:
    async def use(packer: Packer) -> list[int]:
        spool = await packer.pack(NONCE, PLENTY)
        return [len(part) async for part in SpooledBody(spool, range(20), "claude-haiku-4-5").parts()]

    parts = bench([f"{number}" + "x" * 100_000 for number in range(20)]).run(use)

    assert sum(parts) > 2_000_000
    assert max(parts) <= packing.PART


@pytest.mark.slow
def test_a_batch_is_never_in_memory_as_a_whole(bench: Callable[..., Bench]) -> None:
    one = bench([f"{number}" + "x" * 1_000_000 for number in range(30)])
    texts, one.documents._texts = one.documents._texts, {}
    one.documents._work = lambda pending: PendingRequest(pending, request(texts[pending.document_no]))

    async def use(packer: Packer) -> int:
        tracemalloc.start()
        spool = await packer.pack(NONCE, PLENTY)
        size = sum([len(part) async for part in SpooledBody(spool, range(30), "claude-haiku-4-5").parts()])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 30_000_000
        return peak

    assert one.run(use) < 16_000_000


# --- the limits


def test_everything_that_fits_in_the_order_of_the_plan(bench: Callable[..., Bench]) -> None:
    assert bench(TEN).names() == [f"d{number}" for number in range(10)]


def test_nothing_pending_is_an_empty_spool(bench: Callable[..., Bench]) -> None:
    assert bench([]).pack() == ([], b"")


@pytest.mark.parametrize("most", [1, 2, 4, 5, 10, 11])
def test_as_many_requests_as_allowed(bench: Callable[..., Bench], most: int) -> None:
    assert len(bench(TEN).names(requests=most)) == min(most, 10)


@pytest.mark.parametrize("taken", [1, 2, 3, 9])
@pytest.mark.parametrize("spare", [0, 1, 50])
def test_bytes_are_counted_as_sent(bench: Callable[..., Bench], taken: int, spare: int) -> None:
    exactly = len(expected(TEN[:taken]))

    names, body = bench(TEN).pack(limits(bytes=exactly + spare))

    assert len(names) == taken
    assert len(body) == exactly


def test_one_byte_less_takes_one_request_less(bench: Callable[..., Bench]) -> None:
    assert len(bench(TEN).names(bytes=len(expected(TEN[:4])) - 1)) == 3


@pytest.mark.parametrize(("room", "taken"), [(100, 10), (99, 9), (39, 3), (10, 1)])
def test_no_more_than_the_budget_has_room_for(bench: Callable[..., Bench], room: int, taken: int) -> None:
    assert len(bench(TEN).names(room_nusd=room)) == taken


def test_without_room_for_even_one_the_first_is_still_packed_so_that_the_ledger_can_say_so(
    bench: Callable[..., Bench],
) -> None:
    assert bench(TEN).names(room_nusd=0) == ["d0"]


def test_each_request_counts_its_own_worst_case(bench: Callable[..., Bench]) -> None:
    worst = {"text 0": 10, "text 1": 70, "text 2": 21}

    def worst_nusd(work: PendingRequest) -> int:
        return worst[json.loads(work.request.body)["messages"][0]["content"]]

    assert bench(TEN[:3]).names(room_nusd=100, worst_nusd=worst_nusd) == ["d0", "d1"]
    assert bench(TEN[:3]).names(room_nusd=101, worst_nusd=worst_nusd) == ["d0", "d1", "d2"]


def test_the_candidates_carry_what_is_reserved_for_them(bench: Callable[..., Bench]) -> None:
    async def use(packer: Packer) -> Any:
        spool = await packer.pack(NONCE, PLENTY)
        return [one.amount.nusd for one in spool.candidates], spool.reserved.nusd

    assert bench(TEN).run(use) == ([EACH] * 10, 10 * EACH)


def test_no_more_texts_are_read_at_once_than_the_source_wants(bench: Callable[..., Bench]) -> None:
    one = bench(TEN, page=64)
    one.pack()

    assert one.documents.most_texts_at_once == Documents.texts_at_once


# --- documents that are not like the others


@pytest.mark.parametrize("page", [2, 4, 64])
def test_identical_documents_make_one_request_wherever_they_stand(bench: Callable[..., Bench], page: int) -> None:
    names, body = bench(["same", "a", "same", "b", "same", "same", "c", "a"], page=page).pack()

    assert names == ["d0", "d1", "d3", "d6"]
    assert body == expected(["same", "a", "b", "c"])


def test_documents_that_are_gone_are_set_aside_and_the_rest_is_packed(bench: Callable[..., Bench]) -> None:
    one = bench([None, "a", None, "b", None])

    assert one.names() == ["d1", "d3"]
    assert one.statuses() == dict.fromkeys(["d0", "d2", "d4"], ("unreadable", "it is gone"))
    assert one.events == [DocumentSettled(f"d{n}", Outcome.UNREADABLE, "it is gone", 0) for n in (0, 2, 4)]


def test_a_request_too_large_even_alone_is_its_documents_failure(bench: Callable[..., Bench]) -> None:
    one = bench(["a", "x" * 5_000, "b"])

    assert one.names(bytes=5_000) == ["d0", "d2"]
    ((outcome, reason),) = one.statuses().values()
    assert outcome == "rejected"
    assert "max_bytes" in reason
    assert "5,000" in reason
    assert [event.outcome for event in one.events if isinstance(event, DocumentSettled)] == [Outcome.REJECTED]


def test_the_limit_itself_is_not_too_large(bench: Callable[..., Bench]) -> None:
    one = bench(["x" * 5_000])

    assert one.names(bytes=len(expected(["x" * 5_000]))) == ["d0"]
    assert bench(["x" * 5_000]).names(bytes=len(expected(["x" * 5_000])) - 1) == []


def test_when_all_are_gone_or_too_large_nothing_is_packed(bench: Callable[..., Bench]) -> None:
    one = bench([None, "x" * 5_000])

    assert one.names(bytes=1_000) == []
    assert len(one.statuses()) == 2


# --- the disk


def test_the_spool_is_beside_the_ledger_and_no_file_is_ever_seen(
    bench: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []
    temporary = packing.tempfile.TemporaryFile

    def noted(**options: Any) -> Any:
        folders.append(options["dir"])
        return temporary(**options)

    monkeypatch.setattr(packing.tempfile, "TemporaryFile", noted)

    async def use(packer: Packer) -> list[str]:
        await packer.pack(NONCE, PLENTY)
        return os.listdir(tmp_path)  # noqa: PTH208 - while the spool is open

    assert bench(TEN).run(use) == []
    assert folders == [tmp_path]


def test_a_spool_that_is_closed_holds_no_file(bench: Callable[..., Bench]) -> None:
    one = bench(TEN)
    one.pack()
    before = open_files()
    for _ in range(5):
        one.pack()

    assert open_files() == before


class FullFile:
    """A file on a disk that is full."""

    def __init__(self, file: Any, *, after: int) -> None:
        self._file, self._left = file, after
        self.closed = False

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        self.closed = True
        self._file.close()


@pytest.mark.parametrize("after", [0, 500])
def test_a_full_disk_is_told_and_the_spool_is_closed(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, after: int
) -> None:
    made: list[FullFile] = []
    temporary = packing.tempfile.TemporaryFile

    def full(**options: Any) -> Any:
        made.append(FullFile(temporary(**options), after=after))
        return made[-1]

    monkeypatch.setattr(packing.tempfile, "TemporaryFile", full)

    with pytest.raises(StoreFull, match="No space left") as told:
        bench(TEN).pack()

    assert "max_bytes" in str(told.value.hint)
    assert [file.closed for file in made] == [True]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(packing.tempfile, "TemporaryFile", refused)

    with pytest.raises(StoreFull, match="Read-only file system"):
        bench(TEN).pack()


def test_closing_on_a_full_disk_does_not_fail(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(Path("/tmp"), NONCE)
    file = spool._file

    class Unclosable:
        def close(self) -> None:
            file.close()
            raise OSError(errno.ENOSPC, "No space left on device")

    spool._file = Unclosable()
    spool.close()


def test_an_error_that_is_not_the_disks_is_not_told_as_a_full_disk(bench: Callable[..., Bench]) -> None:
    one = bench(TEN)

    async def broken(_: list[Pending]) -> list[PendingRequest | Gone]:
        raise PermissionError(errno.EACCES, "Permission denied", "docs/secret.txt")

    one.documents.read = broken

    with pytest.raises(Exception) as told:  # noqa: PT011 - of whatever kind, but not a full disk
        one.pack()
    assert not isinstance(told.value, StoreFull), "the source could not be read; the disk has room"


def test_a_spool_is_closed_when_packing_is_given_up(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench(TEN)
    one.pack()
    before = open_files()

    async def use(packer: Packer) -> None:
        reading = asyncio.Event()

        async def for_ever(_: list[Pending]) -> list[PendingRequest | Gone]:
            reading.set()
            await asyncio.sleep(3600)
            return []

        one.documents.read = for_ever
        task = asyncio.create_task(packer.pack(NONCE, PLENTY))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task

    one.run(use)

    assert open_files() == before


def test_reading_the_spool_does_not_block_the_loop(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    read = Spool.read

    def noted(self: Spool, start: int, end: int) -> bytes:
        threads.add(threading.get_ident())
        return read(self, start, end)

    monkeypatch.setattr(Spool, "read", noted)
    bench(TEN).pack()

    assert threads
    assert threading.get_ident() not in threads
