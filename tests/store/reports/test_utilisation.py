"""How much of its limits a run used: by the minute, as a whole, and which of them it ran against."""

from dataclasses import replace

import pytest

from batchrun.store.ledger.records import MinuteUse
from batchrun.store.reports.utilisation import Shares, binding, highest, minute_shares, utilisation
from batchrun.strategy.duration import Bound

FULL = MinuteUse(
    model="m", minute=10, requests=30, input_tokens=900, output_tokens=100, requests_limit=60, input_tokens_limit=1_000,
    output_tokens_limit=1_000,
)  # fmt: skip
UNKNOWN: Shares = {}


def minutes(*numbers: int, **changes: object) -> list[MinuteUse]:
    return [replace(FULL, minute=number, **changes) for number in numbers]


def test_the_shares_of_one_minute() -> None:
    assert minute_shares(FULL) == {Bound.REQUESTS: 0.5, Bound.INPUT_TOKENS: 0.9, Bound.OUTPUT_TOKENS: 0.1}


def test_a_limit_that_is_not_known_has_no_share() -> None:
    use = replace(FULL, requests_limit=None, output_tokens_limit=0)
    assert minute_shares(use) == {Bound.INPUT_TOKENS: 0.9}


WHOLE = {
    "whole minutes": (minutes(10, 11), 600.0, 720.0, 0.9),
    "the first one half": (minutes(10, 11), 630.0, 720.0, 1.2),
    "the last one half": (minutes(10, 11, 12), 600.0, 750.0, 1.08),
    "a minute with nothing in it": ([*minutes(10), *minutes(11, input_tokens=0)], 600.0, 720.0, 0.45),
    "a night between": (minutes(10, 500), 600.0, 500 * 60 + 60.0, 0.9),
    "less than a minute counts as one": (minutes(10), 600.0, 605.0, 0.9),
    "two moments of two minutes as well": (minutes(10, 11), 655.0, 665.0, 1.8),
    "limits that changed": ([*minutes(10), *minutes(11, input_tokens_limit=3_000)], 600.0, 720.0, 0.45),
    "a limit that was learnt later": ([*minutes(10, input_tokens_limit=None), *minutes(11)], 600.0, 720.0, 0.9),
}


@pytest.mark.parametrize(("uses", "began_at", "ended_at", "expected"), WHOLE.values(), ids=WHOLE)
def test_the_share_over_a_run(uses: list[MinuteUse], began_at: float, ended_at: float, expected: float) -> None:
    (shares,) = utilisation(uses, began_at=began_at, ended_at=ended_at).values()
    assert shares[Bound.INPUT_TOKENS] == pytest.approx(expected)


def test_each_model_has_limits_of_its_own() -> None:
    uses = [*minutes(10), *minutes(10, model="n", requests=60, input_tokens=0)]
    told = utilisation(uses, began_at=600.0, ended_at=660.0)
    assert {model: shares[Bound.REQUESTS] for model, shares in told.items()} == {"m": 0.5, "n": 1.0}
    assert highest(list(told.values())) == {Bound.REQUESTS: 1.0, Bound.INPUT_TOKENS: 0.9, Bound.OUTPUT_TOKENS: 0.1}


def test_nothing_noted_nothing_used() -> None:
    assert utilisation([], began_at=0.0, ended_at=60.0) == {}
    assert highest([]) == UNKNOWN


@pytest.mark.parametrize(
    ("shares", "bound"),
    [
        (minute_shares(FULL), Bound.INPUT_TOKENS),
        (minute_shares(replace(FULL, requests=60)), Bound.REQUESTS),
        (minute_shares(replace(FULL, input_tokens_limit=None, requests=5)), Bound.OUTPUT_TOKENS),
        (UNKNOWN, None),
    ],
)
def test_which_limit_binds(shares: Shares, bound: Bound | None) -> None:
    assert binding(shares) is bound
