"""What the report of a run says in sentences, whatever the format of the report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchrun import __version__
from batchrun.catalog.money import dollars
from batchrun.job.tune_section import is_tuned
from batchrun.report.facts import PENDING, RunReport
from batchrun.store.reports.utilisation import binding
from batchrun.strategy.duration import Bound
from batchrun.wording import count, duration, utc

TIGHT = 0.7
"""The share of a rate limit from which on the limit is said to have bound the run."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run went, in one line."""

    level: str
    """One of good, warning, bad and open."""
    head: str
    sentence: str


def verdict(report: RunReport) -> Verdict:
    """Say how a run went, or how the run stands."""
    state, outcomes = report.story.state, report.outcomes
    rows, pending = outcomes.get("succeeded", 0), outcomes.get(PENDING, 0)
    has = "has" if report.documents == 1 else "have"
    told = [f"{rows:,} of {count(report.documents, 'document')} {has} a valid row"]
    others = {"skipped": outcomes.get("skipped"), "to be looked at": report.failed, "pending": pending}
    told += [f"{number:,} {words}" for words, number in others.items() if number]
    spent = f"{dollars(report.totals.cost_nusd)} spent of {dollars(report.totals.cap_nusd)}."
    sentence = f"{', '.join(told)}. {spent}"
    if state == "running":
        return Verdict("open", "Running.", sentence)
    if state == "waiting":
        return Verdict("open", "Batches are in progress.", sentence)
    if state != "finished":
        head = "Stopped." if state == "stopped" else "Interrupted."
        died = "The process of the run ended before the run; the same command continues. "
        why = f"{report.halted[:1].upper()}{report.halted[1:]} " if report.halted else died
        return Verdict("bad", head, why + sentence)
    if failing := sum(check.fails for check in report.checks):
        sentence = f"{count(failing, 'check')} failed. {sentence}"
    if report.failed or failing:
        return Verdict("warning", "Finished with problems.", sentence)
    return Verdict("good", "Finished.", sentence)


def money_words(report: RunReport) -> str:
    """Say what a run has spent, of which budget, and what it was estimated to spend."""
    totals = report.totals
    words = f"{dollars(totals.cost_nusd)} of {dollars(totals.cap_nusd)}"
    if not totals.estimate_nusd:
        return f"{words}; nothing was estimated."
    low, high = dollars(totals.estimate_low_nusd), dollars(totals.estimate_high_nusd)
    return f"{words}; the estimate was {dollars(totals.estimate_nusd)} (90%: {low} to {high})."


def pace_words(report: RunReport) -> str:
    """Name the limit that bound a run that streamed, and say what can be changed about it."""
    pace = report.performance
    speed = f"{pace.settled_per_minute:,.0f} documents a minute. " if pace.settled_per_minute else ""
    bound = binding(pace.shares)
    if bound and pace.shares[bound] >= TIGHT:
        key = {Bound.REQUESTS: "requests", Bound.INPUT_TOKENS: "input_tokens", Bound.OUTPUT_TOKENS: "output_tokens"}
        return (
            f"{speed}The limit of {bound} was binding: {pace.shares[bound]:.0%} of it was used on average. To go"
            f" faster, raise [limits] {key[bound]}_per_minute if the organisation's limit is higher, or use batches."
        )
    most = f"at most {pace.shares[bound]:.0%} of a limit was used" if bound else "no limit is known"
    return f"{speed}No rate limit was binding: {most}."


def title_of(report: RunReport) -> str:
    """Name the report. Nobody may take a simulated run for a real one."""
    stamp = "SIMULATED " if report.story.simulated else ""
    what = "tune" if is_tuned(report.story.job) else "run"
    return f"{stamp}{report.story.job} {what} {report.story.run_id}"


def facts_of(report: RunReport) -> Iterator[str]:
    """Say what was run, when and with what."""
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


def six_numbers(report: RunReport) -> Sequence[tuple[str, str, str]]:
    """Return the six numbers that say most of a run: name, number, and what the number is of or made of."""
    totals, outcomes = report.totals, report.outcomes
    failures = [f"{number:,} {name}" for name, number in outcomes.items() if name not in {"succeeded", "skipped"}]
    some = f" of {report.in_source:,} in the source" if report.in_source > report.documents else ""
    skipped = f" · {outcomes['skipped']:,} skipped" if "skipped" in outcomes else ""
    forecast = (
        f"forecast {duration(report.forecast_s)}" if report.forecast_s else "from the first start to the last end"
    )
    held = totals.held_nusd + totals.open_nusd
    retries = [f"{number:,} {cause.replace('http_', 'with ')}" for cause, number in totals.retried.items()]
    return (
        ("Documents", f"{report.documents:,}", f"{outcomes.get('succeeded', 0):,} succeeded{skipped}{some}"),
        ("Needs attention", f"{report.failed + outcomes.get(PENDING, 0):,}", " · ".join(failures) or "nothing"),
        ("Spent", dollars(totals.cost_nusd), f"of {dollars(totals.cap_nusd)} budget"
         + (f" · at most {dollars(held)} reserved" if held else "")),
        ("Estimate error", _error(report), f"estimated {dollars(totals.estimate_nusd)}"
         if totals.estimate_nusd else "nothing was estimated"),
        ("Wall time", duration(report.seconds), forecast),
        ("Retries", f"{sum(totals.retried.values()):,}", " · ".join(retries) or count(totals.attempts, "attempt")),
    )  # fmt: skip


def _error(report: RunReport) -> str:
    """Say how far the cost is off the estimate; nothing can be said before a run is through."""
    totals = report.totals
    if not totals.estimate_nusd or report.story.state != "finished":
        return "not yet"
    return f"{100 * (totals.cost_nusd / totals.estimate_nusd - 1):+.1f}%"
