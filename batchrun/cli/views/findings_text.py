"""What was found out about the answers of a run, for people and for programs: evidence, repairs, changed values."""

from collections.abc import Sequence

from batchrun.catalog.money import dollars
from batchrun.cli.views.format import count, cut
from batchrun.escaping import escape_control
from batchrun.report.summary_json import STATUSES
from batchrun.store.reports.evidence import LOOKED_AT, FieldEvidence, RunFindings

MOST_FIELDS = 8
"""How many fields have a line; programs get all."""
LONGEST_NAME = 40
"""How many characters of a field's name are shown."""
MOST_DISAGREEING = 3
"""How many fields the line on votes names; programs get all."""


def findings_lines(found: RunFindings) -> list[str]:
    """One line for each field with evidence, and one for each way in which answers were changed."""
    lines = [*evidence_lines(found.fields), *votes_lines(found)]
    if found.repairs:
        paid = f"{count(found.repairs, 'repair')} for {dollars(found.repairs_nusd)}"
        lines.append(f"  mended   {count(found.mended, 'answer was', 'answers were')} mended, with {paid}")
    if found.nulled:
        lines.append(f"  nulled   {count(found.nulled, 'value')} that failed or had no support")
    if found.normalised:
        lines.append(f"  spelling {count(found.normalised, 'value was', 'values were')} normalised")
    if lines and found.answers >= LOOKED_AT:
        lines.append(f"           all but repairs in the latest {found.answers:,} answers")
    return lines


def votes_lines(found: RunFindings) -> list[str]:
    """`votes    1,204 documents, 2.1 votes each · least agreement: term 81% · title 99%`; no line without votes."""
    if not found.voted:
        return []
    least = list(found.agreement.items())[:MOST_DISAGREEING]
    shares = " · ".join(f"{escape_control(cut(name, LONGEST_NAME))} {percent(share)}" for name, share in least)
    each = f"{count(found.voted, 'document')}, {found.votes / found.voted:.1f} votes each"
    return [f"  votes    {each} · least agreement: {shares}"]


def evidence_lines(fields: Sequence[FieldEvidence]) -> list[str]:
    """The least believed fields, with the shares of their statuses."""
    lines = [f"  evidence {field_words(field)}" for field in fields[:MOST_FIELDS]]
    more = len(fields) - MOST_FIELDS
    return [*lines, f"  evidence and {count(more, 'more field')}"] if more > 0 else lines


def field_words(field: FieldEvidence) -> str:
    """`term: 200 values, 12 not believed · exact 91% · differs 6% · none 3%`."""
    shares = [f"{status} {percent(field.share(status))}" for status in STATUSES if field.statuses.get(status)]
    doubted = f", {field.disbelieved:,} not believed" if field.disbelieved else ""
    name = cut(field.field, LONGEST_NAME)
    return " · ".join([f"{escape_control(name)}: {count(field.values, 'value')}{doubted}", *shares])


def percent(share: float) -> str:
    """`91%`; a share is neither 0% nor 100% unless it is exactly that."""
    return f"{share:.0%}" if share in {0.0, 1.0} else f"{min(max(share, 0.01), 0.99):.0%}"
