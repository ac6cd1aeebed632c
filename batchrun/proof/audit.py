"""What must be true after a death and at the end: the books of the simulator are held against the ledger."""

import contextlib
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

import duckdb

from batchrun.job.provider_sections import ANTHROPIC
from batchrun.job.providers import engine_name
from batchrun.providers.anthropic.wire import member_name
from batchrun.simulator.http.server import SimulatorServer

_INPUT_NUSD, _OUTPUT_NUSD = 1_000, 5_000  # of the trial's model, streamed; half of that in batches
_REQUEST_ID = 32  # characters of the digest of a body


class Bill(NamedTuple):
    """One answer that the simulator produced."""

    request_id: str
    batch_id: str | None
    nusd: int
    delivered: bool
    """Whether the answer was sent; a fault may lose an answer that is billed."""


class Books(NamedTuple):
    """What the simulator was asked for, and what it billed."""

    base_url: str
    asked: Counter[str]
    """Streamed requests, by their ids."""
    bills: list[Bill]
    faults: Counter[str]
    """What went wrong by intention."""

    @classmethod
    def of(cls, server: SimulatorServer, base_url: str, provider: str) -> Self:
        """Read the books of a server that answers for a provider.

        The digest of a body names a request, unless the provider was asked in another form: its name in the batch does.
        """
        entries, batched = list(server.books.entries), server.books.bills()
        streamed = [
            Bill(one.sha256[:_REQUEST_ID], None, _price(one), delivered=one.status is not None)
            for one in entries
            if one.billed
        ]
        halved = [
            Bill(
                one.sha256[:_REQUEST_ID] if provider == ANTHROPIC else member_name(one.name)[1],
                engine_name(provider, one.batch_id),
                -(-_price(one) // 2),
                delivered=True,
            )
            for one in batched
        ]
        return cls(
            base_url,
            asked=Counter(one.sha256[:_REQUEST_ID] for one in entries),
            bills=streamed + halved,
            faults=Counter(one.fault for one in entries if one.fault) + server.simulator.batches.faults,
        )

    @property
    def nusd(self) -> int:
        """All of it."""
        return sum(bill.nusd for bill in self.bills)


class Promise(StrEnum):
    """What must never happen, in words that stand behind a number."""

    LOST = "documents lost"
    BATCH_TWICE = "requests billed in two batches"
    REPEATED = "answers repeated that were not in flight at a death"
    CAP = "caps passed"
    BOOKS = "bills that the ledger does not account for"
    STORE = "stores damaged"
    ENDING = "runs that went wrong otherwise"


class Breach(NamedTuple):
    """A promise that was broken, and how."""

    promise: Promise
    words: str


@dataclass(kw_only=True)
class Audit:
    """What was found."""

    breaches: list[Breach] = field(default_factory=list)
    in_flight: set[int] = field(default_factory=set)
    """The attempts of streamed requests that were under way at a death, by their numbers."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Documents, by what became of them."""
    repeats: int = 0
    """Answers that were sent a second time."""
    unknown: int = 0
    """Attempts whose cost the ledger does not know."""
    faults: Counter[str] = field(default_factory=Counter)

    def expect(self, promise: Promise, kept: object, words: str) -> None:
        """Note a breach unless the promise was kept."""
        if not kept:
            self.breaches.append(Breach(promise, words))


def audit_death(root: Path, books: Books) -> Audit:
    """Look at what a process left behind: the store is whole, and no more was billed than the ledger holds."""
    found, ledger = Audit(), _Ledger(root)
    books = _without_strangers(ledger, books)
    if not ledger.is_there:
        found.expect(Promise.BOOKS, not books.bills, "something was billed before there was a ledger")
        return found
    found.expect(Promise.STORE, ledger.ask("pragma integrity_check") == [("ok",)], "the ledger is damaged")
    open_attempts = ledger.ask("select attempt_no from attempts where state = 'open' and batch_no is null")
    found.in_flight = {attempt_no for (attempt_no,) in open_attempts}
    _check_money(found, ledger, books)
    return found


def audit_end(root: Path, books: Books, *, in_flight: set[int], complete: bool) -> Audit:
    """Look at a project whose run has ended. `complete` says whether every document should have an outcome."""
    found, ledger = Audit(in_flight=in_flight, faults=books.faults), _Ledger(root)
    books = _without_strangers(ledger, books)
    _check_money(found, ledger, books)
    _check_bills(found, ledger, books)
    _check_documents(found, ledger, root / "results" / "out.duckdb", complete=complete)
    return found


def _without_strangers(ledger: "_Ledger", books: Books) -> Books:
    """Leave out the batches of others who use the same key: their requests are none of the ledger's."""
    ours = {request_id for (request_id,) in ledger.ask("select request_id from requests")} if ledger.is_there else set()
    return books._replace(bills=[bill for bill in books.bills if not bill.batch_id or bill.request_id in ours])


def unknown_batches(root: Path, books: Books) -> list[str]:
    """Return the batches of our requests that the API has, and the ledger does not know."""
    return sorted(_unknown_batches(_Ledger(root), books))


def _unknown_batches(ledger: "_Ledger", books: Books) -> set[str]:
    ours = {request_id for (request_id,) in ledger.ask("select request_id from requests")}
    known = {batch_id for (batch_id,) in ledger.ask("select batch_id from batches")}
    return {bill.batch_id for bill in books.bills if bill.batch_id and bill.request_id in ours} - known


def _check_money(found: Audit, ledger: "_Ledger", books: Books) -> None:
    ((booked, known, found.unknown, committed, cap),) = ledger.ask(
        "select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0), coalesce(sum(cost_nusd), 0),"
        " count(*) - count(cost_nusd), (select coalesce(sum(committed_nusd), 0) from runs),"
        " (select coalesce(min(cap_nusd), 0) from runs) from attempts"
    )
    billed = books.nusd
    found.expect(
        Promise.CAP, max(billed, committed) <= cap, f"{billed} billed, {committed} committed, the cap is {cap}"
    )
    whole = booked == committed and known <= billed <= committed and (found.unknown or known == billed)
    words = f"{billed} billed; the ledger knows {known}, holds {booked} in attempts and {committed} in runs"
    found.expect(Promise.BOOKS, whole, words)


def _check_bills(found: Audit, ledger: "_Ledger", books: Books) -> None:
    attempts = ledger.ask("select a.attempt_no, request_id, batch_no from attempts a join requests using (request_no)")
    sent = Counter(request_id for _, request_id, batch_no in attempts if batch_no is None)
    flying = Counter(request_id for number, request_id, _ in attempts if number in found.in_flight)
    batched = Counter(bill.request_id for bill in books.bills if bill.batch_id)
    answers = batched + Counter(bill.request_id for bill in books.bills if not bill.batch_id and bill.delivered)
    repeats = Counter({request_id: times - 1 for request_id, times in answers.items()})
    unknown = _unknown_batches(ledger, books)
    found.repeats = repeats.total()
    twice = [request_id for request_id, times in batched.items() if times > 1]
    found.expect(Promise.BATCH_TWICE, not twice, f"requests {twice}")
    found.expect(Promise.REPEATED, repeats <= flying, f"answers {repeats - flying}")
    found.expect(Promise.BOOKS, books.asked <= sent, "a request was sent that is not in the ledger")
    found.expect(Promise.BOOKS, not unknown, f"batches {unknown} are not in the ledger")


def _check_documents(found: Audit, ledger: "_Ledger", output: Path, *, complete: bool) -> None:
    documents = ledger.ask("select doc_id, status from document_status order by 1")
    succeeded = [doc_id for doc_id, status in documents if status == "succeeded"]
    found.statuses = Counter(status for _, status in documents)
    with contextlib.closing(duckdb.connect(str(output), read_only=True)) as connection:
        rows = [doc_id for (doc_id,) in connection.execute("select doc_id from trial order by 1").fetchall()]
    found.expect(Promise.LOST, rows == succeeded, f"rows {rows}, succeeded {succeeded}")
    twice = ledger.ask("select 1 from attempts where outcome is not null group by request_no having count(*) > 1")
    found.expect(Promise.REPEATED, not twice, "a document was settled twice")
    if complete:
        found.expect(Promise.LOST, not found.statuses["pending"], f"documents {dict(found.statuses)}")
        still_open = ledger.ask("select state from batches where state not in ('collected', 'abandoned')")
        found.expect(Promise.ENDING, not still_open, f"batches are {still_open}")


class _Ledger:
    """A ledger as another program would read it."""

    def __init__(self, root: Path) -> None:
        self._path = root / ".batchrun" / "ledger.sqlite3"

    @property
    def is_there(self) -> bool:
        """Whether a process has lived long enough to make it."""
        return self._path.exists() and bool(self.ask("select 1 from sqlite_master where name = 'attempts'"))

    def ask(self, query: str) -> list[Any]:
        """Ask."""
        with contextlib.closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


def _price(one: Any) -> int:
    return int(_INPUT_NUSD * one.input_tokens + _OUTPUT_NUSD * one.output_tokens)
