"""What a run left to be looked at: the reasons of its failed documents, and the fields of its answers."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger

LOOKED_AT = 100_000
"""How many answers of a run are read for the rates of its fields."""
MOST_REASONS = 100
MOST_FIELDS = 200
LONGEST_REASON = 200
"""How many characters of a reason are kept."""

# The ending in this run counts: a later run may have mended the document since. A document without a request of its
# own (unreadable, skipped) has its reason by itself, as have the parts of long documents.
ENDED = f"""
with own as (
    select doc_id, request_no from run_answers where run_no = :run_no
    union select doc_id, request_no from documents where run_no = :run_no and whole is not null),
endings as (
    select coalesce(d.outcome, a.outcome,
            iif(later.run_no > :run_no, null, r.outcome)) as ended,
        substr(case when d.outcome is not null then d.reason when later.run_no > :run_no or r.outcome is null
            then coalesce(a.reason, a.cause || ': ' || a.message) else r.reason end, 1, {LONGEST_REASON}) as why
    from own left join documents d on d.job = :job and d.doc_id = own.doc_id and d.run_no = :run_no
    left join requests r on r.request_no = own.request_no
    left join attempts a on a.attempt_no = (
        select max(attempt_no) from attempts x indexed by attempts_request
        where x.request_no = own.request_no and x.run_no = :run_no and x.outcome is not null)
    left join attempts later on later.attempt_no = r.attempt_no
    where ended is not null or own.request_no is not null)
"""
REASONS = f"""{ENDED}
select ended, why, count(*) from endings where ended is null or ended not in ('succeeded', 'skipped')
group by ended, why order by count(*) desc, ended, why limit {MOST_REASONS}
"""
ANSWERS = """
select coalesce(l.output, r.output), coalesce(r.findings, (select w.findings from wholes w
    where w.job = :job and w.doc_id = l.doc_id and r.request_no is null))
from run_answers l left join requests r using (request_no)
where l.run_no = :run_no and (l.output is not null or r.outcome = 'succeeded' and r.output is not null
    and not exists (select 1 from attempts a where a.attempt_no = r.attempt_no and a.run_no > :run_no)) limit :most
"""
"""The answers of a run, without those that a later run has mended."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Documents that have no row for the same reason."""

    outcome: Outcome | None
    """The outcome is None for documents whose request is pending."""
    reason: str | None
    documents: int


@dataclass(frozen=True, slots=True)
class FieldRate:
    """What answers have in one field."""

    field: str
    filled: int
    null: int
    """Answers in which the model gave null, or no value."""
    invalid: int
    """Answers whose value has a problem, whether the value became null or was kept in doubt."""


def endings(ledger: Ledger, run_no: int, job: str) -> list[Ending]:
    """List why documents of a run have no row, the most frequent reasons first."""
    rows = ledger.connection.execute(REASONS, {"run_no": run_no, "job": job})
    return [Ending(outcome and Outcome(outcome), reason, documents) for outcome, reason, documents in rows]


def ended_outcomes(ledger: Ledger, run_no: int, job: str) -> dict[Outcome | None, int]:
    """Count the documents of a run by the outcome that they had in the run; None stands for pending."""
    rows = ledger.connection.execute(
        f"{ENDED} select ended, count(*) from endings group by 1", {"run_no": run_no, "job": job}
    )
    return {outcome and Outcome(outcome): count for outcome, count in rows}


def field_rates(ledger: Ledger, run_no: int, job: str) -> tuple[int, Sequence[FieldRate]]:
    """Count what a run's answers have in each field. Returns how many answers were read, and the fields in order."""
    answers, present = 0, dict[str, None]()
    filled, invalid = Counter[str](), Counter[str]()
    for output, findings in ledger.connection.execute(ANSWERS, {"run_no": run_no, "job": job, "most": LOOKED_AT}):
        answers += 1
        values = json.loads(output)
        problems = json.loads(findings).get("problems", ()) if findings and '"problems"' in findings else ()
        for name in problems:
            invalid[name] += 1
        for name, value in values.items():
            if name not in present:
                present[name] = None
            if value is not None and name not in problems:
                filled[name] += 1
    rates = [
        FieldRate(name, filled[name], answers - filled[name] - invalid[name], invalid[name])
        for name in list(present)[:MOST_FIELDS]
    ]
    return answers, rates
