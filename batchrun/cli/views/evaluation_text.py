"""How right the answers of a run are, for people and for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from batchrun.cli.views.comparison_json import gold_fields
from batchrun.cli.views.comparison_text import gold_words
from batchrun.cli.views.format import count, cut, labelled, table
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control
from batchrun.estimation.interval import Interval
from batchrun.quality.evaluate import Evaluation, GoldScores, WrongField
from batchrun.quality.scores import ENOUGH_DOCUMENTS, Confused, FieldScore, Scores
from batchrun.report.summary_json import scores_as_json

MOST_NAMED = 5
"""How many ids of documents, and how many wrong fields of a document, are shown; JSON has all."""
MOST_PAIRS = 10
"""How many pairs of a label and another answer are shown of an enum."""
MOST_OF_VALUE = 300
"""How many characters of a value are shown."""
NAME_WIDTH = 30


def evaluation_as_text(evaluation: Evaluation, terminal: Terminal) -> str:
    """The whole evaluation."""
    width, story = terminal.width(), evaluation.story
    verdict = f"{story.job} run {story.run_id}: {right_words(evaluation.scores)} by {evaluation.labels}"
    parts = [
        [terminal.simulated_stamp(story.simulated) + verdict, *remarks(evaluation)],
        field_lines(evaluation.scores, width),
        *(confusion_lines(name, pairs, width) for name, pairs in evaluation.confusions.items()),
        *(list(wrong_lines(doc_id, fields, width)) for doc_id, fields in evaluation.worst.items()),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def right_words(scores: Scores) -> str:
    """`91.9% right (90%: 89.1% to 94.0%)`, or counts if there are too few documents for a share."""
    if not scores.enough:
        return f"{scores.pooled.right:,} of {count(scores.asked, 'value')} right"
    accuracy = scores.pooled.accuracy
    return f"{accuracy.mean:.1%} right (90%: {accuracy.low:.1%} to {accuracy.high:.1%})"


def gold_lines(gold: GoldScores) -> list[str]:
    """The line of the summary: how right the answers are, and the field that is least often right, if any is wrong."""
    if gold.scores is None:
        return [f"  gold     {escape_control(gold.problem)}"]
    scores = gold.scores
    line = f"  gold     {right_words(scores)} by {gold.labels}, {count(scores.documents, 'document')}"
    least = min(scores.fields, key=lambda field: field.right / field.documents)
    if least.right < least.documents:
        share = f"{least.accuracy.mean:.1%}" if scores.enough else f"{least.right:,} of {least.documents:,}"
        line += f" · least: {least.name} {share}"
    return [line]


def remarks(evaluation: Evaluation) -> Iterator[str]:
    """Which documents count, and what was asked of the numbers."""
    scores, missing = evaluation.scores, evaluation.not_in_run
    yield f"  labels   {count(scores.documents, 'document')}, {count(len(scores.fields), 'field')}"
    if evaluation.without_answer:
        what = count(evaluation.without_answer, "document")
        yield f"           {what} without an answer, counted as null in all fields"
    if missing:
        names = ", ".join(escape_control(name) for name in missing[:MOST_NAMED])
        more = ", …" if len(missing) > MOST_NAMED else ""
        yield f"           {count(len(missing), 'document')} with labels not in this run: {names}{more}"
    if not scores.enough:
        yield "           too few documents for shares: counts are shown"
    if scores.pooled.greedy:
        yield "           the entries of very long lists are paired only about best"
    if evaluation.change:
        change, verdict = gold_words(evaluation.change)
        yield f"  against  {evaluation.against}: {change}"
        yield f"           {verdict}"
    elif evaluation.against:
        yield f"  against  {evaluation.against}: no document with labels belongs to both runs"
    if evaluation.fail_under is not None:
        reached = "is below" if evaluation.is_under else "is at least"
        low = scores.pooled.accuracy.low
        yield f"  bound    {low:.1%}, the lower bound of right answers, {reached} {evaluation.fail_under:.1%}"


def field_lines(scores: Scores, width: int | None) -> list[str]:
    """A line for each field, and one for all fields together. Columns that a terminal has no room for are left out."""
    rows = [score_cells(field, field.documents) for field in scores.fields]
    rows += [score_cells(scores.pooled, scores.asked)] if len(rows) > 1 else []
    header = [name for name in rows[0] if scores.enough or name not in {"F1 (90%)", "OF"}]
    for left_out in (None, "OF", "PRECISION", "RECALL"):
        header = [name for name in header if name != left_out]
        shown = header if scores.enough else [name.removesuffix(" (90%)") for name in header]
        lines = table(shown, [[row[name] for name in header] for row in rows]).split("\n")
        if width is None or len(lines[0]) <= width:
            break
    return [cut(line, width) for line in lines]


def score_cells(field: FieldScore, asked: int) -> dict[str, str]:
    """The scores of a field of which so many values were asked, by column: counts if there are too few documents."""
    few = field.documents < ENOUGH_DOCUMENTS

    def shown(whole: int, share: str) -> str:
        return "-" if not whole else f"{field.hits:g} of {whole:,}" if few else share

    return {
        "FIELD": cut(field.name, NAME_WIDTH),
        "RIGHT (90%)": f"{field.right:,} of {asked:,}" if few else share_words(field.accuracy),
        "OF": f"{asked:,}",
        "PRECISION": shown(field.given, f"{field.precision.mean:.1%}"),
        "RECALL": shown(field.gold, f"{field.recall.mean:.1%}"),
        "F1 (90%)": "-" if few or not field.gold + field.given else share_words(field.f1),
    }


def share_words(interval: Interval) -> str:
    """`95.0% (91.8 to 97.0)`."""
    return f"{interval.mean:.1%} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def confusion_lines(name: str, pairs: Sequence[Confused], width: int | None) -> list[str]:
    """What was answered for which label, where the two differ; no line if they never differ."""
    wrong = [pair for pair in pairs if pair.gold != pair.answer]
    lines = [
        f"  {shown_value(pair.gold)} -> {shown_value(pair.answer)}: {pair.documents:,}" for pair in wrong[:MOST_PAIRS]
    ]
    more = [f"  and {count(len(wrong) - MOST_PAIRS, 'more pair')}"] if len(wrong) > MOST_PAIRS else []
    return [cut(line, width) for line in [f"{name}, label -> answer", *lines, *more]] if wrong else []


def wrong_lines(doc_id: str, fields: Sequence[WrongField], width: int | None) -> Iterator[str]:
    """The wrong fields of a document, each with its label, its answer and the quote that the model gave."""
    yield cut(f"{escape_control(doc_id)}   {count(len(fields), 'field')} wrong", width)
    for field in fields[:MOST_NAMED]:
        yield cut(f"  {field.field}", width)
        yield from labelled("label", shown_value(field.label), width=width, indent=4)
        yield from labelled("answer", shown_value(field.answer), width=width, indent=4)
        yield from quote_lines(field, width)
    if len(fields) > MOST_NAMED:
        yield f"  and {count(len(fields) - MOST_NAMED, 'more field')}"


def quote_lines(field: WrongField, width: int | None) -> Iterator[str]:
    """The evidence for a wrong answer; the first place of a list's."""
    told = field.evidence[:1] if isinstance(field.evidence, list) else [field.evidence]
    for one in filter(None, told):
        pages = one.get("pages", ())
        where = f", page {', '.join(map(str, pages))}" if pages else ""
        yield from labelled("quote", f"{one['status']}{where}: {one.get('text') or ''}", width=width, indent=4)


def shown_value(value: Any) -> str:
    """A value as JSON has the value; what JSON lacks is text."""
    return escape_control(cut(json.dumps(value, ensure_ascii=False, default=str), MOST_OF_VALUE))


def evaluation_as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation for programs, in which fractions of answers are Decimal."""
    story, change = evaluation.story, evaluation.change
    return {
        "job": story.job,
        "run": story.run_id,
        "simulated": story.simulated,
        "labels": evaluation.labels,
        **scores_as_json(evaluation.scores),
        "without_answer": evaluation.without_answer,
        "not_in_run": list(evaluation.not_in_run),
        "confusion": {
            name: [{"label": pair.gold, "answer": pair.answer, "documents": pair.documents} for pair in pairs]
            for name, pairs in evaluation.confusions.items()
        },
        "worst": [
            {"doc_id": doc_id, "wrong": [asdict(field) for field in fields]}
            for doc_id, fields in evaluation.worst.items()
        ],
        "against": {"run": evaluation.against, **gold_fields(change), "worse": change.is_worse} if change else None,
        "fail_under": evaluation.fail_under,
        "fails": evaluation.fails,
    }
