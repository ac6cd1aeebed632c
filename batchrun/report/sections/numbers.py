"""The head of the page: the verdict, the facts and six numbers."""

from collections.abc import Iterator

from batchrun import __version__
from batchrun.catalog.money import dollars
from batchrun.report.facts import PENDING, RunReport
from batchrun.report.markup import Markup, joined, tag
from batchrun.report.words import title_of, verdict
from batchrun.wording import count, duration, utc


def head(report: RunReport) -> Markup:
    """Return the title, the verdict, and what was run when and with what."""
    found, story = verdict(report), report.story
    simulated = tag("p", tag("strong", "SIMULATED: "), "pretend answers of the built-in simulator; nothing was paid.",
                    class_="verdict simulated")  # fmt: skip
    gaps = [tag("li", gap) for gap in report.gaps]
    return tag(
        "header",
        tag("p", "batchrun report", class_="kicker"),
        tag("h1", story.job, tag("span", f" {title_of(report).partition(story.job)[2].strip()}")),
        *([simulated] if story.simulated else []),
        tag("p", tag("strong", found.head), joined(" "), found.sentence, class_=f"verdict {found.level}"),
        *([tag("p", f"What to do next: {report.hint}.", class_="caption")] if report.hint else []),
        tag("p", " · ".join(_facts(report)), class_="facts"),
        *([tag("ul", *gaps, class_="facts")] if gaps else []),
    )


def _facts(report: RunReport) -> Iterator[str]:
    story = report.story
    models = report.performance.answered_by
    yield f"model {report.model}" + (f" (answers of {', '.join(models)})" if len(models) > 1 else "")
    yield f"route {story.route}"
    yield f"{utc(story.started_at)} {f'to {utc(report.ended_at)} UTC' if report.ended_at else 'UTC until now'}"
    yield f"job {story.job_path} (requests {report.fingerprint[:8]}…)"
    yield from (f"{tag_name}: {value}" for tag_name, value in sorted(story.tags.items()))
    if report.totals.chain_head:
        yield f"chain {report.totals.chain_head.short}, link {report.totals.chain_head.link_no:,}"
    yield f"batchrun {__version__}"


def numbers(report: RunReport) -> Markup:
    """Return the six numbers that say most of a run."""
    totals, outcomes = report.totals, report.outcomes
    failures = [f"{number:,} {name}" for name, number in outcomes.items() if name not in {"succeeded", "skipped"}]
    some = f" of {report.in_source:,} in the source" if report.in_source > report.documents else ""
    skipped = f" · {outcomes['skipped']:,} skipped" if "skipped" in outcomes else ""
    forecast = (
        f"forecast {duration(report.forecast_s)}" if report.forecast_s else "from the first start to the last end"
    )
    held = totals.held_nusd + totals.open_nusd
    retries = [f"{number:,} after {cause.removeprefix('http_')}" for cause, number in totals.retried.items()]
    cells = (
        ("Documents", f"{report.documents:,}", f"{outcomes.get('succeeded', 0):,} succeeded{skipped}{some}"),
        ("Needs attention", f"{report.failed + outcomes.get(PENDING, 0):,}", " · ".join(failures) or "nothing"),
        ("Spent", dollars(totals.cost_nusd), f"of {dollars(totals.cap_nusd)} budget"
         + (f" · at most {dollars(held)} reserved" if held else "")),
        ("Estimate error", _error(report), f"estimated {dollars(totals.estimate_nusd)}"
         if totals.estimate_nusd else "nothing was estimated"),
        ("Wall time", duration(report.seconds), forecast),
        ("Retries", f"{sum(totals.retried.values()):,}", " · ".join(retries) or count(totals.attempts, "attempt")),
    )  # fmt: skip
    shown = (
        tag("div", tag("dt", name), tag("dd", value, class_="number"), tag("dd", words)) for name, value, words in cells
    )
    return tag("dl", *shown, class_="numbers")


def _error(report: RunReport) -> str:
    """Say how far the cost is off the estimate; nothing can be said before a run is through."""
    totals = report.totals
    if not totals.estimate_nusd or report.story.state != "finished":
        return "not yet"
    return f"{100 * (totals.cost_nusd / totals.estimate_nusd - 1):+.1f}%"
