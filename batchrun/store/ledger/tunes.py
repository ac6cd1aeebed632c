"""Tunes in the ledger: what a tune has spent, and the answers that settings gave."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batchrun.catalog.price import ModelPrice
from batchrun.job.tune_section import TUNED
from batchrun.outcome import Outcome
from batchrun.reply import Usage
from batchrun.store.ledger.ledger import Ledger

ANSWERS = """
with asked as materialized (select value as request_id from json_each(?))
select r.request_id, r.outcome, r.output, r.findings, (
    select json_group_array(json_array(
        coalesce(a.input_tokens, 0) + coalesce(a.cache_write_5m_tokens, 0) + coalesce(a.cache_write_1h_tokens, 0)
            + coalesce(a.cache_read_tokens, 0),
        coalesce(a.output_tokens, 0), a.latency_s))
    from attempts a where a.request_no = r.request_no and a.state = 'answered')
from asked join requests r using (request_id) where r.outcome is not null
"""


LAST = """
select after_attempt from tunes where tune_no = (select max(tune_no) from tunes where job = ?)
"""


@dataclass(frozen=True, slots=True)
class TunedAnswer:
    """What one setting gave for one document."""

    values: Mapping[str, Any] | None
    """The values by field, with fractions as Decimal. None if the request has failed."""
    cost_nusd: int | None
    """The price of all replies, streamed and without the prompt cache. None if the answer needed no reply."""
    latency_s: float | None
    """How long all replies took together. None if they came in batches."""
    quoted: int
    """How many values were asked for with a quote."""
    disbelieved: int
    """How many of these values the document does not support."""


class Tunes:
    """The tunes of one job on a ledger's connection; methods that write belong inside `transaction()`."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._connection = ledger.connection
        self._job = job

    def begin(self, digest: str) -> int:
        """Begin a tune. Returns the number of the last attempt before the tune: later ones are the tune's own."""
        (after_attempt,) = self._connection.execute("select coalesce(max(attempt_no), 0) from attempts").fetchone()
        self._connection.execute(
            "insert into tunes (job, digest, after_attempt, started_at) values (?, ?, ?, ?)",
            (self._job, digest, after_attempt, time.time()),
        )
        return int(after_attempt)

    def unfinished(self, digest: str) -> int | None:
        """Return what `begin` returned for the job's last tune. Returns None if it has ended or had another digest."""
        row = self._connection.execute(f"{LAST} and digest = ? and ended_at is null", (self._job, digest)).fetchone()
        return row[0] if row else None

    def end(self) -> None:
        """End the job's last tune: the same command begins another one."""
        self._connection.execute(
            "update tunes set ended_at = ? where tune_no = (select max(tune_no) from tunes where job = ?)",
            (time.time(), self._job),
        )

    def keep_frontier(self, frontier: str) -> None:
        """Keep what the job's last tune has found so far, as JSON."""
        self._connection.execute(
            "update tunes set frontier = ? where tune_no = (select max(tune_no) from tunes where job = ?)",
            (frontier, self._job),
        )

    def frontier(self, *, until: float) -> str | None:
        """Read what the job's last tune has found that began until then, as JSON. Returns None if none has."""
        row = self._connection.execute(
            "select frontier from tunes where job = ? and started_at <= ? and frontier is not null"
            " order by tune_no desc limit 1",
            (self._job, until),
        ).fetchone()
        return row[0] if row else None

    def committed_nusd(self, after_attempt: int, *, besides: int | None = None) -> int:
        """Add up what a tune has spent, and holds for lost answers; the run `besides` is left out.

        The attempts count and not the runs, because a tune may go on with a run of an earlier tune.
        """
        row = self._connection.execute(
            "select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) from attempts"
            " where job = ? and attempt_no > ? and run_no is not ?",
            (self._job + TUNED, after_attempt, besides),
        ).fetchone()
        return int(row[0])

    def answers(self, request_ids: Iterable[str], price: ModelPrice) -> dict[str, TunedAnswer]:
        """Read the answers to those of the requests that are settled, whichever job has paid for them."""
        rows = self._connection.execute(ANSWERS, (json.dumps(list(request_ids)),))
        return {request_id: _answer(price, *columns) for request_id, *columns in rows}


def _answer(price: ModelPrice, outcome: str, output: str | None, findings: str | None, replies: str) -> TunedAnswer:
    spent = json.loads(replies)
    seconds = [latency_s for _, _, latency_s in spent if latency_s is not None]
    evidence = json.loads(findings).get("evidence", {}) if findings else {}
    told = [one for value in evidence.values() for one in (value if isinstance(value, list) else [value])]
    quoted = [one for one in told if one.get("status")]
    return TunedAnswer(
        json.loads(output, parse_float=Decimal) if output and outcome == Outcome.SUCCEEDED else None,
        sum(price.cost_nusd(Usage(input_tokens=prompt, output_tokens=given)) for prompt, given, _ in spent) or None,
        sum(seconds) if seconds else None,
        len(quoted),
        sum(one.get("problem") is not None for one in quoted),
    )
