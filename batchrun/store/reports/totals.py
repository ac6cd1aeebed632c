"""What a run came to, added up from its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.store.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of one run, all its parts together."""

    run_id: str
    cost_nusd: int
    """Of everything that was answered."""
    held_nusd: int
    """Worst cases of answers that were lost: they may have been billed."""
    open_nusd: int
    """Reserved for batches under way."""
    lost: int
    """Attempts whose answer was lost."""
    cap_nusd: int
    estimate_nusd: int
    estimate_low_nusd: int
    estimate_high_nusd: int
    estimate_input_tokens: int | None
    """None, like the next one, when the run was begun by an earlier version."""
    estimate_output_tokens: int | None
    input_tokens: int
    output_tokens: int
    attempts: int
    retried: Mapping[str, int]
    """Attempts without a reply that were not the last word, by cause."""


def totals(ledger: Ledger, run_no: int) -> Totals:
    """Add up a run."""
    run_id, cap, *estimate = ledger.connection.execute(
        "select run_id, cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, estimate_input_tokens,"
        " estimate_output_tokens from runs where run_no = ?",
        (run_no,),
    ).fetchone()
    row = ledger.connection.execute(
        "select coalesce(sum(cost_nusd), 0),"
        " coalesce(sum(case when cost_nusd is null and state != 'open' then reserved_nusd end), 0),"
        " count(case when state = 'unknown' then 1 end), count(*),"
        " coalesce(sum(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens), 0),"
        " coalesce(sum(output_tokens), 0),"
        " coalesce(sum(case when state = 'open' then reserved_nusd end), 0) from attempts where run_no = ?",
        (run_no,),
    ).fetchone()
    causes = ledger.connection.execute(
        "select cause, count(*) from attempts where run_no = ? and cause is not null and outcome is null"
        " group by cause order by 2 desc",
        (run_no,),
    )
    return Totals(
        run_id=run_id,
        cost_nusd=row[0],
        held_nusd=row[1],
        open_nusd=row[6],
        lost=row[2],
        cap_nusd=cap,
        estimate_nusd=estimate[0],
        estimate_low_nusd=estimate[1],
        estimate_high_nusd=estimate[2],
        estimate_input_tokens=estimate[3],
        estimate_output_tokens=estimate[4],
        attempts=row[3],
        input_tokens=row[4],
        output_tokens=row[5],
        retried=dict(causes.fetchall()),
    )
