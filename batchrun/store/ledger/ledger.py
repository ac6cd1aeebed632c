"""The ledger, which alone holds the truth. Every change of state is one transaction of one writer."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from batchrun.answers.progress import Progress
from batchrun.budget.caps import Amount, Caps
from batchrun.document import DocumentRef
from batchrun.errors import BatchrunError
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Usage
from batchrun.store.ledger.chain import Chain
from batchrun.store.ledger.connection import CHECK_S, OlderLedger, damage, empty, open_for_reading, open_for_writing
from batchrun.store.ledger.prices import PriceNumbers
from batchrun.store.ledger.records import (
    CapExceeded,
    KnownPrompt,
    Move,
    Pending,
    Settlement,
    Taken,
)
from batchrun.store.ledger.request_refusal import RequestCaps, document_usage
from batchrun.store.ledger.sqlite_errors import LedgerDamaged, explained, translated

PENDING = """
d.document_no, d.doc_id, d.source, d.place, d.request_no, r.request_id, r.counted_tokens, r.text_class, d.max_tokens,
r.guessed, r.turn, r.partial
"""
"""The columns of a `Pending`."""


class Ledger:
    """An open ledger. One thread uses it at a time; methods that write belong inside `transaction()`."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self.connection = connection
        self.path = path
        with explained(path):
            row = connection.execute("select value from meta where key = 'ledger_id'").fetchone()
        if row is None:
            raise LedgerDamaged(path, "it has no id")
        self.ledger_id: str = row[0]
        self.chain = Chain(connection, path)
        self._prices = PriceNumbers(connection)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger for writing, and create what is missing."""
        return cls(open_for_writing(path), path)

    @classmethod
    def read(cls, path: Path, *, renews: bool = False) -> Self:
        """Open a ledger for reading only, beside a writer. A ledger that does not exist reads as an empty one.

        Raises OlderLedger for a ledger of an older batchrun; with `renews` the ledger is brought up to date instead.
        """
        try:
            connection = open_for_reading(path)
        except OlderLedger:
            if not renews:
                raise
            open_for_writing(path).close()
            connection = open_for_reading(path)
        return cls(connection, path) if connection else cls(empty(), None)

    def close(self) -> None:
        """Close the file; committed changes stay."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Close the file. An error that nobody expected is that of a damaged file, if the file is damaged."""
        unexpected = isinstance(error, Exception) and not isinstance(error, BatchrunError)
        fault = self.fault_behind(error) if unexpected else None
        self.close()
        if fault:
            raise fault from error

    def fault_behind(self, error: BaseException | None) -> BatchrunError | None:
        """Return the fault of the file that led to an error. Returns None if there is none, so that it is a bug."""
        if self.path is None:
            return None
        told = translated(error, self.path) if isinstance(error, sqlite3.DatabaseError) else None
        if isinstance(told, BatchrunError):
            return told
        why = damage(self.path, within_s=CHECK_S)
        return LedgerDamaged(self.path, why) if why else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes of the block or none, durable at its end; nobody else writes meanwhile.

        Raises StoreFull and EnvironmentProblem.
        """
        with explained(self.path):
            self.connection.execute("begin immediate")
            try:
                yield
                self.connection.execute("commit")
            except BaseException:
                self._prices.forget()
                if self.connection.in_transaction:
                    self.connection.execute("rollback")
                raise

    # --- one document

    def pending(self, run_no: int, *, since: int, after: int, limit: int, model: str | None = None) -> list[Pending]:
        """List the next documents that have no outcome and are in no batch, in the order of the plan.

        Only documents count that were admitted to the run at or after the sequence number `since`, and only requests to
        `model` if a model is named.
        """
        rows = self.connection.execute(
            f"select {PENDING} from documents d join requests r using (request_no)"
            " where d.run_no = ? and d.seq >= ? and d.document_no > ? and d.outcome is null and r.outcome is null"
            " and r.model = coalesce(?, r.model)"
            " and not exists (select 1 from attempts a where a.request_no = r.request_no and a.state = 'open'"
            "  and a.batch_no is not null)"
            " order by d.document_no limit ?",
            (run_no, since, after, model, limit),
        )
        return [pending_of(row) for row in rows]

    def documents_of(self, job: str, request_ids: Iterable[str]) -> list[Pending]:
        """List a document of the job for each of the requests."""
        rows = self.connection.execute(
            f"select {PENDING} from requests r join documents d on d.document_no ="
            "  (select min(document_no) from documents o where o.request_no = r.request_no and o.job = ?)"
            " where r.request_id in (select value from json_each(?))",
            (job, json.dumps(list(request_ids))),
        )
        return [pending_of(row) for row in rows]

    def reserve(
        self,
        pending: Pending,
        amount: Amount,
        *,
        run_no: int,
        job: str,
        model: str,
        caps: Caps,
        earlier: Sequence[str] = (),
    ) -> int | Taken | CapExceeded:
        """Reserve the worst case of one attempt, before the attempt is sent. Returns the attempt's number.

        `earlier` names the document's requests to the models before this one: the document's cap is over all of them.
        """
        settled, sending = self.connection.execute(
            "select outcome is not null,"
            " exists (select 1 from attempts a where a.request_no = requests.request_no and a.state = 'open')"
            " from requests where request_no = ?",
            (pending.request_no,),
        ).fetchone()
        if settled or sending:
            return Taken(settled=bool(settled))
        if caps.document:
            request_ids = [*earlier, pending.request_id]
            cap_usage = document_usage(self.connection, caps.document, run_no, pending.ref.doc_id, request_ids)
            if not cap_usage.fits(amount):
                return CapExceeded(cap_usage.used, cap_usage.cap, open_attempts=0)
        now = time.time()
        request_caps = RequestCaps(connection=self.connection, caps=caps, run_no=run_no, model=model, now=now)
        if refusal := request_caps.refusal(amount):
            return refusal
        cursor = self.connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, reserved_tokens,"
            " expected_nusd, started_at, model, turn) values (?, ?, ?, ?, 'open', ?, ?, ?, ?, ?,"
            "  (select turn from requests r where r.request_no = ?))",
            (
                pending.request_no, run_no, job, pending.ref.doc_id, amount.nusd, amount.tokens, amount.expected_nusd,
                now, model, pending.request_no,
            ),
        )  # fmt: skip
        return int(cursor.lastrowid or 0)

    def give_up(self, request_no: int, job: str, outcome: Outcome, reason: str) -> list[str]:
        """End a request without another attempt, unless the request is settled or just being sent.

        Returns the ids of the job's documents that have an outcome now.
        """
        given_up = self.connection.execute(
            "update requests set outcome = ?, reason = ?,"
            " attempt_no = (select max(attempt_no) from attempts a where a.request_no = requests.request_no)"
            " where request_no = ? and outcome is null and not exists"
            " (select 1 from attempts a where a.request_no = requests.request_no and a.state = 'open')",
            (outcome, reason, request_no),
        ).rowcount
        return self._settle_documents(request_no, job, None) if given_up else []

    def move(self, job: str, move: Move) -> Pending:
        """Pass the job's documents of one request to the same request to another model, and to its outcome if any.

        Documents of other jobs keep their request. All documents keep their request if it was settled meanwhile, for an
        identical document or by another job, unless the move is `escalated`. A document with a row does not pass to a
        request that has failed. Returns the document as the ledger has it afterwards.
        """
        was = move.pending
        if was.request_id == move.request_id:
            return was
        (settled,) = self.connection.execute(
            "select outcome is not null from requests where request_no = ?", (was.request_no,)
        ).fetchone()
        if settled and move.escalated is None:
            return was
        self.connection.execute(
            "insert into requests (request_id, model, counted_tokens, text_class, guessed, form_no, turn, max_tokens)"
            " values (?, ?, ?, ?, ?, (select form_no from requests r where r.request_no = ?), ?, ?)"
            " on conflict (request_id) do nothing",
            (
                move.request_id,
                move.model,
                was.counted_tokens,
                was.text_class,
                was.guessed,
                was.request_no,
                move.first_turn,
                move.max_tokens,
            ),
        )
        request_no, outcome, *turn = self.connection.execute(
            "select request_no, outcome, turn, partial from requests where request_id = ?", (move.request_id,)
        ).fetchone()
        if move.has_row and outcome is not None and Outcome(outcome).failed:
            return was  # a row that the cascade does not take is better than no row
        seq = self.next_seq()
        self.connection.execute(
            "update documents set request_no = ?, seq = ?, row_request_no = iif(?, ?, row_request_no),"
            " row_seq = iif(?, ?, row_seq) where job = ? and request_no = ? and outcome is null",
            (
                request_no, seq, outcome is not None, request_no if outcome == Outcome.SUCCEEDED else None,
                outcome is not None, seq,
                job, was.request_no,
            ),
        )  # fmt: skip
        if move.escalated is not None:
            escalated = self.connection.execute(
                "update attempts set escalated = ? where job = ?"
                " and attempt_no = (select attempt_no from requests where request_no = ?) returning attempt_no",
                (move.escalated, job, was.request_no),
            )
            self.chain.amend([attempt_no for (attempt_no,) in escalated.fetchall()])
        return replace(was, request_no=request_no, request_id=move.request_id, progress=Progress.of(*turn))

    def as_it_stands(self, pending: Pending) -> Pending:
        """Return a document with the turn that its request is due to ask now; another document may have asked on."""
        turn = self.connection.execute(
            "select turn, partial from requests where request_no = ?", (pending.request_no,)
        ).fetchone()
        return replace(pending, progress=Progress.of(*turn))

    def settle(self, end: Settlement) -> list[str]:
        """Record an attempt's reply, usage, cost and outcome together; the cost replaces the reservation.

        Returns the ids of the job's documents that have an outcome now: all that share the request, or none if the
        request has no outcome yet.
        """
        seq = self.next_seq()
        failure, reply, usage = end.failure, end.reply, end.reply.usage if end.reply else None
        tokens = usage or Usage()
        self.connection.execute(
            "update attempts set state = ?, cost_nusd = ?, ended_at = ?, outcome = ?, cause = ?, status = ?,"
            " error_type = ?, error_code = ?, message = ?, stop_reason = ?, api_request_id = ?,"
            " model = coalesce(?, model), input_tokens = ?, cache_write_5m_tokens = ?, cache_write_1h_tokens = ?,"
            " cache_read_tokens = ?, output_tokens = ?, thinking_tokens = ?, price_no = ?, latency_s = ?,"
            " first_byte_s = ?, escalated = ?, seq = ?, reason = ? where attempt_no = ?",
            (
                end.state, end.cost_nusd, time.time(), end.judged or end.outcome,
                failure and failure.name, failure.status if failure else 200 if reply else None,
                failure and failure.error_type, failure and failure.error_code, failure and failure.message,
                reply and reply.stop_reason,
                reply.api_request_id if reply else failure and failure.api_request_id,
                (reply and reply.model) or None, usage and tokens.input_tokens, usage and tokens.cache_write_5m_tokens,
                usage and tokens.cache_write_1h_tokens, usage and tokens.cache_read_tokens,
                usage and tokens.output_tokens, tokens.thinking_tokens, end.price and self._prices.number(end.price),
                end.latency_s, reply and reply.first_byte_s, end.escalated, seq, end.reason if reply else None,
                end.attempt_no,
            ),
        )  # fmt: skip
        if reply:
            self.connection.execute("insert into replies values (?, ?)", (end.attempt_no, reply.raw))
        if end.prompt:
            self._hold_less(end.attempt_no, end.prompt, seq)
        if end.progress:
            self._go_on(end.attempt_no, end.progress)
        settled = self._settle_request(end, seq) if end.outcome else []
        self.chain.append([end.attempt_no])
        return settled

    def conclude(self, end: Settlement) -> list[str]:
        """Give an attempt that is settled, and its request, the outcome that was held back.

        A request that was tried again or settled meanwhile keeps what it has. Returns what `settle` returns.
        """
        seq = self.next_seq()
        concluded = self.connection.execute(
            "update attempts set outcome = ?, seq = ? where attempt_no = ?"
            " and attempt_no = (select max(attempt_no) from attempts a where a.request_no = attempts.request_no)"
            " and request_no in (select request_no from requests where outcome is null)",
            (end.outcome, seq, end.attempt_no),
        ).rowcount
        if not concluded:
            return []
        settled = self._settle_request(end, seq)
        self.chain.amend([end.attempt_no])
        return settled

    def _hold_less(self, attempt_no: int, prompt: KnownPrompt, seq: int) -> None:
        """Hold lost answers to the same request at less: money was reserved for tokens that the prompt does not have.

        Each of these tokens was reserved at the price of input or more, in batches at half of that price.
        """
        held = self.connection.execute(
            "update attempts set reserved_tokens = :most, reserved_nusd = reserved_nusd"
            "  - (reserved_tokens - :most) * :input_nusd / iif(batch_no is null, 1, 2), seq = :seq"
            " where request_no = (select request_no from attempts where attempt_no = :attempt_no)"
            " and turn is (select turn from attempts where attempt_no = :attempt_no)"
            " and state = 'unknown' and cost_nusd is null and reserved_tokens > :most returning attempt_no",
            {"attempt_no": attempt_no, "most": prompt.most_tokens, "input_nusd": prompt.input_nusd, "seq": seq},
        )
        if lost := held.fetchall():
            self.chain.amend([attempt_no for (attempt_no,) in lost])

    def _go_on(self, attempt_no: int, progress: Progress) -> None:
        """Record how far the answer to an attempt's request has come, and what the next attempt asks."""
        self.connection.execute(
            "update requests set turn = ?, partial = ? where request_no ="
            " (select request_no from attempts where attempt_no = ?)",
            (progress.turn_json, progress.partial_json, attempt_no),
        )

    def _settle_request(self, end: Settlement, seq: int) -> list[str]:
        request_no, job = self.connection.execute(
            "update requests set outcome = ?, reason = ?, output = ?, findings = ?, attempt_no = ?"
            " where request_no = (select request_no from attempts where attempt_no = ?)"
            " returning request_no, (select job from attempts where attempt_no = ?)",
            (
                end.outcome, None if end.outcome is Outcome.SUCCEEDED else end.reason, end.output, end.findings,
                end.attempt_no, end.attempt_no, end.attempt_no,
            ),
        ).fetchone()  # fmt: skip
        return self._settle_documents(request_no, job, request_no if end.outcome is Outcome.SUCCEEDED else None, seq)

    def _settle_documents(
        self, request_no: int, job: str, row_request_no: int | None, seq: int | None = None
    ) -> list[str]:
        seq = seq or self.next_seq()
        rows = self.connection.execute(
            "update documents set row_request_no = ?, seq = ?, row_seq = ? where request_no = ? and outcome is null"
            " returning doc_id, job = ?",
            (row_request_no, seq, seq, request_no, job),
        )
        return [doc_id for doc_id, ours in rows.fetchall() if ours]

    def set_aside(self, document_no: int, outcome: Outcome, reason: str) -> None:
        """Settle a document that will not be sent after all. A row that the document has from before stays."""
        self.connection.execute(
            "update documents set outcome = ?, reason = ?, seq = ? where document_no = ?",
            (outcome, reason, self.next_seq(), document_no),
        )

    def has_answer(self, request_id: str) -> bool:
        """Whether the request has succeeded, or is the name of an answer that was merged from parts."""
        query = (
            "select 1 from requests where request_id = :id and outcome = 'succeeded'"
            " union all select 1 from former_merges where merged_of = :id"
        )
        return self.connection.execute(query, {"id": request_id}).fetchone() is not None

    def reply(self, attempt_no: int) -> str | None:
        """Return the body of the reply to an attempt. Returns None if the attempt had no reply."""
        row = self.connection.execute("select raw from replies where attempt_no = ?", (attempt_no,)).fetchone()
        return str(row[0]) if row else None

    # --- order

    def head(self, job: str) -> int:
        """Find the sequence number of the latest change to a job's documents, rows, attempts or merged answers."""
        return int(
            self.connection.execute(
                "select max(coalesce((select max(seq) from documents where job = ?), 0),"
                " coalesce((select max(seq) from attempts where job = ?), 0),"
                " coalesce((select max(row_seq) from documents where job = ?), 0),"
                " coalesce((select max(max(seq, row_seq)) from wholes where job = ?), 0))",
                (job, job, job, job),
            ).fetchone()[0]
        )

    def next_seq(self, count: int = 1) -> int:
        """Take the next `count` sequence numbers, and return the first.

        They are taken inside a write transaction, so that numbers become visible in their order.
        """
        row = self.connection.execute(
            "update meta set value = value + ? where key = 'sequence' returning value", (count,)
        ).fetchone()
        return int(row[0]) - count + 1


def pending_of(row: Sequence[Any]) -> Pending:
    """Read a document from the columns of `PENDING`."""
    number, doc_id, source, place, request_no, request_id, counted, text_class, max_tokens, guessed, *turn = row
    ref, progress = DocumentRef(doc_id, source, place), Progress.of(*turn)
    return Pending(
        number, ref, request_no, request_id, counted, TextClass(text_class), max_tokens, bool(guessed), progress
    )
