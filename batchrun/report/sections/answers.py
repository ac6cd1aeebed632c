"""What answers a run has given: what needs attention, the fields, their evidence, their checks and their scores."""

from collections.abc import Iterator

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
    caption = f"{count(number, 'document')} of {report.documents:,}, by reason. Type in the project's folder:"
    lines = dict.fromkeys((one.command, one.outcome) for one in report.attention)
    typed = tag(
        "ul", *(tag("li", tag("code", line), f" {_effect(line, name)}") for line, name in lines), class_="commands"
    )
    drawn = bars("attention-chart", title, caption, rows, begin=300.0)
    return chart_card("attention", title, caption, drawn, ("reason", "documents", "command"), cells, typed)


def _effect(line: str, outcome: str) -> str:
    does = {"retry": "tries {0} documents again", "submit": "goes on", "tune": "goes on with the tune"}
    return does.get(line.split()[1], "shows {0} documents").format(outcome)


def fields_card(report: RunReport) -> Markup | None:
    """Draw which share of the answers has a value in each field. None without answers."""
    title, whole = "Field fill rate", report.answers
    if not report.fields:
        return None
    rows = [
        Bar(one.field,
            [Piece(one.filled, "c1", f"{one.field}: {one.filled:,} filled"),
             Piece(one.invalid, "stripes", f"{one.field}: {one.invalid:,} with a problem"),
             Piece(one.null, "none", f"{one.field}: {one.null:,} null")], _percent(one.filled, whole))
        for one in report.fields[:MOST_FIELDS]
    ]  # fmt: skip
    agreement = report.findings.agreement
    header = ("field", "filled", "null", "with a problem", *(["agreement of votes"] if agreement else []))
    cells = [
        (one.field, f"{one.filled:,}", f"{one.null:,}", f"{one.invalid:,}",
         *([f"{agreement[one.field]:.0%}" if one.field in agreement else ""] if agreement else []))
        for one in report.fields
    ]  # fmt: skip
    caption = " ".join([f"The share of {count(whole, 'answer')} that has a value.", *_findings(report)])
    return chart_card("fields", title, caption, bars("fields-chart", title, caption, rows), header, cells,
                      legend=[("bar c1", "filled"), ("bar stripes", "a problem"), ("bar none", "null")])  # fmt: skip


def _percent(part: int, whole: int) -> str:
    """Write a share that is neither 0% nor 100% unless it is exactly that."""
    share = part / whole if whole else 0.0
    return f"{share:.0%}" if share in {0.0, 1.0} else f"{min(max(share, 0.01), 0.99):.0%}"


def evidence_card(report: RunReport) -> Markup | None:
    """Draw how well documents support what was answered. None for a run without quotes."""
    found, title = report.findings, "Evidence"
    if not found.fields:
        return None
    shown = [
        (one.field, one.statuses.get("exact", 0) + one.statuses.get("close", 0), one.statuses.get("differs", 0),
         one.statuses.get("missing", 0), one.values, one.disbelieved)
        for one in found.fields
    ]  # fmt: skip
    rows = [
        Bar(field, [Piece(good, "c3", f"{field}: {good:,} quotes found"),
                    Piece(partly, "stripes", f"{field}: {partly:,} found with differences"),
                    Piece(missing, "c4", f"{field}: {missing:,} not found"),
                    Piece(values - good - partly - missing, "none", f"{field}: nothing quoted")],
            _percent(good, values))
        for field, good, partly, missing, values, _ in shown[:MOST_FIELDS]
    ]  # fmt: skip
    entries = (("bar c3", "quote found"), ("bar stripes", "with differences"), ("bar c4", "not found"),
               ("bar none", "nothing quoted"))  # fmt: skip
    header = ("field", "quote found", "with differences", "not found", "values", "not believed")
    cells = [(field, *(f"{number:,}" for number in numbers)) for field, *numbers in shown]
    doubted, values = sum(one.disbelieved for one in found.fields), sum(one.values for one in found.fields)
    caption = f"{doubted:,} of {count(values, 'quoted value')} are not believed."
    if found.answers >= LOOKED_AT:
        caption += f" The latest {found.answers:,} answers were looked at."
    drawn = bars("evidence-chart", title, caption, rows)
    return chart_card("evidence", title, caption, drawn, header, cells, legend=entries)


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
