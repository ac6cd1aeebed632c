"""Notes on how documents were read: few lines for any number of different notes."""

from batchrun.strategy.reading_notes import (
    LIKE,
    MOST_NOTES,
    OTHERS,
    grouped_notes,
    guessed_encoding,
    guessed_encodings,
    other_notes,
)


def test_notes_that_differ_in_numbers_are_one() -> None:
    notes = [(f"read as utf-8 but for 1 byte at {number:,}", 2) for number in range(3_300, 4_300)]

    assert grouped_notes(notes) == {f"read as utf-8 but for 1 byte at 3,300{LIKE}": 2_000}


def test_a_note_that_stands_alone_is_as_it_was() -> None:
    assert grouped_notes([("2 NUL bytes removed", 7)]) == {"2 NUL bytes removed": 7}


def test_encodings_are_told_apart_although_they_are_numbers() -> None:
    notes = grouped_notes([
        ("read as cp437 (guessed)", 3),
        ("read as cp850 (guessed)", 5),
        ("read as cp437 (guessed); 1 NUL byte removed", 1),
        ("read as cp437 (guessed); 2 NUL bytes removed", 1),
        ("read as utf-16 (byte-order mark)", 9),
    ])  # fmt: skip

    assert guessed_encodings(notes) == {"cp437": 5, "cp850": 5}
    assert other_notes(notes) == {"read as utf-16 (byte-order mark)": 9}


def test_any_number_of_notes_is_a_few() -> None:
    words = [chr(ord("a") + number % 26) * (1 + number // 26) for number in range(500)]

    notes = grouped_notes((word, 1) for word in words)

    assert len(notes) == MOST_NOTES + 1
    assert notes[OTHERS] == 500 - MOST_NOTES
    assert sum(notes.values()) == 500


def test_what_is_a_guess() -> None:
    assert guessed_encoding("read as windows-1252 (guessed)") == "windows-1252"
    assert guessed_encoding("read as utf-16 (byte-order mark)") is None
    assert guessed_encoding(None) is None
