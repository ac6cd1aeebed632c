"""Two runs side by side, for people: the verdict, the fields, a few changes, cost and speed."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from batchrun.catalog.money import dollars
from batchrun.cli.export_changes import as_json
from batchrun.cli.next_command import command
from batchrun.cli.views.format import WIDTH, count, cut, table, tokens
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, shown_path
from batchrun.job.decisive_keys import DIGEST, ChangedKey, changed_keys
from batchrun.quality.compared_runs import ComparedRun
from batchrun.quality.comparison import Change, Comparison, FieldComparison
from batchrun.quality.gold_change import ALPHA, GoldChange
from batchrun.quality.scores import ENOUGH_DOCUMENTS
from batchrun.statistics.drift import Drift, DriftLevel
from batchrun.wording import brief

MOST_FIELDS, MOST_KEYS = 20, 10
"""How many fields and keys are shown."""
NAME_WIDTH = 24


def comparison_as_text(comparison: Comparison, runs: tuple[ComparedRun, ComparedRun], terminal: Terminal) -> str:
    """The whole comparison, but for what to type next."""
    width = terminal.width()
    before, now = (run.story.run_id for run in runs)
    stamp = terminal.simulated_stamp(any(run.story.simulated for run in runs))
    parts = [
        [
            f"{stamp}{before} -> {now}: {verdict(comparison)}",
            *(f"  {label:<8} {words}" for label, words in remarks(comparison, runs)),
        ],
        field_lines(comparison, width) if comparison.answered else [],
    ]
    if examples := comparison.examples():
        parts.append(["changes, for example", *(example_line(one, width or WIDTH) for one in examples)])
    parts.append([table(("", "BEFORE", "NOW", "CHANGE"), list(run_rows(comparison, *runs)), width=width)])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def verdict(comparison: Comparison) -> str:
    """How many documents have changed, in a few words."""
    answered, changed = comparison.answered, comparison.changed
    if not comparison.both:
        return "no document belongs to both runs"
    if not answered:
        return f"no document is answered in both runs, of {comparison.both:,}"
    return f"{changed:,} of {count(answered, 'document')} changed ({share(changed, answered)})"


def remarks(comparison: Comparison, runs: tuple[ComparedRun, ComparedRun]) -> Iterator[tuple[str, str]]:
    """What is to be said below the verdict, each with its label."""
    fields = comparison.fields.values()
    values, changed = sum(one.documents for one in fields), sum(one.changed for one in fields)
    if values:
        yield "values", f"{changed:,} of {values:,} changed ({share(changed, values)})"
    yield from key_words(*runs, any_change=bool(changed))
    if comparison.gold:
        yield from zip(("gold", ""), gold_words(comparison.gold), strict=True)
    if drifted := [name for name, drift in comparison.drifts.items() if drift.level is DriftLevel.ALARM]:
        names = ", ".join(map(short, drifted[:MOST_KEYS]))
        yield "drift", f"{count(len(drifted), 'field')} with another distribution of values: {names}"


def key_words(before: ComparedRun, now: ComparedRun, *, any_change: bool) -> Iterator[tuple[str, str]]:
    """Which keys of the job file are set differently, and what can be said of their effect."""
    changed = changed_keys(before.keys, now.keys)
    if changed is None:
        if before.model != now.model:
            yield "key", f"model.name: {escape_control(before.model)} -> {escape_control(now.model)}"
        old = [run.story.run_id for run in (before, now) if run.keys is None]
        yield "keys", f"not recorded for {' and '.join(old)}: an earlier version made the plan"
        return
    for number, key in enumerate(changed[:MOST_KEYS]):
        yield "" if number else "key", changed_key(key)
    if len(changed) > MOST_KEYS:
        yield "", f"and {len(changed) - MOST_KEYS:,} more"
    if len(changed) > 1:
        yield "", f"{len(changed)} keys changed at once: the effect cannot be attributed to one of them"
    if not changed:
        why = ": the documents differ, or the model has answered differently" if any_change else ""
        yield "key", f"no key of the job file that decides about answers has changed{why}"


def changed_key(key: ChangedKey) -> str:
    """`model.effort: "high" -> "low"`, or `prompt.user_file: changed (prompts/a.md)`."""
    if not key.is_text:
        before, now = (
            "the default" if value is None else "a long value" if value.startswith(DIGEST) else value
            for value in (key.before, key.now)
        )
        return escape_control(f"{key.key}: {cut(before, 2 * NAME_WIDTH)} -> {cut(now, 2 * NAME_WIDTH)}")
    files = [(value or "").partition(" ")[2] for value in (key.before, key.now)]
    named = " -> ".join(dict.fromkeys(filter(None, files)))
    how = "taken out" if key.now is None else "added" if key.before is None else "changed"
    return escape_control(f"{key.key}_file: {how} ({named})" if named else f"{key.key}: {how}")


def gold_words(gold: GoldChange) -> tuple[str, str]:
    """How many answers are right on the documents with gold labels, and whether the run now is better or worse."""
    documents, is_enough = count(gold.documents, "document"), gold.documents >= ENOUGH_DOCUMENTS
    if is_enough:
        before, now = (f"{number / gold.cells:.1%}" for number in gold.right)
        mean, low, high = (100 * bound for bound in (gold.difference.mean, gold.difference.low, gold.difference.high))
        change = f"{before} -> {now} right in {documents}: {mean:+.1f} points (90%: {low:+.1f} to {high:+.1f})"
    else:
        before, now = (f"{number:,}" for number in gold.right)
        change = f"{before} -> {now} right, of {gold.cells:,} labelled values in {documents}"
    if not gold.found:
        found = f"; a difference of {100 * gold.detectable:.1f} points would have been found"
        return change, f"no difference found{found if is_enough and gold.detectable < 1 else ': too few documents'}"
    fields = [f"{short(name)} ({chance(p)})" for name, p in gold.field_p.items() if p <= ALPHA]
    where = f"in {', '.join(fields[:MOST_KEYS])}" if fields else "in no single field for certain"
    return change, f"{'worse' if gold.is_worse else 'better'} ({chance(gold.p)}), {where}"


def chance(p: float) -> str:
    """How probable it is that chance alone has done this."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def field_lines(comparison: Comparison, width: int | None) -> list[str]:
    """The fields, those with the most changes first."""
    changed = [name for name, one in comparison.most_changed if one.changed or one.only_before or one.only_now]
    drifted = [name for name, drift in comparison.drifts.items() if drift.level is DriftLevel.ALARM]
    told = list(dict.fromkeys([*changed, *drifted]))
    rows = [field_row(name, comparison.fields[name], comparison.drifts.get(name)) for name in told[:MOST_FIELDS]]
    header = ("FIELD", "CHANGED", "TO NULL", "FROM NULL", "MEDIAN CHANGE", "DRIFT")
    lines = [table(header, rows, width=width)] if rows else []
    if left := len(told) - len(rows):
        lines.append(f"and {count(left, 'more field')} with changes: --json")
    if same := len(comparison.fields) - len(told):
        lines.append(f"{count(same, 'field')} without a change")
    return lines


def field_row(name: str, one: FieldComparison, drift: Drift | None) -> tuple[str, ...]:
    """The line of a field; a field that only one run has says so."""
    if not one.documents or drift is None:
        return short(name), "only before" if one.only_before else "only now", "", "", "", ""
    change = one.median_change
    return (
        short(name),
        f"{one.changed:,} ({share(one.changed, one.documents)})",
        f"{one.to_null:,}",
        f"{one.from_null:,}",
        "" if change is None else f"{change:+.1%}" if abs(change) < 10 else f"{change:+,.0f}x",
        f"{drift.statistic:.2f} above {drift.threshold:.2f}" if drift.level is DriftLevel.ALARM else "",
    )


def example_line(change: Change, width: int) -> str:
    """`  docs/a.txt  amount  1200 -> 1300`, where the two values differ."""
    place = f"  {shown_path(change.doc_id, width // 3)}  {short(change.field)}  "
    room = max(12, (width - len(place) - len(" -> ")) // 2)
    before, now = (escape_control(as_json(value)) for value in (change.before, change.now))
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False)))
    if min(len(before), len(now)) > room and (start := same - room // 3) > 0:
        before, now = f"…{before[start:]}", f"…{now[start:]}"
    return f"{place}{cut(before, room)} -> {cut(now, room)}"


def run_rows(comparison: Comparison, before: ComparedRun, now: ComparedRun) -> Iterator[tuple[str, ...]]:
    """Cost, speed and failures of the two runs, a line each."""
    runs, outcomes = (before, now), comparison.outcomes

    def row(label: str, values: Sequence[float | None], shown: Callable[[Any], str], none: str) -> tuple[str, ...]:
        old, new = values
        change = new / old - 1 if old and new is not None else 0.0
        cells = [none if value is None else shown(value) for value in values]
        return label, *cells, f"{change:+.0%}" if abs(change) >= 0.005 else ""

    yield "run", *(run.story.run_id for run in runs), ""
    if before.story.job != now.story.job:
        yield "job", *(run.story.job for run in runs), ""
    yield "model", *(run.model for run in runs), ""
    counts = {
        "documents": [each.total() for each in outcomes],
        "only in this run": [each.total() - comparison.both for each in outcomes],
        "answered in this run alone": comparison.only_answered,
        "pending": [each[None] for each in outcomes],
    }
    yield from ((label, *(f"{each:,}" for each in numbers), "") for label, numbers in counts.items() if any(numbers))
    failed = [sum(number for one, number in each.items() if one and one.failed) for each in outcomes]
    yield "failed", *(f"{few:,} ({share(few, each.total())})" for few, each in zip(failed, outcomes, strict=True)), ""
    yield row("cost", [run.totals.cost_nusd for run in runs], dollars, "")
    if any(run.totals.held_nusd for run in runs):
        yield row("lost answers, at most", [run.totals.held_nusd for run in runs], dollars, "")
    yield row("cost / 1,000 documents", [run.nusd_per_1000 for run in runs], dollars, "none sent")
    yield row("input tokens", [run.totals.input_tokens for run in runs], tokens, "")
    yield row("output tokens", [run.totals.output_tokens for run in runs], tokens, "")
    for label, name in (("latency, median", "p50"), ("latency, 95th percent", "p95")):
        seconds = [getattr(run.latencies.latency_s, name) if run.latencies else None for run in runs]
        if seconds != [None, None]:
            yield row(label, seconds, brief, "not streamed")


def next_lines(comparison: Comparison, words: tuple[str, str], options: Sequence[str], *, written: bool) -> list[str]:
    """What to type next, with the words and the options as they were typed."""
    if not comparison.changed:
        return []
    typed = [shlex.quote(word) for word in words]
    lines = [] if written else [command("compare", None, [*typed, *options, "-o", "changes.csv"])]
    doc_id = comparison.examples()[0].doc_id
    if escape_control(doc_id) == doc_id:
        lines.append(command("results", None, [typed[1], *options, f"--doc={doc_id}"]))
    return [f"{'next:' if not number else '     '} {line}" for number, line in enumerate(lines)]


def share(part: int, whole: int) -> str:
    """A share in percent."""
    return f"{part / whole:.1%}" if whole else "0.0%"


def short(name: Any) -> str:
    """A name that a job file gives, on a line with others."""
    return cut(escape_control(name), NAME_WIDTH)
