"""`batchrun bench`: run a published benchmark, and print its usual score by its own rule."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from batchrun.cli import options as flag
from batchrun.cli.options import JobCommand, RunFlags, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.quality.published.benchmark import Benchmark
    from batchrun.strategy.plan import Plan
    from batchrun.workflow.bench import BenchJob


@click.command(cls=JobCommand)
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--job", type=click.Path(path_type=Path, dir_okay=False), help="Run this job file, with the same fields.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take only the first N documents.")
@flag.MAX_COST
@flag.PARTIAL
@flag.PARTIAL_ANSWERS
@flag.RUNNING
@flag.SIMULATE
@flag.WATCHING
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
    from batchrun.planning.selection import Selection
    from batchrun.workflow.bench import bench_jobs, committed, read_benchmark, scored

    folder, simulated = path.resolve(), simulate is not None
    benchmark = read_benchmark(folder)
    with ordinary_permissions():
        jobs = bench_jobs(folder, benchmark, own=job and job.resolve(), limit=limit)
    found = [(one, plan_of(one, flags, simulated=simulated)) for one in jobs]
    plans = [plan for _, plan in found if plan]
    if not (terminal.quiet or terminal.json):
        terminal.say(beginning(benchmark, jobs, plans))
    left = allowed(plans, flags, path, job, simulated=simulated)
    for one in (one for one, plan in found if plan):
        before, capped = committed(one.job, simulated=simulated), RunFlags(**{**flags, "max_cost": left})
        code = run_job(one.job.path, Selection(ids=frozenset(one.cases)), capped, profile=simulate, terminal=terminal)
        left = left and max(1, left + before - committed(one.job, simulated=simulated))
        if code not in {ExitCode.OK, ExitCode.SOME_FAILED}:
            terminal.say("the score follows when all documents are settled: type the same command again")
            return code
    result = scored(benchmark, jobs, simulated=simulated)
    if terminal.json:
        terminal.event("bench", **scored_fields(result))
    else:
        terminal.result(scored_as_text(result, terminal.simulated_stamp(simulated)))
    return ExitCode.SOME_FAILED if result.unanswered else ExitCode.OK


def plan_of(bench_job: "BenchJob", flags: RunFlags, *, simulated: bool) -> "Plan | None":
    """Plan a job as its submit will. Returns None if every document has its outcome under the job file as it is."""
    from batchrun.cli.interrupts import run_async
    from batchrun.cli.run_job import submit_options
    from batchrun.planning.selection import Selection
    from batchrun.workflow.open_job import open_job

    options = submit_options(flags, exact=False, simulated=simulated)
    with open_job(bench_job.job.path, simulated=simulated, to_run=False) as opened:
        planner = opened.planner(options)
        plan = run_async(planner.plan(Selection(ids=frozenset(bench_job.cases))))
        waits = plan.unsettled or planner.planned.admission.anything() or planner.anything_to_merge()
        return plan if waits else None


def beginning(benchmark: "Benchmark", jobs: "Sequence[BenchJob]", plans: "Sequence[Plan]") -> str:
    """The line that says where the jobs are, and what all of them together are estimated to cost."""
    from batchrun.catalog.money import dollars
    from batchrun.cli.views.format import below_here, count

    where = below_here(jobs[0].job.path if len(jobs) == 1 else jobs[0].job.path.parent)
    mean = sum(plan.estimate.cost_nusd.mean for plan in plans if plan.requests)
    estimate = f", estimate {dollars(mean)}, at most {dollars(upper_of(plans))}" if upper_of(plans) else ""
    return f"{benchmark.title}: {count(sum(plan.to_send for plan in plans), 'document')} to send{estimate} · {where}"


def upper_of(plans: "Sequence[Plan]") -> int:
    """The upper bound of what is to be sent, in nano-USD."""
    return sum(plan.estimate.upper_nusd for plan in plans if plan.requests)


def allowed(plans: "Sequence[Plan]", flags: RunFlags, path: Path, job: Path | None, *, simulated: bool) -> int | None:
    """What all jobs together may cost, in nano-USD; None if nothing says so, and nothing is to be paid.

    Raises Refused if what is to be sent may cost more, or if real money has no cap.
    """
    from batchrun.catalog.money import dollars, enough
    from batchrun.cli.next_command import changed, command, typed_command, typed_path

    most, upper = flags["max_cost"], upper_of(plans)
    if (upper == 0 or simulated) if most is None else (upper <= most or flags["partial"]):
        return most
    needed = upper * 11 // 10
    raise Refused(
        f"the benchmark may cost up to {dollars(upper)} with {plans[0].model} (the estimate's upper bound), and"
        f" {'no --max-cost is given' if most is None else f'--max-cost is {dollars(most)}'}. Nothing was sent.",
        hint=command("bench", path, changed(typed_command()[1:], job=job and typed_path(job), max_cost=enough(needed))),
    )
