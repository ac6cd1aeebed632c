"""Notes on what had to be done to read documents, put together: thousands of notes that differ in a number are one."""

import re
from collections.abc import Iterable, Mapping

MOST_NOTES = 50
"""How many notes are told apart. All others are counted together."""
OTHERS = "read with other notes"
LIKE = ", and the like"
"""What follows a note that stands for others too."""
GUESSED = re.compile(r"\bread as ([^\s;]+) \(guessed\b")
_NUMBER = re.compile(r"(?<![\w-])\d[\d,]*")
"""A number that stands alone: "utf-16" is a name."""


def grouped_notes(notes: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up the documents of notes that differ in their numbers only, by the first of these notes."""
    first, counts, varied = dict[str, str](), dict[str, int](), set[str]()
    for note, documents in notes:
        codec = guessed_encoding(note)  # whose own number says what it is: cp437 is not cp850
        kind = f"{codec} {_NUMBER.sub('#', note)}"
        if kind not in first and len(first) >= MOST_NOTES:
            kind, note = OTHERS, OTHERS  # noqa: PLW2901 - all that follow are one
        if first.setdefault(kind, note) != note:
            varied.add(kind)
        counts[kind] = counts.get(kind, 0) + documents
    return {note + LIKE * (kind in varied): counts[kind] for kind, note in first.items()}


def guessed_encoding(note: str | None) -> str | None:
    """Return the encoding that was guessed to read a document. Returns None if none was guessed."""
    found = GUESSED.search(note or "")
    return found[1] if found else None


def guessed_encodings(notes: Mapping[str, int]) -> dict[str, int]:
    """Count the documents in guessed encodings, the most frequent encoding first."""
    counts = dict[str, int]()
    for note, documents in notes.items():
        if codec := guessed_encoding(note):
            counts[codec] = counts.get(codec, 0) + documents
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def other_notes(notes: Mapping[str, int]) -> dict[str, int]:
    """Return the notes that are not about guessed encodings, the most frequent note first."""
    others = {note: documents for note, documents in notes.items() if guessed_encoding(note) is None}
    return dict(sorted(others.items(), key=lambda entry: (-entry[1], entry[0])))
