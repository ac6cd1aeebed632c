"""The report of a run as markdown, for a pull request or the summary of a workflow: what matters, in few lines."""

from collections.abc import Iterator, Sequence

from batchrun.report.facts import RunReport
from batchrun.report.markdown_text import escaped
from batchrun.report.words import money_words, title_of, verdict
from batchrun.wording import duration, utc

MOST_BYTES = 60_000
"""A comment on GitHub has at most 65,536 characters; the summary of a step may be larger."""


def markdown(report: RunReport, *, most_bytes: int = MOST_BYTES) -> str:
    """Return the report. Lines that would make it longer than `most_bytes` are left out, and the last line says so."""
    kept, left, cut = list[str](), most_bytes, "\nThe rest is left out: see `batchrun report`.\n"
    for line in _lines(report):
        left -= len(line.encode()) + 1
        if left < len(cut):
            return "\n".join([*kept, cut])
        kept.append(line)
    return "\n".join(kept) + "\n"


def _lines(report: RunReport) -> Iterator[str]:
    found, story = verdict(report), report.story
    yield f"## {escaped(title_of(report))}"
    yield f"\n**{escaped(found.head)}** {escaped(found.sentence)}\n"
    ended = utc(report.ended_at) or "now"
    facts = [
        ("documents", ", ".join(f"{number:,} {name}" for name, number in report.outcomes.items())),
        ("money", money_words(report)),
        ("time", f"{duration(report.seconds)}, {utc(story.started_at)} to {ended} UTC"),
        ("model", f"{report.model}, route {story.route}"),
    ]
    yield from _table(("run", story.run_id), facts)
    if report.attention:
        rows = [(f"{one.documents:,}", one.outcome, one.reason, one.command) for one in report.attention]
        yield "\n### What needs attention\n"
        yield from _table(("documents", "outcome", "why", "next"), rows)
    if failing := [check for check in report.checks if check.fails]:
        yield "\n### Failed checks\n"
        yield from _table(("check", "found"), [(check.name, check.sentence) for check in failing])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (header, None, *rows):
        yield f"| {' | '.join(map(escaped, cells))} |" if cells else "|" + " --- |" * len(header)
