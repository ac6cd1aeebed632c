"""Text that is drawn over itself."""

import sys

import pytest
from terminal_screen import Screen

from batchrun.cli.views.repaint import can_repaint, repainted


def small_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Stdout as a terminal of 20 columns and 5 lines, on which a command was typed."""
    screen = Screen()
    screen.write("$ watch\n")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    return screen


def test_the_last_lines_take_the_place_of_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = small_screen(monkeypatch)
    drawn = repainted([], ["one", "two", "three"])
    drawn = repainted(drawn, ["1", "", "a longer line, which is cut"])
    assert screen.shown == ["$ watch", "1", "", "a longer line, whic…"]
    drawn = repainted(drawn, ["last"])
    assert screen.shown == ["$ watch", "last"]
    assert repainted(drawn, []) == []
    assert screen.shown == ["$ watch"]


def test_no_more_lines_are_drawn_than_the_terminal_has(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = small_screen(monkeypatch)
    repainted([], list("abcdef"))
    assert screen.shown == ["$ watch", "a", "b", "c", "… 3 more lines"]


def test_lines_that_a_narrower_terminal_has_broken_are_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = small_screen(monkeypatch)
    drawn = repainted([], ["0123456789" * 2, "x"])
    monkeypatch.setenv("COLUMNS", "10")
    repainted(drawn, ["y"])
    assert "\x1b[3A" in screen.getvalue(), "the first line had become two"


def test_only_a_terminal_with_a_cursor_is_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    small_screen(monkeypatch)
    monkeypatch.setenv("TERM", "xterm")
    assert can_repaint()
    monkeypatch.setenv("TERM", "dumb")
    assert not can_repaint()
