"""Waits that are long are told once, as soon as that is known."""

from batchrun.execution.long_waits import LONG_S, LongWaits


def test_a_wait_is_told_once_when_it_has_become_long() -> None:
    waits = LongWaits()
    waits.begin("m", "529: Overloaded", now=100.0)
    waits.begin("m", "529: Overloaded still", now=110.0)

    assert waits.news(100.0 + LONG_S - 1) == []
    assert waits.told is None
    assert waits.news(100.0 + LONG_S) == ["529: Overloaded still"]
    waits.begin("m", "another word", now=200.0)
    assert waits.news(300.0) == []
    assert waits.told == "529: Overloaded still"


def test_a_wait_that_is_known_to_be_long_is_told_at_once() -> None:
    waits = LongWaits()
    waits.begin("m", "429: Daily quota", now=100.0, least_s=3600.0)
    assert waits.news(100.0) == ["429: Daily quota"]


def test_many_short_pauses_without_an_answer_are_one_wait() -> None:
    waits = LongWaits()
    for now in range(0, 30, 5):
        waits.begin("m", "429: later", now=now, least_s=5.0)
        assert waits.news(now) == ([] if now < 25 else ["429: later"])


def test_what_ends_is_forgotten_and_told_again_the_next_time() -> None:
    waits = LongWaits()
    for beginning in (0.0, 1_000.0):
        waits.begin("m", "why", now=beginning)
        assert waits.news(beginning + LONG_S) == ["why"]
        waits.end("m")
        waits.end("m")
        assert waits.told is None
    assert waits.news(9_999.0) == []


def test_several_waits_are_told_together() -> None:
    waits = LongWaits()
    for what in ("a", "b", "c"):
        waits.begin(what, f"why {what}", now=0.0)
    waits.end("b")
    waits.news(LONG_S)
    assert waits.told == "why a; why c"
