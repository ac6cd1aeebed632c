"""What a report without texts keeps to itself: whatever a document or an answer says."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from batchrun.answers.field_problems import field_of
from batchrun.outcome import Outcome
from batchrun.report.facts import Attention, RunReport

QUOTING = frozenset({Outcome.INVALID, Outcome.REFUSED})
"""The outcomes whose reasons may repeat words of an answer."""


def plain_reason(reason: str | None, outcome: str | None, fields: Collection[str]) -> str:
    """Return a reason without words of an answer: of a reason that may have some, only names of fields are left."""
    if outcome not in QUOTING:
        return reason or ""
    named = (field_of(part.partition(":")[0].strip()) for part in (reason or "").split(";"))
    return ", ".join(dict.fromkeys(name for name in named if name in fields))


def without_texts(report: RunReport) -> RunReport:
    """Return a report that says nothing that documents and answers say."""
    fields = [one.field for one in report.fields]
    counts = Counter[tuple[str, str, str]]()
    for one in report.attention:
        counts[one.outcome, plain_reason(one.reason, one.outcome, fields), one.command] += one.documents
    attention = [Attention(outcome, reason, number, command) for (outcome, reason, command), number in counts.items()]
    return replace(report, attention=attention, checks=[replace(check, rows=()) for check in report.checks])
