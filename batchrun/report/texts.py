"""What a report without texts keeps to itself: whatever a document or an answer says."""

from dataclasses import replace

from batchrun.answers.field_problems import field_of
from batchrun.outcome import Outcome
from batchrun.report.facts import Attention, RunReport

QUOTING = frozenset({Outcome.INVALID, Outcome.REFUSED})
"""The outcomes whose reasons may repeat words of an answer."""


def shown_reason(reason: str | None, outcome: str | None, fields: frozenset[str], *, has_texts: bool) -> str:
    """Return a reason as a report may show it: without texts, only the names of fields are left of some reasons."""
    if has_texts or outcome not in QUOTING:
        return reason or ""
    named = (field_of(part.partition(":")[0].strip()) for part in (reason or "").split(";"))
    return ", ".join(dict.fromkeys(name for name in named if name in fields))


def without_texts(report: RunReport) -> RunReport:
    """Return a report that says nothing that documents and answers say."""
    fields = frozenset(one.field for one in report.fields)
    counts: dict[tuple[str, str, str], int] = {}
    for one in report.attention:
        key = one.outcome, shown_reason(one.reason, one.outcome, fields, has_texts=False), one.command
        counts[key] = counts.get(key, 0) + one.documents
    attention = [Attention(outcome, reason, number, command) for (outcome, reason, command), number in counts.items()]
    return replace(report, attention=attention, checks=[replace(check, rows=()) for check in report.checks])
