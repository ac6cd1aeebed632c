"""The money, tokens and attempts of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.store.ledger.chain import Head
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.runs import by_name

ESTIMATE = """
select estimate_nusd, estimate_low_nusd, estimate_high_nusd, estimate_input_tokens, estimate_output_tokens
from runs where run_no = ?
"""
ATTEMPTS = """
select count(*) as attempts, count(case when state = 'unknown' then 1 end) as lost,
    count(case when state = 'answered' and cost_nusd is null then 1 end) as untold,
    coalesce(sum(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens), 0) as input_tokens,
    coalesce(sum(output_tokens), 0) as output_tokens, coalesce(sum(thinking_tokens), 0) as thinking_tokens
from attempts where run_no = ?
"""
RETRIED = """
select cause, count(*) from attempts where run_no = ? and cause is not null and outcome is null and exists (
    select 1 from attempts later where later.request_no = attempts.request_no and later.run_no = attempts.run_no
    and later.attempt_no > attempts.attempt_no)
group by cause order by 2 desc, cause
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The totals of one run, all its parts together."""

    run_id: str
    cost_nusd: int
    """The cost of all answers."""
    held_nusd: int
    """The worst cases of answers that were lost or stated no usage: they may have been billed."""
    open_nusd: int
    """What is reserved for open batches."""
    lost: int
    """How many attempts lost their answer."""
    untold: int
    """How many answers stated no usage that can be believed."""
    cap_nusd: int
    tokens: int
    """The tokens of all answers, and those of lost answers at their worst case."""
    cap_tokens: int | None
    """The most tokens that the run may use; None for any number."""
    estimate_nusd: int
    estimate_low_nusd: int
    estimate_high_nusd: int
    estimate_input_tokens: int | None
    """The estimated tokens; both numbers are None if an earlier version began the run."""
    estimate_output_tokens: int | None
    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    """The part of `output_tokens` that is thinking, as far as replies tell."""
    attempts: int
    retried: Mapping[str, int]
    """How many attempts failed and were followed by another one, by cause."""
    chain_head: Head | None
    """The link of the run's last settlement in the chain; None if an earlier version made the whole run."""


def totals(ledger: Ledger, run_no: int) -> Totals:
    """Read the totals of a run."""
    run = Runs(ledger).one(run_no)
    (estimate,) = by_name(ledger.connection.execute(ESTIMATE, (run_no,)))
    (attempts,) = by_name(ledger.connection.execute(ATTEMPTS, (run_no,)))
    return Totals(
        run_id=run.run_id,
        cost_nusd=run.spent_nusd,
        held_nusd=run.held_nusd,
        open_nusd=run.open_nusd,
        cap_nusd=run.cap_nusd,
        tokens=run.spent_tokens + run.held_tokens,
        cap_tokens=run.cap_tokens,
        **estimate,
        **attempts,
        retried=dict(ledger.connection.execute(RETRIED, (run_no,)).fetchall()),
        chain_head=ledger.chain.head_of_run(run_no),
    )
