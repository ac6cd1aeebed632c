"""`batchrun bench`: run a published benchmark, and print its usual score by its own rule."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from batchrun.cli.options import (
    MAX_COST,
    PARTIAL,
    PARTIAL_ANSWERS,
    RUNNING,
    SIMULATE,
    WATCHING,
    JobCommand,
    RunFlags,
    speaking,
)
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode, Refused, UsageProblem
from batchrun.planning.selection import Selection

if TYPE_CHECKING:
    from batchrun.cli.views.bench_text import Scored
    from batchrun.quality.published.benchmark import Benchmark, Case
    from batchrun.strategy.plan import Plan


@click.command(cls=JobCommand)
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--job", type=click.Path(path_type=Path, dir_okay=False), help="Run this job file, with the same fields.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take only the first N documents.")
@MAX_COST
@PARTIAL
@PARTIAL_ANSWERS
@RUNNING
@SIMULATE
@WATCHING
@speaking
def bench(
    path: Path,
    *,
    job: Path | None,
    limit: int | None,
    simulate: str | None,
    terminal: Terminal,
    **flags: Unpack[RunFlags],
) -> int:
    """Run a benchmark over its folder, and print its usual score by its own rule.

    \b
    batchrun bench kleister-nda --simulate          no key, no cost
    batchrun bench kleister-nda                     what it may cost; sends nothing
    batchrun bench kleister-nda --max-cost 5        send, and score
    batchrun bench kleister-nda --max-cost 1 --limit 20
    batchrun bench ExtractBench --max-cost 40 --route batch

    Known are Kleister-NDA, CUAD and the ExtractBench of LlamaIndex. The job files are made once, in
    PATH/batchrun-bench/, and can be changed. The same command continues after a crash. Once all documents are
    answered, the command sends nothing and prints the score again. More: batchrun docs bench
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.permissions import ordinary_permissions
    from batchrun.cli.run_job import run_job
    from batchrun.cli.views.bench_text import scored_as_text, scored_fields
    from batchrun.cli.views.format import below_here
    from batchrun.quality.published.recognition import read_benchmark
    from batchrun.workflow.bench_project import FOLDER, committed, job_id, make_jobs

    folder, simulated = path.resolve(), simulate is not None
    benchmark = read_benchmark(folder)
    if job and len(benchmark.groups) > 1:
        raise UsageProblem("--job is for benchmarks that are one job.", hint=f"change the job files in {path / FOLDER}")
    with ordinary_permissions():
        jobs = [job.resolve()] if job else make_jobs(folder, benchmark)
    taken = [
        [(job_id(case, folder, one), case) for case in cases]
        for one, cases in zip(jobs, taken_of(benchmark, limit), strict=True)
    ]
    parts = [
        (one, Selection(ids=frozenset(doc_id for doc_id, _ in cases)) if limit else Selection())
        for one, cases in zip(jobs, taken, strict=True)
        if cases
    ]
    plans = [plan_of(one, selection, flags, simulated=simulated) for one, selection in parts]
    if not (terminal.quiet or terminal.json):
        terminal.say(
            f"{benchmark.title}: {below_here(jobs[0]) if len(jobs) == 1 else f'{len(jobs)} jobs in {FOLDER}/'}"
        )
    left = allowed(plans, flags, path, simulated=simulated)
    for (one, selection), plan in zip(parts, plans, strict=True):
        if not (plan.unsettled or plan.merging):
            continue
        before = committed(one, simulated=simulated)
        capped: RunFlags = {**flags, "max_cost": left}
        code = run_job(one, selection, capped, profile=simulate, terminal=terminal)
        if code not in {ExitCode.OK, ExitCode.SOME_FAILED}:
            terminal.say("the score follows when all documents are answered: type the same command again")
            return code
        left = left and max(1, left - (committed(one, simulated=simulated) - before))
    scored = scored_of(benchmark, jobs, taken, simulated=simulated)
    if terminal.json:
        terminal.event("bench", **scored_fields(scored))
    else:
        terminal.result(scored_as_text(scored, terminal.simulated_stamp(simulated)))
    return ExitCode.SOME_FAILED if scored.unanswered else ExitCode.OK


def taken_of(benchmark: "Benchmark", limit: int | None) -> "list[Sequence[Case]]":
    """The cases of each group that are taken: all, or the first ones over all groups."""
    numbers = itertools.count()
    return [[case for case in group.cases if limit is None or next(numbers) < limit] for group in benchmark.groups]


def plan_of(job: Path, selection: Selection, flags: RunFlags, *, simulated: bool) -> "Plan":
    """Plan a job as the submit will."""
    from batchrun.cli.interrupts import run_async
    from batchrun.cli.run_job import submit_options
    from batchrun.workflow.open_job import open_job

    options = submit_options(flags, exact=False, simulated=simulated)
    with open_job(job, simulated=simulated, to_run=False) as opened:
        return run_async(opened.planner(options).plan(selection))


def allowed(plans: "Sequence[Plan]", flags: RunFlags, path: Path, *, simulated: bool) -> int | None:
    """What all jobs together may cost, in nano-USD; None in a rehearsal without a cap.

    Raises Refused if what is to be sent may cost more, or if real money has no cap.
    """
    from batchrun.catalog.money import dollars, enough
    from batchrun.cli.next_command import command
    from batchrun.cli.views.format import count

    most, upper = flags["max_cost"], sum(plan.estimate.upper_nusd for plan in plans if plan.requests)
    over = upper > 0 and not simulated if most is None else upper > most and not flags["partial"]
    if over:
        documents = count(sum(plan.to_send for plan in plans), "document")
        raise Refused(
            f"{documents} to send to {plans[0].model} may cost up to {dollars(upper)} (the estimate's upper bound), and"
            f" {'no --max-cost is given' if most is None else f'--max-cost is {dollars(most)}'}. Nothing was sent.",
            hint=command("bench", path, [f"--max-cost={enough(upper)}"]),
        )
    return most


def scored_of(
    benchmark: "Benchmark", jobs: Sequence[Path], taken: "Sequence[Sequence[tuple[str, Case]]]", *, simulated: bool
) -> "Scored":
    """Score the answers that the jobs have."""
    from batchrun.cli.views.bench_text import Scored
    from batchrun.workflow.bench_project import answers_of

    answers = [answers_of(job, simulated=simulated) for job in jobs]
    pairs = [
        (case.expected, of_job.by_document.get(doc_id))
        for of_job, cases in zip(answers, taken, strict=True)
        for doc_id, case in cases
    ]
    return Scored(
        benchmark=benchmark,
        scores=benchmark.score(pairs),
        models=sorted(frozenset[str]().union(*(of_job.models for of_job in answers))),
        documents=len(pairs),
        of=sum(len(group.cases) for group in benchmark.groups),
        unanswered=sum(answer is None for _, answer in pairs),
        cost_nusd=sum(of_job.cost_nusd for of_job in answers),
        simulated=simulated,
    )
