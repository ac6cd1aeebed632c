"""`batchrun try`: a few documents of a job, with what was asked and answered. A later submit takes the answers over."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.options import JOB, MAX_COST, PROFILES, SIMULATE, JobCommand, RunFlags, speaking
from batchrun.cli.views.terminal import Terminal

if TYPE_CHECKING:
    from batchrun.providers.anthropic.conversation import Said

USUAL_NUSD, MOST_NUSD = 20_000_000, 100_000_000
"""Within which amount documents are chosen, by the upper bound of the estimate, and the cap of the run. Every request
reserves its worst case, which may be a multiple of its cost. The option --max-cost stands for both."""


@click.command("try", cls=JobCommand)
@JOB
@click.option("--n", "number", type=click.IntRange(min=1, max=100), default=3, show_default=True, metavar="N",
              help="How many documents, evenly from the smallest to the largest.")  # fmt: skip
@click.option("--id", "ids", multiple=True, metavar="ID", help="Try only these documents.")
@MAX_COST
@SIMULATE
@speaking
def try_(
    job: Path, *, number: int, ids: Sequence[str], max_cost: int | None, simulate: str | None, terminal: Terminal
) -> int:
    """Send three documents, for about 2 cents at most, and show prompt, answer, evidence, tokens and cost of each.

    The same documents again are shown without being paid again, and a submit takes their answers over.

    \b
    batchrun try jobs/letters.toml
    batchrun try jobs/letters.toml --simulate           no key, no cost
    batchrun try jobs/letters.toml --id letters/a.pdf
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.next_command import command
    from batchrun.cli.run_job import run_job
    from batchrun.cli.views.tried_text import show_tried
    from batchrun.planning.selection import Selection

    flags: RunFlags = {
        "max_cost": max_cost or MOST_NUSD, "partial": False, "partial_answers": False, "pay_again": False,
        "route": "stream", "deadline": None, "fail_fast": False, "max_run_time": None, "no_wait": False, "speed": 20.0,
        "progress": "auto", "log": None, "workers": "auto",
    }  # fmt: skip
    name, tried, words = choose(job, number, ids, max_cost, simulated=simulate is not None)
    if not (terminal.json or terminal.quiet):
        terminal.say(words)
    quiet, selection = replace(terminal, quiet=max(1, terminal.quiet)), Selection(ids=frozenset(tried))
    code = run_job(job, selection, flags, profile=simulate, terminal=quiet)
    with found_run(str(job) if job.suffix == ".toml" else name, None, simulated=simulate is not None) as found:
        known: frozenset[Said] = frozenset()
        for doc_id in tried:  # the system prompt, which all of them share, is shown once
            known = show_tried(found, doc_id, terminal, known=known)
    if not (terminal.json or terminal.quiet):
        options = [] if simulate is None else ["--simulate" if simulate == PROFILES[0] else f"--simulate={simulate}"]
        terminal.result(f"\nnext: {command('submit', job, options)}")
    return code


def choose(
    job: Path, number: int, ids: Sequence[str], max_cost: int | None, *, simulated: bool
) -> tuple[str, list[str], str]:
    """Choose documents for which the amount is enough; an answered one costs nothing more.

    Returns the name of the job, the ids, and what a person is told. Raises Refused if there is no document to choose.
    """
    from batchrun.catalog.money import dollars
    from batchrun.cli.interrupts import run_async
    from batchrun.cli.next_command import command
    from batchrun.cli.views.format import count, with_bounds
    from batchrun.errors import Refused
    from batchrun.planning.narrowing import Narrowing
    from batchrun.planning.selection import Selection
    from batchrun.strategy.pilot_report import drawn
    from batchrun.workflow.open_job import SubmitOptions, open_job

    with open_job(job, simulated=simulated, to_run=False) as opened:
        planner = opened.planner(SubmitOptions(route="stream", rescans=True))
        run_async(planner.plan(Selection(ids=frozenset(ids))))
        narrowing = Narrowing(opened.ledger)
        chosen = drawn(narrowing.answerable(), len(ids) or number)
        if not chosen:
            raise Refused("no document can be sent in one request.", hint=command("plan", job))
        for fewer in range(len(chosen), 0, -1):  # the smallest documents come first
            narrowing.mark(chosen[:fewer])
            narrowing.to_pilot()
            plan = planner.forecast(exact=True)
            upper, worst = plan.estimate.upper_nusd, planner.planned.sums().worst_nusd
            if upper <= (max_cost or USUAL_NUSD) and upper + worst <= (max_cost or MOST_NUSD):
                break
        cost = f"about {with_bounds(plan.estimate.cost_nusd, dollars)}" if plan.to_send else "answered already"
        stamp = "SIMULATED  " if simulated else ""
        return opened.name, narrowing.chosen(), f"{stamp}{opened.name}: {count(fewer, 'document')}, {cost}"
