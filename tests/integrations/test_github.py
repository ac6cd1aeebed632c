"""Commands of GitHub Actions: what documents and the API say begins no other command, and has its room."""

from pathlib import Path

import pytest

from batchrun.integrations.github import MOST_BYTES, MOST_BYTES_OF_STEP, append, in_message, in_property


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


def test_a_summary_is_cut_at_the_end_of_a_line(tmp_path: Path) -> None:
    path, line = tmp_path / "step.md", "| ü | 12 |\n"
    append(path, line * 50_000)
    text = path.read_text("utf-8")
    assert len(text.encode()) <= MOST_BYTES + 100
    assert text.endswith("| ü | 12 |\n\nThe rest is cut: a step has no more room.\n")


def test_a_step_never_has_more_than_github_takes(tmp_path: Path) -> None:
    path = tmp_path / "step.md"
    path.write_bytes(b"x" * (MOST_BYTES_OF_STEP - 10))
    for _ in range(100):
        append(path, "a summary\nof two lines")
    assert path.stat().st_size < 1_048_576
