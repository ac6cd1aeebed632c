"""How the answers of a run are supported by documents and by votes, field by field, and what was mended."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from batchrun.store.ledger.ledger import Ledger

LOOKED_AT = 5_000
"""How many of the latest answers of a run are read: with fifteen quotes each, reading them takes a second."""

ANSWERS = """
with answers as (
    select findings, output from requests
    where request_no in (select request_no from documents where run_no = :run_no and not merges
            union select request_no from run_answers where run_no = :run_no)
        and outcome = 'succeeded' and findings is not null
    order by request_no desc limit :most
)
"""
"""The findings and outputs of a run's answers, without those of requests that only merge answers.

A document that a later run has asked again is among the answers of the earlier run."""
FIELDS = f"""{ANSWERS}
select field.key, json_extract(told.value, '$.status') as status, count(*), count(json_extract(told.value, '$.problem'))
from answers, json_each(answers.findings, '$.evidence') field,
    json_each(iif(field.type = 'array', field.value, json_array(json(field.value)))) told
where status is not null group by field.key, status
"""
"""The evidence of a list may be a list, with a place for each entry."""
CHANGED = f"""{ANSWERS}
select count(*), coalesce(sum((select count(*) from json_each(answers.findings, '$.problems') problem where not exists (
        select 1 from json_each(answers.output) value where value.key = problem.key and value.type <> 'null'))), 0),
    coalesce(sum((select count(*) from json_each(answers.findings, '$.originals'))), 0)
from answers
"""
AGREEMENT = f"""{ANSWERS}
select field.key, avg(field.value), count(*), sum(answers.findings ->> 'votes')
from answers, json_each(answers.findings, '$.agreement') field group by field.key order by 2, 1
"""
MENDED = """
select count(distinct iif(r.outcome = 'succeeded', request_no, null)), count(*), coalesce(sum(a.cost_nusd), 0)
from attempts a indexed by attempts_run join requests r using (request_no)
where a.run_no = ? and a.state = 'answered' and json_extract(a.turn, '$.repairs') > 0
"""


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """How well documents support what answers say for one field."""

    field: str
    values: int
    """How many values were asked for with a quote."""
    statuses: Mapping[str, int]
    """How many values have each status of `Located`, or "none" if there was nothing to quote."""
    disbelieved: int
    """How many values have a problem, whatever became of the values."""

    def share(self, status: str) -> float:
        """Return the share of values that have a status."""
        return self.statuses.get(status, 0) / self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFindings:
    """What was found out about the answers of a run."""

    answers: int
    """How many answers were read: at most `LOOKED_AT`, and no answer of which there is nothing to tell."""
    fields: Sequence[FieldEvidence]
    """The least believed fields first; empty for a job without evidence."""
    mended: int
    """How many answers became rows by repairs."""
    repairs: int
    """How many repairs were answered, in vain or not."""
    repairs_nusd: int
    nulled: int
    """How many fields are null that had another value."""
    normalised: int
    """How many values were written in another way."""
    voted: int = 0
    """How many answers were chosen by votes."""
    votes: int = 0
    """How many votes these answers took."""
    agreement: Mapping[str, float] = field(default_factory=dict)
    """The share of votes that agree with a value, on average, by field: the least share first. Empty without votes."""


def run_findings(ledger: Ledger, run_no: int) -> RunFindings:
    """Read what was found out about the answers to a run's documents."""
    looked_at = {"run_no": run_no, "most": LOOKED_AT}
    answers, nulled, normalised = ledger.connection.execute(CHANGED, looked_at).fetchone()
    agreed = ledger.connection.execute(AGREEMENT, looked_at).fetchall()
    mended, repairs, repairs_nusd = ledger.connection.execute(MENDED, (run_no,)).fetchone()
    return RunFindings(
        answers=answers,
        fields=_fields(ledger.connection.execute(FIELDS, looked_at).fetchall()),
        mended=mended,
        repairs=repairs,
        repairs_nusd=repairs_nusd,
        nulled=nulled,
        normalised=normalised,
        voted=max((voted for *_, voted, _ in agreed), default=0),
        votes=max((votes for *_, votes in agreed), default=0),
        agreement={name: share for name, share, *_ in agreed},
    )


def _fields(rows: Sequence[tuple[str, str, int, int]]) -> list[FieldEvidence]:
    """Add up the rows of each field, the least believed fields first."""
    statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    disbelieved: Counter[str] = Counter()
    for name, status, values, problems in rows:
        statuses[name][status] += values
        disbelieved[name] += problems
    fields = [FieldEvidence(name, found.total(), dict(found), disbelieved[name]) for name, found in statuses.items()]
    return sorted(fields, key=lambda one: (-one.disbelieved / one.values, -one.share("missing"), one.field))
