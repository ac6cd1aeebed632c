"""The use of the prompt cache: in one run, for the summary, and in a job's earlier runs, for the next plan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchrun.catalog.price import ModelPrice
from batchrun.reply import Usage
from batchrun.store.ledger.ledger import Ledger

LOOKED_AT = 20_000
"""How many of the latest attempts of a job are read for the rate of cache hits."""
FEWEST = 20
"""How many attempts with cached tokens a rate needs: fewer say nothing, because the first attempt never hits."""

NO_BAND = 2**60
"""A bound above any prompt, for a model without a band of long prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUse:
    """The cached tokens of one run, all its parts and models together."""

    read_tokens: int
    written_tokens: int
    saved_nusd: int
    """What the same tokens would have cost more without a cache, at today's prices; negative if the cache cost more."""

    @property
    def hit_rate(self) -> float:
        """The share of the cached tokens that were read and not written."""
        return self.read_tokens / (self.read_tokens + self.written_tokens)


def cache_use(ledger: Ledger, run_no: int, *, price_of: Callable[[str], ModelPrice | None]) -> CacheUse | None:
    """Read the cache use of a run. Returns None if nothing was cached. A model without a price has saved nothing."""
    models = ledger.connection.execute(
        "select distinct model from attempts indexed by attempts_run where run_no = ? and state = 'answered'", (run_no,)
    )
    uses = [use for (model,) in models.fetchall() for use in _uses(ledger, run_no, model, price_of(model))]
    read, written = sum(use.read_tokens for use in uses), sum(use.written_tokens for use in uses)
    if not read and not written:
        return None
    return CacheUse(read_tokens=read, written_tokens=written, saved_nusd=sum(use.saved_nusd for use in uses))


def measured_hit_rate(ledger: Ledger, job: str, *, in_batches: bool) -> float | None:
    """Return the share of cached tokens that the job's latest answers on one route read, or None if answers are few."""
    read, written, answers = ledger.connection.execute(
        "select coalesce(sum(read), 0), coalesce(sum(written), 0), count(*) from ("
        "  select batch_no, cache_read_tokens as read, cache_write_5m_tokens + cache_write_1h_tokens as written"
        "  from attempts where job = ? order by seq desc limit ?"
        " ) where read + written > 0 and (batch_no is not null) = ?",
        (job, LOOKED_AT, in_batches),
    ).fetchone()
    return read / (read + written) if answers >= FEWEST else None


def _uses(ledger: Ledger, run_no: int, model: str, price: ModelPrice | None) -> Iterator[CacheUse]:
    """Yield the cache use of a model's answers, by route and by the band of prices that an answer fell in."""
    band = price.band if price else None
    rows = ledger.connection.execute(
        "select batch_no is not null as in_batch,"
        " input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens > ? as above,"
        " sum(input_tokens), sum(cache_write_5m_tokens), sum(cache_write_1h_tokens), sum(cache_read_tokens)"
        " from attempts indexed by attempts_run"
        " where run_no = ? and state = 'answered' and model = ? and input_tokens is not null group by in_batch, above",
        (band.above_tokens if band else NO_BAND, run_no, model),
    )
    for in_batch, above, *counts in rows:
        usage, saved_nusd = Usage(*counts), 0
        if price:
            rates = band.rates if band and above else price.rates
            plain_nusd = rates.cost_nusd(Usage(input_tokens=usage.prompt_tokens))
            saved_nusd = (plain_nusd - rates.cost_nusd(usage)) // (price.in_batches if in_batch else price).divisor
        yield CacheUse(
            read_tokens=usage.cache_read_tokens, written_tokens=usage.cache_write_tokens, saved_nusd=saved_nusd
        )
