"""Uploads of files for batches: when files are uploaded, what is uploaded once, and what is uploaded again."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from native_samples import agreement

from batchrun.document import NativeFile
from batchrun.execution.batch.uploads import LEAST_LIFE_S, Uploader, goes_apart
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.providers import AttemptError, UploadedFile
from batchrun.providers.anthropic.wire import content_around, message_request
from batchrun.reply import Cause, Failure
from batchrun.request import Request
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.uploads import distrust_uploads

LIFE_S = 3 * 24 * 3600.0
DROPPED = Failure(cause=Cause.DROPPED, message="the connection broke")
BUSY = Failure(cause=Cause.STATUS, status=429, message="later")
REFUSED = Failure(cause=Cause.STATUS, status=400, message="no")
MALFORMED = Failure(cause=Cause.MALFORMED, message="the answer is no file")
GONE = Failure(cause=Cause.STATUS, status=404, message="File not found")


def request(number: int = 0) -> Request:
    file = NativeFile("application/pdf", agreement(title=f"Agreement {number}"), pages=1)
    return message_request({"model": "m", "max_tokens": 10}, content_around(file, "Read this:", ""))


@dataclass
class Bench:
    """A file store in memory, with the ledger and the clock of a run."""

    uploading: list[Failure | None] = field(default_factory=list)
    """What becomes of the next uploads."""
    answers_are_lost: bool = False
    """Whether files are there although their uploads failed."""
    finding: bool = True
    deleting: Failure | None = None
    now: float = 1_000_000.0
    address: str = "https://api.example/"
    kept: dict[str, UploadedFile] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    made: int = 0
    closed: int = 0

    def __post_init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        create_missing(connection)
        self.ledger = Ledger(connection, None)

    def make(self) -> "Bench":
        self.made += 1
        return self

    async def upload(self, name: str, media_type: str, data: bytes) -> UploadedFile:
        assert self.rows("select file_id from uploads where name = ?", name) == [(None,)], "the intent is durable"
        assert media_type == "application/pdf"
        assert data.startswith(b"%PDF")
        self.uploads.append(name)
        failure = self.uploading.pop(0) if self.uploading else None
        file = UploadedFile(f"file_{len(self.uploads)}", name, self.now + LIFE_S)
        if failure is None or self.answers_are_lost:
            self.kept[name] = file
        if failure:
            raise AttemptError(failure)
        return file

    async def find(self, name: str) -> UploadedFile | None:
        return self.kept.get(name) if self.finding else None

    async def delete(self, file_id: str) -> None:
        if self.deleting:
            raise AttemptError(self.deleting)
        self.kept = {name: file for name, file in self.kept.items() if file.file_id != file_id}

    async def close(self) -> None:
        self.closed += 1

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        return self.ledger.connection.execute(query, values).fetchall()

    def run(self, use: Callable[[Uploader], Awaitable[object]]) -> None:
        """Use an uploader of a process of its own, which knows what the ledger knows."""

        async def run() -> None:
            async with LedgerWriter(self.ledger) as writer:
                context = RunContext(
                    key=RunKey(1, since=0), job="trial", batch=BatchSection(), writer=writer, halt=Halt(),
                    retry=RetrySection(max_attempts=3, initial_delay="0.001s", max_delay="0.002s"),
                    tell=lambda _: None, price_of=lambda _: None, recover=lambda _: None, clock=lambda: self.now,
                )  # fmt: skip
                uploader = Uploader(context, self.make)
                try:
                    await use(uploader)
                finally:
                    await uploader.close()

        asyncio.run(run())

    def file_id(self, number: int = 0) -> str:
        """The file that a request names."""
        found: list[bytes] = []

        async def use(uploader: Uploader) -> None:
            found.append((await uploader.with_upload(request(number))).wire)

        self.run(use)
        return found[0].partition(b'"file_id":"')[2].partition(b'"')[0].decode()


@pytest.mark.parametrize(
    ("file_bytes", "all_bytes", "expected"),
    [(100, 100, False), (101, 101, True), (51, 101, True), (50, 101, False), (0, 500, False), (99, 100, False)],
)
def test_files_go_apart_where_they_fill_a_batch(file_bytes: int, all_bytes: int, *, expected: bool) -> None:
    assert goes_apart(file_bytes, all_bytes, 100) is expected


def test_a_file_is_uploaded_once_whoever_asks() -> None:
    bench = Bench()

    assert [bench.file_id(), bench.file_id(), bench.file_id(1)] == ["file_1", "file_1", "file_2"]
    assert bench.made == bench.closed == 3


@pytest.mark.parametrize("failure", [DROPPED, BUSY])
def test_a_file_whose_answer_was_lost_is_found(failure: Failure) -> None:
    bench = Bench(uploading=[failure], answers_are_lost=True)

    assert bench.file_id() == "file_1"
    assert len(bench.uploads) == 1


def test_a_file_that_did_not_arrive_is_uploaded_again_under_another_name() -> None:
    bench = Bench(uploading=[DROPPED, BUSY])

    assert bench.file_id() == "file_3"
    assert len(set(bench.uploads)) == 3
    assert bench.rows("select file_id, name from uploads") == [("file_3", bench.uploads[-1])]


@pytest.mark.parametrize(("failure", "uploads"), [(REFUSED, 1), (DROPPED, 3), (BUSY, 3)])
def test_a_refusal_is_not_tried_again_and_silence_is_not_without_end(failure: Failure, uploads: int) -> None:
    bench = Bench(uploading=[failure] * 9)

    with pytest.raises(AttemptError) as caught:
        bench.file_id()
    assert caught.value.failure == failure
    assert len(bench.uploads) == uploads


@pytest.mark.parametrize(("left_s", "expected"), [(LEAST_LIFE_S, "file_1"), (LEAST_LIFE_S - 1, "file_2")])
def test_a_file_that_expires_before_a_batch_might_is_uploaded_again(left_s: float, expected: str) -> None:
    bench = Bench()
    bench.file_id()
    bench.now += LIFE_S - left_s

    assert bench.file_id() == expected


def test_what_the_api_denies_is_uploaded_again_and_deleted_at_the_end() -> None:
    bench = Bench()
    bench.file_id(0), bench.file_id(1)
    distrust_uploads(bench.ledger, "another")
    assert bench.file_id() == "file_1"
    distrust_uploads(bench.ledger, "trial")

    assert bench.file_id() == "file_3"
    bench.run(Uploader.delete_all)
    assert [file.file_id for file in bench.kept.values()] == ["file_1"], "the ledger no longer knows of it: it expires"


def test_another_address_has_other_files() -> None:
    bench = Bench()
    bench.file_id()
    bench.address = "https://gateway.example/"

    assert bench.file_id() == "file_2"
    bench.run(Uploader.delete_all)
    assert [file.file_id for file in bench.kept.values()] == ["file_1"]


def test_a_file_whose_answer_was_lost_is_deleted_at_the_end() -> None:
    bench = Bench(uploading=[DROPPED, REFUSED], answers_are_lost=True, finding=False)
    with pytest.raises(AttemptError):
        bench.file_id()
    bench.finding = True
    bench.run(Uploader.delete_all)

    assert [file.file_id for file in bench.kept.values()] == ["file_1"], "the intent of the second attempt is known"
    assert bench.rows("select * from uploads") == []


def test_uploads_to_other_addresses_are_forgotten_when_they_expire() -> None:
    bench = Bench()
    bench.file_id()
    bench.address = "https://gateway.example/"
    bench.run(Uploader.delete_all)
    assert len(bench.rows("select * from uploads")) == 1
    bench.now += LIFE_S + 1
    bench.run(Uploader.delete_all)

    assert bench.rows("select * from uploads") == []


def test_an_answer_that_is_no_file_is_not_asked_for_again() -> None:
    bench = Bench(uploading=[MALFORMED] * 9)
    with pytest.raises(AttemptError):
        bench.file_id()

    assert len(bench.uploads) == 1


def test_nothing_connects_when_there_is_nothing_to_delete() -> None:
    bench = Bench()
    bench.run(Uploader.delete_all)

    assert bench.made == bench.closed == 0


@pytest.mark.parametrize(("failure", "left"), [(None, 0), (GONE, 0), (DROPPED, 2), (BUSY, 2)])
def test_the_ledger_remembers_what_was_not_deleted(failure: Failure | None, left: int) -> None:
    bench = Bench(deleting=failure)
    bench.file_id(0), bench.file_id(1)
    bench.run(Uploader.delete_all)

    assert bench.rows("select count(*) from uploads") == [(left,)]
