"""Faults come from the request and the seed, never from the moment."""

import hashlib
from collections import Counter

import pytest

from batchrun.errors import UsageProblem
from batchrun.simulator.faults.catalogue import BATCH_FAULTS, FAULTS, check_script
from batchrun.simulator.faults.profiles import PROFILES, Draw, Profile, draw


def shas(count: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(count)]


def test_the_same_request_draws_the_same() -> None:
    sha = shas(1)[0]

    assert draw(sha, seed=1, seen=0) == draw(sha, seed=1, seen=0)


def test_a_retry_another_body_and_another_seed_draw_anew() -> None:
    one, other = shas(2)
    draws = {
        draw(one, seed=1, seen=0),
        draw(one, seed=1, seen=1),
        draw(other, seed=1, seen=0),
        draw(one, seed=2, seen=0),
    }

    assert len(draws) == 4


def test_chances_are_in_the_unit_interval() -> None:
    chances = [chance for sha in shas(500) for chance in _chances(draw(sha, seed=0, seen=0))]

    assert all(0 <= chance < 1 for chance in chances)
    assert sum(chances) / len(chances) == pytest.approx(0.5, abs=0.03)


def _chances(drawn: Draw) -> tuple[float, ...]:
    return drawn.fault, drawn.first_token, drawn.pace, drawn.thinking


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_has_its_rates(name: str) -> None:
    profile, count = PROFILES[name], 20_000
    seen = Counter(profile.fault_at(draw(sha, seed=7, seen=0).fault) for sha in shas(count))

    rates = {fault: rate for fault, rate in profile.rates.items() if fault in FAULTS}
    for fault, rate in rates.items():
        assert seen[fault] / count == pytest.approx(rate, abs=0.005)
    assert seen[None] / count == pytest.approx(1 - sum(rates.values()), abs=0.01)


def test_profiles_name_known_faults() -> None:
    assert all(profile.rates.keys() <= FAULTS.keys() | BATCH_FAULTS.keys() for profile in PROFILES.values())


def test_chances_fall_on_faults_in_order() -> None:
    profile = Profile({"overloaded": 0.25, "hang": 0.25})

    assert [profile.fault_at(chance) for chance in (0.0, 0.24, 0.25, 0.49, 0.5, 0.99)] == [
        "overloaded",
        "overloaded",
        "hang",
        "hang",
        None,
        None,
    ]


def test_a_script_names_what_it_knows() -> None:
    assert check_script(["ok", "spend_limit"]) == ("ok", "spend_limit")

    with pytest.raises(UsageProblem, match="unknown fault in the script: overlaoded") as refused:
        check_script(["ok", "overlaoded"])
    assert "overloaded" in (refused.value.hint or "")
