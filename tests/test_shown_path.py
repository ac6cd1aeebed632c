"""A long path in a line for people loses its middle."""

import pytest

from batchrun.escaping import SHOWN_COLUMNS, columns_of, shown_path

LONG = f"contracts/{'a very long folder/' * 30}the last name.pdf"


def test_the_ends_of_a_long_path_stay() -> None:
    said = shown_path(LONG)

    assert columns_of(said) == SHOWN_COLUMNS
    assert said.startswith("contracts/a very")
    assert said.endswith("/the last name.pdf")
    assert said.count("…") == 1


@pytest.mark.parametrize("path", ["", "a.txt", "x" * SHOWN_COLUMNS, "語" * (SHOWN_COLUMNS // 2)])
def test_a_path_that_fits_is_as_it_is(path: str) -> None:
    assert shown_path(path) == path


@pytest.mark.parametrize("width", [10, 11, 101])
def test_wide_characters_never_pass_the_width(width: int) -> None:
    assert width - 2 <= columns_of(shown_path("契約書/" * 100, width)) <= width


def test_nothing_commands_the_terminal() -> None:
    assert "\x1b" not in shown_path(f"a\x1b[31m{LONG}")
