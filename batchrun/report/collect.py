"""Collects the values that the report of a run shows. Nothing but the ledger is read."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.text_class import TextClass, factor
from batchrun.job.decisive_keys import changed_keys
from batchrun.job.tune_section import TUNED, is_tuned
from batchrun.outcome import RETRIED, Outcome, named_counts
from batchrun.quality.tune.frontier import Frontier
from batchrun.report.charts.scale import nice
from batchrun.report.facts import PENDING, Attention, Previous, RunReport
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.job_lock import is_locked
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.tunes import Tunes
from batchrun.store.reports.costs import CostFilter, Costs
from batchrun.store.reports.curves import MOST_BINS, TokenFit, latency_bins, moments, token_fit
from batchrun.store.reports.evidence import run_findings
from batchrun.store.reports.performance import performance
from batchrun.store.reports.run_problems import Ending, ended_outcomes, endings, field_rates
from batchrun.store.reports.runs import RunStory, run_stories
from batchrun.store.reports.totals import totals
from batchrun.strategy.plan import Plan
from batchrun.strategy.plan_record import BrokenRecord, from_json
from batchrun.workflow.summary import Summary, summary_of

MOST_REASONS, MOST_BATCHES = 12, 40
"""How many reasons are told apart, and how many batches are shown."""


def collect(ledger: Ledger, run_no: int, *, root: Path) -> RunReport:
    """Read the report of a run that is in the ledger, whatever its state; `root` is the project's folder."""
    (story,) = run_stories(ledger, run_no)
    if story.state == "running" and not (ledger.path and is_locked(ledger.path, story.job)):
        story = replace(story, state="interrupted")
    model, fingerprint = _model_of(ledger, run_no)
    summary, gaps = _summary(ledger, run_no, root)
    plan, halted = (summary.plan, summary.halted) if summary else (None, None)
    went = moments(ledger, run_no, began_at=story.started_at)
    last_at = story.ended_at or (went[-1].at if went else story.started_at)
    outcomes = named_counts(summary.outcomes if summary else ended_outcomes(ledger, run_no, story.job))
    run_totals = summary.totals if summary and summary.totals else totals(ledger, run_no)
    pace = summary.performance if summary and summary.performance else performance(ledger, run_no)
    costs = Costs(ledger, CostFilter(run_nos=[run_no]))
    batches = Batches(ledger).of_run(run_no)
    answers, fields = field_rates(ledger, run_no, story.job)
    p99_s = pace.latencies.latency_s.p99 if pace.latencies else 0.0
    # Bins suit most answers, so that a few slow ones do not hide the others.
    bins = latency_bins(ledger, run_no, width=nice(1.5 * p99_s / MOST_BINS)) if p99_s else []
    return RunReport(
        story=story,
        halted=str(halted) if halted else story.note,
        hint=halted.hint if halted else None,
        model=model,
        fingerprint=fingerprint,
        ended_at=None if story.state == "running" else last_at,
        seconds=max(last_at - story.started_at, 0.0),
        forecast_s=plan.chosen.seconds if plan and not plan.continues else None,
        outcomes=outcomes,
        in_source=plan.in_source if plan else 0,
        totals=run_totals,
        spending=costs.total(),
        prices=costs.prices(),
        cache_use=summary.cache_use if summary else None,
        moments=went,
        performance=pace,
        latency_bins=bins,
        batches=batches[:MOST_BATCHES],
        all_batches=len(batches),
        fit=_fit(ledger, story, plan, model),
        attention=list(_attention(endings(ledger, run_no, story.job), outcomes, story)),
        answers=answers,
        fields=fields,
        findings=summary.findings if summary and summary.findings else run_findings(ledger, run_no),
        checks=summary.checks if summary else (),
        gold=summary.gold if summary else None,
        frontier=_frontier(ledger, story.job, last_at, gaps),
        previous=_previous(ledger, story, plan, root),
        gaps=gaps,
    )


def _summary(ledger: Ledger, run_no: int, root: Path) -> tuple[Summary | None, list[str]]:
    """Read the summary of a run, and say what is not known if there is none."""
    rest = "its forecast, its checks, its gold labels and the estimate of single requests are not known"
    try:
        summary = summary_of(ledger, run_no, root=root)
    except BrokenRecord as broken:
        return None, [f"The plan of this run cannot be read ({broken}): {rest}."]
    return summary, [] if summary else [f"An earlier version of batchrun began this run: {rest}."]


def _frontier(ledger: Ledger, job: str, until: float, gaps: list[str]) -> Frontier | None:
    found = Tunes(ledger, job.removesuffix(TUNED)).frontier(until=until)
    try:
        return from_json(Frontier, found) if found else None
    except BrokenRecord as broken:
        gaps.append(f"What the last tune has found cannot be read: {broken}.")
        return None


def _fit(ledger: Ledger, story: RunStory, plan: Plan | None, model: str) -> TokenFit | None:
    if plan is None or not plan.estimate.requests:
        return None
    price = load_prices(today=datetime.fromtimestamp(story.started_at, UTC).date()).prices.get(model)
    weights = {kind: factor(price.tokenizer if price else "new", kind).mean for kind in TextClass}
    average, fixed = plan.estimate.input.mean / plan.estimate.requests, plan.estimate.fixed_tokens
    return token_fit(ledger, story.run_no, model=model, estimate=average, fixed=fixed, weights=weights)


def _attention(found: list[Ending], outcomes: Mapping[str, int], story: RunStory) -> Iterator[Attention]:
    """Say for each reason what mends the documents; what the summary counts beyond the reasons comes at the end."""
    rest = {name: count for name, count in outcomes.items() if name not in {Outcome.SUCCEEDED, Outcome.SKIPPED}}
    for one in found[:MOST_REASONS]:
        name = str(one.outcome or PENDING)
        rest[name] = rest.get(name, 0) - one.documents
        yield Attention(name, one.reason or "", one.documents, remedy(name, story))
    for name, count in rest.items():
        if count > 0:
            yield Attention(name, "other reasons" if found else "", count, remedy(name, story))


def remedy(outcome: str, story: RunStory) -> str:
    """Return the command that mends documents with an outcome, or that shows what is to be mended by hand."""
    simulate = " --simulate" if story.simulated else ""
    if is_tuned(story.job):
        return f"batchrun tune {shlex.quote(story.job_path)}{simulate}"
    if outcome == PENDING:
        return f"batchrun submit {shlex.quote(story.job_path)}{simulate}"
    if outcome in {*RETRIED, Outcome.CANCELED}:
        return f"batchrun retry {story.run_id} --status {outcome}"
    return f"batchrun results {story.run_id} --status {outcome}"


def _previous(ledger: Ledger, story: RunStory, plan: Plan | None, root: Path) -> Previous | None:
    found = Runs(ledger).finished_before(story.job, story.run_no)
    if found is None:
        return None
    summary, _ = _summary(ledger, found.run_no, root)
    keys, now = (one.keys or None if one else None for one in (summary and summary.plan, plan))
    (before,) = run_stories(ledger, found.run_no)
    outcomes = summary.outcomes if summary else ended_outcomes(ledger, found.run_no, story.job)
    return Previous(
        story=before,
        model=_model_of(ledger, found.run_no)[0],
        documents=sum(outcomes.values()),
        failed=sum(number for outcome, number in outcomes.items() if outcome and outcome.failed),
        totals=totals(ledger, found.run_no),
        seconds=(before.ended_at or before.started_at) - before.started_at,
        changed=changed_keys(keys, now),
    )


def _model_of(ledger: Ledger, run_no: int) -> tuple[str, str]:
    """Read the model of a run, and the hash of everything that makes its requests."""
    query = "select model, fingerprint from runs where run_no = ?"
    row: tuple[str, str] = ledger.connection.execute(query, (run_no,)).fetchone()
    return row
