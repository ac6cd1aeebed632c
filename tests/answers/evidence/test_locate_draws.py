"""Quotes by the thousand over made contracts: true ones are found, changed and invented ones are not believed."""

from collections.abc import Iterable, Sequence

import pytest
from quote_draws import Draw, changed_draws, invented_draws, true_draws

from batchrun.answers.evidence.locate import locate

ACCEPTED = ("exact", "close")


def _accepted(draws: Sequence[Draw]) -> list[str]:
    return [f"{draw.kind}: {draw.quote}" for draw in draws if locate(draw.index, draw.quote).status in ACCEPTED]


def _refused(draws: Sequence[Draw]) -> list[str]:
    return [f"{draw.kind}: {draw.quote}" for draw in draws if locate(draw.index, draw.quote).status not in ACCEPTED]


def _on_other_pages(draws: Iterable[Draw], *, with_hint: bool) -> list[str]:
    found = ((draw, locate(draw.index, draw.quote, page=draw.page if with_hint else None)) for draw in draws)
    return [f"page {draw.page}: {draw.quote}" for draw, located in found if located.pages[:1] != (draw.page,)]


@pytest.mark.parametrize("seed", [1, 2])
def test_some_hundred_draws(seed: int) -> None:
    draws = true_draws(seed, 130, contracts=5)
    assert _refused(draws) == []
    assert _on_other_pages(draws, with_hint=True) == []
    assert _accepted(changed_draws(seed, 120, contracts=5)) == []
    assert _accepted(invented_draws(seed, 60, contracts=5)) == []


def test_the_kinds_are_drawn_evenly_and_the_same_seed_draws_the_same() -> None:
    draws = changed_draws(3, 24, contracts=5)
    assert {sum(other.kind == draw.kind for other in draws) for draw in draws} == {2}
    assert [draw.quote for draw in changed_draws(3, 24, contracts=5)] == [draw.quote for draw in draws]


@pytest.mark.slow
def test_ten_thousand_draws_meet_the_targets() -> None:
    draws = true_draws(60606, 3_900)
    changed, invented = changed_draws(60606, 4_100), invented_draws(60606, 2_000)
    assert len(draws) + len(changed) + len(invented) == 10_000
    refused, moved = _refused(draws), _on_other_pages(draws, with_hint=False)
    assert len(refused) <= 0.001 * len(draws), refused
    assert len(moved) <= 0.01 * len(draws), moved
    moved = _on_other_pages(draws, with_hint=True)
    assert len(moved) <= 0.001 * len(draws), moved
    accepted = _accepted(changed)
    assert len(accepted) <= 0.002 * len(changed), accepted
    accepted = _accepted(invented)
    assert len(accepted) <= 0.001 * len(invented), accepted
