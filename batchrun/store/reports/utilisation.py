"""How much of its rate limits a run used, and which limit was binding; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchrun.store.ledger.records import MinuteUse
from batchrun.strategy.duration import Bound

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The share of each limit that was used, 1.0 being all of the limit; None if the limit is not known."""

    requests: float | None
    input_tokens: float | None
    output_tokens: float | None

    @property
    def by_bound(self) -> dict[Bound, float]:
        """The known shares, by limit."""
        shares = {
            Bound.REQUESTS: self.requests,
            Bound.INPUT_TOKENS: self.input_tokens,
            Bound.OUTPUT_TOKENS: self.output_tokens,
        }
        return {bound: share for bound, share in shares.items() if share is not None}

    @property
    def binding(self) -> Bound | None:
        """The limit of which the largest share was used; None if no limit is known."""
        known = self.by_bound
        return max(known, key=lambda bound: known[bound], default=None)


def minute_shares(use: MinuteUse) -> Shares:
    """Return the shares of one minute. The first and last minute of a run are partial, and their shares look smaller."""
    return _shares([use], [MINUTE_S])


def utilisation(uses: Sequence[MinuteUse], *, began_at: float, ended_at: float) -> dict[str, Shares]:
    """Return for each model the shares of its limits that a run used, from the run's first minute to its last.

    `began_at` and `ended_at` are the run's, in seconds since 1970. The first and last minute count only with the part
    between these times. A minute without a row does not count, since a run may be cut short and continued later: a
    minute in which nothing was sent counts if it has a row of zeros. Less than a minute in all counts as a minute,
    because a bucket that is full at the start lets a minute's worth through at once. For the same reason a run of few
    minutes may have used more than 100%.
    """
    by_model: dict[str, list[MinuteUse]] = {}
    for use in uses:
        by_model.setdefault(use.model, []).append(use)
    return {
        model: _shares(rows, [_active_s(row, began_at, ended_at) for row in rows]) for model, rows in by_model.items()
    }


def highest(all_shares: Iterable[Shares]) -> Shares:
    """Return for each limit the largest share that any of the models used."""
    shares = list(all_shares)

    def largest(values: Iterable[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    return Shares(
        requests=largest(one.requests for one in shares),
        input_tokens=largest(one.input_tokens for one in shares),
        output_tokens=largest(one.output_tokens for one in shares),
    )


def _active_s(use: MinuteUse, began_at: float, ended_at: float) -> float:
    begin, end = use.minute * MINUTE_S, (use.minute + 1) * MINUTE_S
    return max(0.0, min(end, ended_at) - max(begin, began_at))


def _shares(rows: Sequence[MinuteUse], active_s: Sequence[float]) -> Shares:
    def share(used: Sequence[int], limits: Sequence[int | None]) -> float | None:
        """Return the share over all minutes whose limit is known."""
        known = [(use, limit, s) for use, limit, s in zip(used, limits, active_s, strict=True) if limit]
        if not known:
            return None
        allowed = sum(limit * s for _, limit, s in known) / MINUTE_S
        if sum(s for _, _, s in known) < MINUTE_S:
            allowed = max(limit for _, limit, _ in known)
        return sum(use for use, _, _ in known) / allowed

    return Shares(
        requests=share([row.requests for row in rows], [row.requests_limit for row in rows]),
        input_tokens=share([row.input_tokens for row in rows], [row.input_tokens_limit for row in rows]),
        output_tokens=share([row.output_tokens for row in rows], [row.output_tokens_limit for row in rows]),
    )
