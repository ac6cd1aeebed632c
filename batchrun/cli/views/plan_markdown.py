"""A plan as markdown, for a comment on a pull request or the summary of a step."""

from collections.abc import Iterator

from batchrun.catalog.money import dollars
from batchrun.cli.views.format import count
from batchrun.cli.views.plan_text import (
    cut_off_words,
    documents_line,
    markup_words,
    problem_lines,
    selected,
    warnings,
)
from batchrun.cli.views.route_text import time_words
from batchrun.errors import BatchrunError
from batchrun.report.markdown_text import escaped, escaped_lines
from batchrun.strategy.plan import Plan
from batchrun.workflow.open_job import OpenJob

MOST_NOTICES = 10


def plan_as_markdown(plan: Plan, opened: OpenJob, refused: BatchrunError | None) -> str:
    """The plan as markdown. The first line is not shown: by this line a bot finds its comment to write it anew."""
    stamp = "**SIMULATED** " if opened.simulated else ""
    lines = [
        f"<!-- batchrun plan {plan.job} -->",
        f"### batchrun plan: {escaped(plan.job)}",
        "",
        f"{stamp}{verdict(plan, refused)}",
        "",
        *(f"- {escaped(line)}" for line in [f"{selected(plan)}, {plan.model}", *documents_line(plan).split("\n")]),
        *(f"- {escaped(line)}" for line in problem_lines(plan)),
    ]
    if plan.requests:
        lines += ["", "| route | cost | 90% interval | time |", "|---|---:|---:|---|", *route_rows(plan)]
    notices = [*cut_off_words(plan), *markup_words(plan), *warnings(plan, opened)]
    more = [f"and {count(len(notices) - MOST_NOTICES, 'more notice')}"] if len(notices) > MOST_NOTICES else []
    lines += ["", *(f"- warning: {escaped(words)}" for words in [*notices[:MOST_NOTICES], *more])] if notices else []
    return "\n".join(lines)


def verdict(plan: Plan, refused: BatchrunError | None) -> str:
    """What a submit would do, and cost."""
    if refused:
        return f"**Refused**: {escaped_lines(refused)}"
    if not plan.requests:
        return "**Nothing to send.**"
    cost = plan.estimate.cost_nusd
    bounds = f"{dollars(cost.mean)} (90%: {dollars(cost.low)} to {dollars(cost.high)})"
    return f"**{count(plan.to_send, 'document')} to send for about {bounds}**, budget {dollars(plan.cap_nusd)}"


def route_rows(plan: Plan) -> Iterator[str]:
    """A row for each route."""
    for one in plan.forecasts:
        cost, name = one.estimate.cost_nusd, escaped(one.name)
        shown = f"**{name}** (chosen)" if one is plan.chosen else name
        yield f"| {shown} | {dollars(cost.mean)} | {dollars(cost.low)} to {dollars(cost.high)} | {time_words(one)} |"
