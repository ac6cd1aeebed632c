"""What answers a run has given: what needs attention, the fields, their evidence, their checks and their scores."""

from collections.abc import Iterator, Mapping, Sequence

from batchrun.catalog.money import dollars
from batchrun.quality.scores import FieldScore
from batchrun.report.charts.bars import Bar, Piece, bars
from batchrun.report.charts.card import card, chart_card, table
from batchrun.report.facts import PENDING, RunReport
from batchrun.report.markup import Markup, tag
from batchrun.store.reports.evidence import LOOKED_AT
from batchrun.wording import count

MOST_FIELDS = 30
"""How many fields a chart shows; the table behind the chart has all of them."""
KINDS = {"invalid": "c2", "truncated": "c3", "refused": "c5", PENDING: "none"}
"""How the bar of an outcome looks; other outcomes look like errors."""


def attention_card(report: RunReport) -> Markup | None:
    """Draw why documents have no row, with the commands that mend them. None if all documents have one."""
    title = "What needs attention"
    if not report.attention:
        return None
    rows = [
        Bar(label := f"{one.outcome}: {one.reason}" if one.reason else one.outcome,
            [Piece(one.documents, KINDS.get(one.outcome, "c4"), label)], f"{one.documents:,}")
        for one in report.attention
    ]  # fmt: skip
    cells = [(f"{one.outcome}: {one.reason}", f"{one.documents:,}", one.command) for one in report.attention]
    number = sum(one.documents for one in report.attention)
    caption = f"{count(number, 'document')} of {report.documents:,}, by reason."
    lines = dict.fromkeys((one.command, one.outcome) for one in report.attention)
    typed = tag(
        "ul", *(tag("li", tag("code", line), f" {_effect(line, name)}") for line, name in lines), class_="commands"
    )
    where = tag("p", "Type in the project's folder:", class_="caption")
    drawn = bars("attention-chart", title, caption, rows, begin=300.0)
    return chart_card("attention", title, caption, drawn, ("reason", "documents", "command"), cells, where, typed)


def _effect(line: str, outcome: str) -> str:
    does = {"retry": "tries {0} documents again", "submit": "goes on", "tune": "goes on with the tune"}
    return does.get(line.split()[1], "shows {0} documents").format(outcome)


def fields_card(report: RunReport) -> Markup | None:
    """Draw which share of the answers has a value in each field. None without answers."""
    if not report.fields:
        return None
    agreement = report.findings.agreement
    caption = " ".join([f"The share of {count(report.answers, 'answer')} that has a value.", *_findings(report)])
    parts = (("c1", "filled"), ("stripes", "a problem"), ("none", "null"))
    rows = [(one.field, (one.filled, one.invalid, one.null)) for one in report.fields]
    shares = {name: f"{share:.0%}" for name, share in agreement.items()}
    return _stacked_card("fields", "Field fill rate", caption, parts, rows, ("agreement of votes", shares))


def evidence_card(report: RunReport) -> Markup | None:
    """Draw how well documents support what was answered. None for a run without quotes."""
    found = report.findings
    if not found.fields:
        return None
    doubted, values = sum(one.disbelieved for one in found.fields), sum(one.values for one in found.fields)
    caption = f"{doubted:,} of {count(values, 'quoted value')} are not believed."
    if found.answers >= LOOKED_AT:
        caption += f" The latest {found.answers:,} answers were looked at."
    parts = (("c3", "quote found"), ("stripes", "with differences"), ("c4", "not found"), ("none", "nothing quoted"))
    rows = []
    for one in found.fields:
        told = [one.statuses.get("exact", 0) + one.statuses.get("close", 0)]
        told += [one.statuses.get(status, 0) for status in ("differs", "missing")]
        rows.append((one.field, (*told, one.values - sum(told))))
    doubts = {one.field: f"{one.disbelieved:,}" for one in found.fields}
    return _stacked_card("evidence", "Evidence", caption, parts, rows, ("not believed", doubts))


def _stacked_card(
    name: str, title: str, caption: str, parts: Sequence[tuple[str, str]], rows: Sequence[tuple[str, Sequence[int]]],
    more: tuple[str, Mapping[str, str]],
) -> Markup:  # fmt: skip
    """Draw a bar of parts for each field; `more` is a last column of the table, if there is anything to say in it."""
    shown = [
        Bar(field, [Piece(number, kind, f"{field}: {number:,} {words}")
                    for number, (kind, words) in zip(numbers, parts, strict=True)], _percent(numbers[0], sum(numbers)))
        for field, numbers in rows[:MOST_FIELDS]
    ]  # fmt: skip
    column, of_field = more
    header = ["field", *(words for _, words in parts), *([column] if of_field else [])]
    cells = [[field, *(f"{number:,}" for number in numbers), *([of_field.get(field, "")] if of_field else [])]
             for field, numbers in rows]  # fmt: skip
    drawn, entries = bars(f"{name}-chart", title, caption, shown), [(f"bar {kind}", words) for kind, words in parts]
    return chart_card(name, title, caption, drawn, header, cells, legend=entries)


def _percent(part: int, whole: int) -> str:
    """Write a share that is neither 0% nor 100% unless it is exactly that."""
    share = part / whole if whole else 0.0
    return f"{share:.0%}" if share in {0.0, 1.0} else f"{min(max(share, 0.01), 0.99):.0%}"


def _findings(report: RunReport) -> Iterator[str]:
    found = report.findings
    if found.repairs:
        mended = count(found.mended, "answer was", "answers were")
        yield f"{mended} mended by {count(found.repairs, 'repair')} for {dollars(found.repairs_nusd)}."
    if found.nulled or found.normalised:
        yield f"{found.nulled:,} values became null, and {found.normalised:,} were written in another way."
    if found.voted:
        least = ", ".join(f"{name} {share:.0%}" for name, share in list(found.agreement.items())[:3])
        yield f"{count(found.voted, 'document')} took {found.votes / found.voted:.1f} votes each; least agreement:"
        yield f"{least}."


def checks_card(report: RunReport) -> Markup | None:
    """List what came of the checks. None if none ran."""
    if not report.checks:
        return None
    words = {"passed": "passed", "failed": "failed", "could_not_run": "could not run"}
    rows = [(one.name, words[one.status] + (", a warning" if one.status != "passed" and not one.fails else ""),
             one.sentence) for one in report.checks]  # fmt: skip
    failing = sum(one.status != "passed" for one in report.checks)
    caption = f"{failing:,} of {count(len(rows), 'check')} did not pass." if failing else "All checks passed."
    return card("checks", "Checks", caption, table("Checks", ("check", "result", "what was found"), rows))


def gold_card(report: RunReport) -> Markup | None:
    """List how right the answers are by gold labels, with intervals at 90%. None if no document has labels."""
    gold, title = report.gold, "Held against gold labels"
    if gold is None:
        return None
    if gold.scores is None:
        return card("gold", title, f"The labels cannot be read: {gold.problem}")
    scores = gold.scores
    caption = f"{count(scores.documents, 'document')} with labels in {gold.labels}."
    if not scores.enough:
        caption += " So few documents say little: the intervals are wide."
    header = ("field", "right", "of", "accuracy (90%)", "precision", "recall", "F1")
    rows = [_score(one) for one in (*scores.fields[:MOST_FIELDS], scores.pooled)]
    return card("gold", title, caption, table(title, header, rows))


def _score(one: FieldScore) -> tuple[str, ...]:
    accuracy = f"{one.accuracy.mean:.1%} ({one.accuracy.low:.1%} to {one.accuracy.high:.1%})"
    asked = round(one.right / one.accuracy.mean) if one.accuracy.mean else one.documents
    shares = (f"{share.mean:.1%}" for share in (one.precision, one.recall, one.f1))
    return (one.name, f"{one.right:,}", f"{asked:,}", accuracy, *shares)


def escalated_card(report: RunReport) -> Markup | None:
    """List how many answers of each model were passed to the next one. None without a cascade."""
    if not report.escalations:
        return None
    rows = [
        (one.model, f"{one.answers:,}", f"{one.escalated:,}", f"{one.escalated / one.answers:.1%}",
         "; ".join(f"{number:,} {reason}" for reason, number in one.reasons.items()))
        for one in report.escalations
    ]  # fmt: skip
    header = ("model", "answers", "passed on", "share", "why")
    return card("cascade", "Cascade", "Answers that were passed to the next model.", table("Cascade", header, rows))
