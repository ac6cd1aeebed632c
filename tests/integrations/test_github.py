"""Commands of GitHub Actions: what documents and the API say begins no other command, and has its room."""

from pathlib import Path

import pytest

from batchrun.errors import EnvironmentProblem
from batchrun.integrations.github import MOST_BYTES, append, in_message, in_property


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("100% of a\r", "100%25 of a\\r"),
        ("one\n::error::two", "one%0A::error::two"),
        ("%0A::add-mask::x", "%250A::add-mask::x"),
        ("\x1b[31m\u202e", "\\x1b[31m\\u202e"),
    ],
)
def test_a_message_is_one_line(text: str, escaped: str) -> None:
    assert in_message(text) == escaped


def test_a_property_ends_where_it_should() -> None:
    assert in_property("a,b::c%") == "a%2Cb%3A%3Ac%25"


def test_a_step_never_has_more_than_github_takes(tmp_path: Path) -> None:
    path = tmp_path / "step.md"
    path.write_bytes(b"x" * (MOST_BYTES - 40))
    append(path, ["a report\n", "of two lines\n"])
    with pytest.raises(EnvironmentProblem, match="has no room"):
        append(path, ["a report of another run"])
    assert path.read_text().endswith("x\na report\nof two lines\n")
    assert path.stat().st_size <= MOST_BYTES


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"gone/step\.md cannot be written: No such file or directory\."):
        append(tmp_path / "gone" / "step.md", ["a report"])
