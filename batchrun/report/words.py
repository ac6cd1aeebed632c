"""What the report of a run says in sentences, whatever the format of the report."""

from dataclasses import dataclass

from batchrun.catalog.money import dollars
from batchrun.job.tune_section import is_tuned
from batchrun.report.facts import PENDING, RunReport
from batchrun.store.reports.utilisation import binding
from batchrun.strategy.duration import Bound
from batchrun.wording import count

TIGHT = 0.7
"""The share of a rate limit from which on the limit is said to have bound the run."""
MENDED_BY = {
    "concurrency": "requests waited longest for a free connection: raise [run] max_concurrency",
    "http_429": "requests waited longest after the API had refused some: [limits] may be above its limits",
    "outage": "requests waited longest for an API that was down: submit again at another time, or name fallbacks",
    "retry": "requests waited longest before they were sent again after failures",
    "budget": "requests waited longest for the budget: what was in progress had reserved all of it",
}
"""What can be done about the longest wait, by its cause."""


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
        why = f"{report.halted[:1].upper()}{report.halted[1:]} " if report.halted else ""
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
    longest = pace.waits[0] if pace.waits else None
    if longest and longest.seconds >= 1 and longest.cause in MENDED_BY:
        return f"{speed}No rate limit was binding, {most}; {MENDED_BY[longest.cause]}."
    return f"{speed}No rate limit was binding: {most}."


def title_of(report: RunReport) -> str:
    """Name the report. Nobody may take a simulated run for a real one."""
    stamp = "SIMULATED " if report.story.simulated else ""
    what = "tune" if is_tuned(report.story.job) else "run"
    return f"{stamp}{report.story.job} {what} {report.story.run_id}"
