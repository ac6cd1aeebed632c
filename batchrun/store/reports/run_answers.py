"""What a run has answered: one answer for each of the run's documents, whatever became of the documents later."""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger

LATEST = """
with own as (select job, fingerprint from runs where run_no = :run_no),
same as (select run_no from runs join own using (job, fingerprint) where run_no <= :run_no),
latest as (select doc_id, max(run_no) as run_no from run_answers where run_no in (select run_no from same)
    and (:among is null or doc_id in (select value from json_each(:among))) group by 1)
"""
"""A run with the prompt, schema and model of an earlier run leaves what the earlier run has answered as it is."""
ANSWERS = f"""{LATEST}
select doc_id, coalesce(r.outcome, iif(l.output is null, null, 'succeeded')), coalesce(l.output, r.output),
    r.request_no, r.request_id, r.findings
from latest join run_answers l using (run_no, doc_id) left join requests r using (request_no)
order by doc_id
"""
DOCUMENTS = f"""{LATEST}
select l.doc_id, coalesce(d.outcome, a.outcome,
        iif(later.run_no > :run_no, null, r.outcome),
        iif(l.output is not null, 'succeeded', iif(w.merged_of is not null, 'errored', null))) as ended,
    case when d.outcome is not null then d.reason when later.run_no > :run_no or r.outcome is null
        then coalesce(a.reason, a.cause || ': ' || a.message, w.reason) else coalesce(r.reason, w.reason) end,
    a.ended_at - a.started_at,
    a.input_tokens + a.cache_read_tokens + a.cache_write_5m_tokens + a.cache_write_1h_tokens,
    (select sum(coalesce(cost_nusd, reserved_nusd)) from attempts c indexed by attempts_request
        where c.request_no = l.request_no and c.run_no <= :run_no)
from latest join own join run_answers l using (run_no, doc_id) left join requests r using (request_no)
left join attempts a on a.attempt_no = (select max(attempt_no) from attempts x indexed by attempts_request
    where x.request_no = l.request_no and x.run_no <= :run_no and x.outcome is not null)
left join attempts later on later.attempt_no = r.attempt_no
left join documents d on d.job = own.job and d.doc_id = l.doc_id and d.run_no = l.run_no
left join wholes w on w.job = own.job and w.doc_id = l.doc_id and w.run_no = l.run_no
where :earlier or l.run_no = :run_no order by l.doc_id
"""
"""The ending in the run counts: a later run may have mended a document since."""

EXACT = json.JSONDecoder(parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """The answer for one document of a run."""

    doc_id: str
    outcome: Outcome | None
    """The outcome is None for a document whose request is pending, or that no request can be made for."""
    values: Mapping[str, Any] | None
    """The values that the model gave, by field, with fractions as Decimal. None without an answer."""
    request_no: int | None
    """None for a document that is asked in parts, or that no request can be made for."""
    request_id: str | None
    findings: Mapping[str, Any]
    """What was found out about the answer, as `Findings` has it as JSON. Empty if there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class RunDocument:
    """What became of one document of a run."""

    doc_id: str
    outcome: Outcome | None
    """None for a document whose request is pending."""
    reason: str | None
    """Why the document has no row. None if it has one, or if nothing is known."""
    seconds: float | None
    """How long the attempt took that settled the document. None without one, and for a document asked in parts."""
    input_tokens: int | None
    """The tokens of the prompt of that attempt, read from the cache or not. None as for `seconds`."""
    cost_nusd: int | None
    """The cost of all attempts until the end of the run, or their worst case. None as for `seconds`."""

    @property
    def failed(self) -> bool:
        """Whether a person has to look at the document."""
        return self.outcome is not None and self.outcome.failed


def run_documents(ledger: Ledger, run_no: int, *, about: int) -> Iterator[RunDocument]:
    """Read what became of a run's documents, in the order of their ids, one after the other.

    `about` says how many documents the run was about. If the run has looked at fewer, earlier runs had the others.
    """
    (own,) = ledger.connection.execute("select count(*) from run_answers where run_no = ?", (run_no,)).fetchone()
    named = {"run_no": run_no, "among": None, "earlier": own < about}
    for doc_id, outcome, *facts in ledger.connection.execute(DOCUMENTS, named):
        yield RunDocument(doc_id, outcome and Outcome(outcome), *facts)


def run_answers(ledger: Ledger, run_no: int, *, among: Iterable[str] | None = None) -> Iterator[RunAnswer]:
    """Read the answers for a run's documents, in the order of their ids; only for documents `among` these, if given.

    Documents that an earlier run of the job has answered with the same prompt, schema and model belong to the run.
    """
    wanted = None if among is None else json.dumps(list(among))
    rows = ledger.connection.execute(ANSWERS, {"run_no": run_no, "among": wanted})
    for doc_id, outcome, output, request_no, request_id, findings in rows:
        values = EXACT.decode(output) if output else None
        found = json.loads(findings) if findings else {}
        yield RunAnswer(doc_id, outcome and Outcome(outcome), values, request_no, request_id, found)


def side_by_side(
    before: Iterable[RunAnswer], now: Iterable[RunAnswer]
) -> Iterator[tuple[RunAnswer | None, RunAnswer | None]]:
    """Pair the answers of two runs by document, None for a run without the document; both have the order of the ids."""
    earlier, later = ((answer.doc_id, 0, answer) for answer in before), ((answer.doc_id, 1, answer) for answer in now)
    for _, group in groupby(heapq.merge(earlier, later, key=itemgetter(0)), key=itemgetter(0)):
        answers = {side: answer for _, side, answer in group}
        yield answers.get(0), answers.get(1)
