"""Quotes by the thousand over made contracts: true ones are found, changed and invented ones are not believed."""

from collections.abc import Iterable, Sequence

import pytest
from quote_draws import Draw, changed_draws, invented_draws, true_draws

from batchrun.answers.evidence.locate import locate
from batchrun.answers.evidence.located import Located

ACCEPTED = ("exact", "close")


Found = Sequence[tuple[Draw, Located]]


def _located(draws: Iterable[Draw], *, with_hint: bool = False) -> Found:
    return [(draw, locate(draw.index, draw.quote, page=draw.page if with_hint else None)) for draw in draws]


def _accepted(located: Found) -> list[str]:
    return [f"{draw.kind}: {draw.quote}" for draw, found in located if found.status in ACCEPTED]


def _refused(located: Found) -> list[str]:
    return [f"{draw.kind}: {draw.quote}" for draw, found in located if found.status not in ACCEPTED]


def _on_other_pages(located: Found) -> list[str]:
    return [f"page {draw.page}: {draw.quote}" for draw, found in located if found.pages[:1] != (draw.page,)]


@pytest.mark.parametrize("seed", [1, 2])
def test_some_hundred_draws(seed: int) -> None:
    draws = true_draws(seed, 130, contracts=5)
    assert _refused(_located(draws)) == []
    assert _on_other_pages(_located(draws, with_hint=True)) == []
    assert _accepted(_located(changed_draws(seed, 120, contracts=5))) == []
    assert _accepted(_located(invented_draws(seed, 60, contracts=5))) == []


def test_the_kinds_are_drawn_evenly_and_the_same_seed_draws_the_same() -> None:
    draws = changed_draws(3, 24, contracts=5)
    assert {sum(other.kind == draw.kind for other in draws) for draw in draws} == {2}
    assert [draw.quote for draw in changed_draws(3, 24, contracts=5)] == [draw.quote for draw in draws]


@pytest.mark.slow
def test_ten_thousand_draws_meet_the_targets() -> None:
    draws = true_draws(60606, 3_900)
    changed, invented = changed_draws(60606, 4_100), invented_draws(60606, 2_000)
    assert len(draws) + len(changed) + len(invented) == 10_000
    located = _located(draws)
    refused, moved = _refused(located), _on_other_pages(located)
    assert len(refused) <= 0.001 * len(draws), refused
    assert len(moved) <= 0.01 * len(draws), moved
    moved = _on_other_pages(_located(draws, with_hint=True))
    assert len(moved) <= 0.001 * len(draws), moved
    accepted = _accepted(_located(changed))
    assert len(accepted) <= 0.002 * len(changed), accepted
    accepted = _accepted(_located(invented))
    assert len(accepted) <= 0.001 * len(invented), accepted
