"""The summary at the end of a run, for people and for programs."""

import math
from pathlib import Path

from batchrun.budget.caps import Origin
from batchrun.catalog.money import dollars, enough
from batchrun.cli.next_command import again, changed, command
from batchrun.cli.views.batch_text import batch_table
from batchrun.cli.views.caps_text import left_lines, needed
from batchrun.cli.views.cascade_text import escalated_lines, promise_lines
from batchrun.cli.views.check_text import failing_lines
from batchrun.cli.views.findings_text import findings_lines
from batchrun.cli.views.format import about, below_here, count, duration, tokens
from batchrun.cli.views.metrics_text import pace_lines, retried_lines
from batchrun.cli.views.plan_text import gone_words
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.escaping import escape_control
from batchrun.execution.failure_messages import BudgetReached
from batchrun.job.problems import is_given
from batchrun.job.tune_section import is_tuned
from batchrun.outcome import RETRIED, Outcome
from batchrun.store.reports.cache_use import CacheUse
from batchrun.store.reports.totals import Totals
from batchrun.strategy.plan import Plan
from batchrun.workflow.summary import Summary

NOT_OF_A_RETRY = ("limit", "next", "exact", "pilot", "go_on", "no_pilot", "simulate", "rescan", "reread")
"""Options of a submit that a retry does not take, or that mean something else there."""


def summary_as_text(summary: Summary, path: Path, terminal: Terminal, *, report: Path | None = None) -> str:
    """The whole summary, with the report that the run has left, if any."""
    lines = [*verdict_lines(summary, terminal), ""]
    if not stopped_at_once(summary):
        lines += [*outcome_lines(summary), ""]
        if summary.totals:
            lines += [*totals_lines(summary, summary.totals), ""]
    if of_checks := [*failing_lines(summary.checks)]:
        lines += [*of_checks, ""]
    if summary.open_batches:
        lines += [batch_table(summary.open_batches, width=terminal.width()), ""]
    lines += [f"  report   {escape_control(below_here(report))}"] if report else []
    lines += next_lines(summary, path)
    return "\n".join(lines).rstrip() + (f"\nexit {int(summary.exit_code)}" if summary.exit_code else "")


def verdict_lines(summary: Summary, terminal: Terminal) -> list[str]:
    """One sentence on how the run went. The error on stderr says why a run stopped."""
    stamp = terminal.simulated_stamp(summary.simulated)
    run = f" run {summary.totals.run_id}" if summary.totals else ""
    if summary.open_batches and not summary.halted:
        return [f"{stamp}{summary.job}{run} is not finished: batches are in progress"]
    if summary.halted:
        left = f": {count(summary.outcomes[None], 'document')} pending" if stopped_at_once(summary) else ""
        return [f"{stamp}{summary.job}{run} stopped after {duration(summary.seconds)}{left}"]
    if summary.totals is None:
        failed = failed_count(summary)
        without = f"; {count(failed, 'document')} without a row" if failed else ""
        return [f"{stamp}{summary.job}: nothing to send{without}"]
    if pending := summary.outcomes.get(None):
        return [f"{stamp}{summary.job}{run} is not finished: {count(pending, 'document')} pending"]
    problems = " with problems" if summary.exit_code == ExitCode.SOME_FAILED else ""
    return [f"{stamp}{summary.job}{run} finished{problems} in {duration(summary.seconds)}"]


def stopped_at_once(summary: Summary) -> bool:
    """Whether the run stopped before anything came of it: there is nothing to count then but pending documents."""
    one = summary.totals
    nothing = one is None or not (one.cost_nusd or one.held_nusd or one.open_nusd)
    return summary.halted is not None and nothing and list(summary.outcomes) == [None]


def failed_count(summary: Summary) -> int:
    """The number of documents that failed."""
    return sum(number for outcome, number in summary.outcomes.items() if outcome and outcome.failed)


def outcome_lines(summary: Summary) -> list[str]:
    """The count of every outcome, over documents sent now and before."""
    total = sum(summary.outcomes.values())
    names: list[Outcome | None] = [*Outcome, None]
    lines = [
        f"  {outcome or 'pending':<11} {number:>7,}  {100 * number / max(total, 1):5.1f}%"
        for outcome in names
        if (number := summary.outcomes.get(outcome, 0)) or (total and outcome is Outcome.SUCCEEDED)
    ]
    if total < summary.plan.in_source:
        lines.append(f"  {'selected':<11} {total:>7,}  of {count(summary.plan.in_source, 'document')}")
    return lines


def totals_lines(summary: Summary, totals: Totals) -> list[str]:
    """The money, the tokens, the lost answers and the speed of the run."""
    pretend = " (pretend)" if summary.simulated else ""
    unfinished = summary.halted or summary.open_batches or summary.outcomes.get(None)
    through = not unfinished and not totals.untold
    estimate = beside(totals) if through else ""
    lines = [
        f"  cost     {dollars(totals.cost_nusd)}{pretend} of {dollars(totals.cap_nusd)}{estimate}",
        f"  tokens   in {tokens(totals.input_tokens)}{off(totals.input_tokens, totals.estimate_input_tokens, through)}"
        f" · out {tokens(totals.output_tokens)}{off(totals.output_tokens, totals.estimate_output_tokens, through)}"
        + (f" · {totals.tokens:,} of {totals.cap_tokens:,}" if totals.cap_tokens else ""),
    ]
    if totals.thinking_tokens:
        share = about(totals.thinking_tokens / max(totals.output_tokens, 1))
        lines.append(f"  thinking {share} of the output tokens")
    if summary.plan.continues and summary.plan.spent_nusd:
        lines.insert(1, f"  earlier  {dollars(summary.plan.spent_nusd)} of it was spent before this submit")
    if summary.cache_use:
        lines.append(f"  cache    {cache_words(summary.cache_use)}")
    if totals.open_nusd:
        what = "batches in progress" if summary.open_batches else "requests whose end is not recorded yet"
        lines.append(f"  reserved {dollars(totals.open_nusd)} at most, for {what}")
    if totals.lost or totals.untold:
        lines.append(f"  {held_words(totals)}: {dollars(totals.held_nusd)} at most, counted against the budget")
    lines += escalated_lines(summary.escalations)
    lines += promise_lines(summary.calibration, summary.plan.models)
    lines += findings_lines(summary.findings) if summary.findings else []
    if summary.gold:
        from batchrun.cli.views.evaluation_text import gold_lines

        lines += gold_lines(summary.gold)
    lines += retried_lines(totals.retried)
    return lines + (pace_lines(summary.performance) if summary.performance else [])


def held_words(totals: Totals) -> str:
    """The answers whose cost nobody knows."""
    lost = f"{count(totals.lost, 'answer')} never arrived and may have been billed"
    untold = f"{count(totals.untold, 'answer')} came without usage that can be believed"
    if not totals.untold:
        return f"lost     {lost}"
    return f"unknown  {untold}, and {lost}" if totals.lost else f"unknown  {untold}"


def beside(totals: Totals) -> str:
    """The estimate, and how far the cost is off the estimate."""
    if not totals.estimate_nusd:
        return ""
    error = 100 * (totals.cost_nusd / totals.estimate_nusd - 1)
    low, high = totals.estimate_low_nusd, totals.estimate_high_nusd
    outside = "" if low <= totals.cost_nusd <= high else f", outside {dollars(low)} to {dollars(high)}"
    return f", estimate {dollars(totals.estimate_nusd)} ({error:+.1f}%{outside})"


def off(actual: int, estimate: int | None, through: bool) -> str:
    """How far tokens are off their estimate; nothing for a run that is not through."""
    return f" ({100 * (actual / estimate - 1):+.1f}%)" if through and estimate else ""


def cache_words(use: CacheUse) -> str:
    """The tokens read from the prompt cache and written to the cache, and the money that the cache saved."""
    hits = math.floor(100 * use.hit_rate)  # rounded down, and so never 100%: whatever was read had been written before
    words = f"read {tokens(use.read_tokens)} ({hits}%) · written {tokens(use.written_tokens)}"
    if use.saved_nusd < 0:
        return f'{words} · cost {dollars(-use.saved_nusd)} more than without: set prompt.cache = "off"'
    return f"{words} · saved {dollars(use.saved_nusd)} against no cache"


def next_lines(summary: Summary, path: Path) -> list[str]:
    """The head of the chain, the place of the rows, and what to type next. The runs of tunes have no rows."""
    if is_tuned(summary.job):
        return [f"  next     {again(summary.job, path, typed_by(summary))}   # goes on, or shows what the tune found"]
    simulate = ["--simulate"] if summary.simulated else []
    lines = [] if stopped_at_once(summary) else [f"  rows     {below_here(summary.database)}"]
    if summary.unpublished:
        lines = [f"  rows     safe in the ledger, not in the output yet: {escape_control(summary.unpublished)}",
                 f"  next     {command('sync', path, simulate)}"]  # fmt: skip
    if summary.totals and (head := summary.totals.chain_head):
        lines.insert(0, f"  chain    head {head.short}, link {head.link_no:,}")
    if is_given(path):
        return [*lines, "  next     the program that gave the job goes on with it: there is no job file for a command"]
    lines += gone_lines(summary.plan)
    lines += left_lines(summary)
    lines += [f"  next     {line}" for line in submit_again(summary, path)]
    if any(check.rows for check in summary.checks):
        lines.append(f"  next     {command('check', path, simulate)}   # more failing rows")
    if summary.awaited_of:
        lines.append(f"  awaited  in batches of other jobs: submit these first: {', '.join(summary.awaited_of)}")
    pending = summary.outcomes.get(None)  # which come first, unless something has to be looked at before they go on
    if failed_count(summary) and (summary.halted or not pending):
        lines.append(f"  next     {command('results', path, [*simulate, '--status', 'failed'])}")
        lines += [f"           {line}" for line in retry_again(summary, path)]
    elif not (summary.unpublished or summary.halted or summary.open_batches or pending):
        lines.append(f"  next     {command('results', path, simulate)}")
    return lines


def gone_lines(plan: Plan) -> list[str]:
    """The rows of documents that are no longer in the source; no line if there are none."""
    if not plan.drops_gone:
        return [f"  gone     {words}" for words in gone_words(plan)]
    what = "row of a document that is" if plan.gone == 1 else "rows of documents that are"
    return [f"  dropped  {plan.gone:,} {what} no longer in the source"] if plan.gone else []


def submit_again(summary: Summary, path: Path) -> list[str]:
    """The submit that goes on with the pending documents; none if a cap has to be raised in a file before."""
    pending = summary.outcomes.get(None)
    if not pending:
        return []
    name, options = summary.plan.typed[:1], typed_by(summary)
    if isinstance(summary.halted, BudgetReached):
        if summary.halted.cap.origin is not Origin.COMMAND:
            return []
        options = changed(options, max_cost=enough(needed(summary) or 0))
    if any(option.startswith("--next=") for option in options):
        options = changed(options, next=pending)
    how = "collects" if summary.open_batches else "continues with"
    # Whether other documents have to be sent besides is known only after a submit.
    what = count(pending, "document") if name == ("submit",) else "the pending documents"
    return [f"{again(summary.job, path, options)}   # {how} {what}"]


def retry_again(summary: Summary, path: Path) -> list[str]:
    """The retry of the documents that a retry takes unasked; none if it would take none."""
    taken = sum(number for outcome, number in summary.outcomes.items() if outcome in RETRIED)
    if not taken:
        return []
    typed = typed_by(summary)
    options = changed(typed, **dict.fromkeys(NOT_OF_A_RETRY))
    counted = summary.plan.typed and not any(word.startswith(("--limit=", "--next=")) for word in typed)
    simulate = ["--simulate"] if summary.simulated else []
    words = f"   # {count(taken, 'document')}" if counted else ""
    return [f"{command('retry', path, [*options, *simulate])}{words}"]


def typed_by(summary: Summary) -> tuple[str, ...]:
    """The options of the command that made the run, as a submit takes them."""
    typed = summary.plan.typed[1:]
    if summary.plan.typed[:1] == ("retry",):  # which counts other documents
        typed = changed(typed, limit=None)
    is_stamped = any(word.partition("=")[0] == "--simulate" for word in typed)
    return (*typed, "--simulate") if summary.simulated and not is_stamped else typed
