"""How much of its rate limits a run used, and which limit was binding; pure."""

from collections.abc import Collection, Mapping, Sequence

from batchrun.store.ledger.records import MinuteUse
from batchrun.strategy.duration import Bound

MINUTE_S = 60.0

Shares = Mapping[Bound, float]
"""The share of each limit that was used, 1.0 being all of the limit. A limit that is not known has no share."""


def binding(shares: Shares) -> Bound | None:
    """Find the limit of which the largest share was used. Returns None if no limit is known."""
    return max(shares, key=lambda bound: shares[bound], default=None)


def minute_shares(use: MinuteUse) -> Shares:
    """Return the shares of one minute. The first and last minute of a run are partial, and their shares are small."""
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


def highest(all_shares: Collection[Shares]) -> Shares:
    """Return for each limit the largest share that any of the models used."""
    known = {bound: [shares[bound] for shares in all_shares if bound in shares] for bound in Bound}
    return {bound: max(found) for bound, found in known.items() if found}


def _active_s(use: MinuteUse, began_at: float, ended_at: float) -> float:
    begin, end = use.minute * MINUTE_S, (use.minute + 1) * MINUTE_S
    return max(0.0, min(end, ended_at) - max(begin, began_at))


def _shares(rows: Sequence[MinuteUse], active_s: Sequence[float]) -> Shares:
    used = {
        Bound.REQUESTS: [(row.requests, row.requests_limit) for row in rows],
        Bound.INPUT_TOKENS: [(row.input_tokens, row.input_tokens_limit) for row in rows],
        Bound.OUTPUT_TOKENS: [(row.output_tokens, row.output_tokens_limit) for row in rows],
    }
    shares = {bound: _share(pairs, active_s) for bound, pairs in used.items()}
    return {bound: share for bound, share in shares.items() if share is not None}


def _share(pairs: Sequence[tuple[int, int | None]], active_s: Sequence[float]) -> float | None:
    """Compare use and limit over all minutes whose limit is known."""
    known = [(use, limit, seconds) for (use, limit), seconds in zip(pairs, active_s, strict=True) if limit]
    if not known:
        return None
    allowed = sum(limit * seconds for _, limit, seconds in known) / MINUTE_S
    if sum(seconds for _, _, seconds in known) < MINUTE_S:
        allowed = max(limit for _, limit, _ in known)
    return sum(use for use, _, _ in known) / allowed
