"""Text under construction, in which signs mark where headings, slides and chapters begin."""

import re

from batchrun.document import Place, PlaceKind

_SIGN = re.compile("\0([0-9]+)\0")
_GAPS = re.compile("\n{3,}")
_NAME_LENGTH = 100


class Marks:
    """The places that signs stand for. A sign is text that no XML can have, and stays where its text is moved."""

    def __init__(self) -> None:
        self._places: list[tuple[PlaceKind, str]] = []

    def sign(self, kind: PlaceKind, name: str) -> str:
        """Return the sign of a new place."""
        self._places.append((kind, short(name)))
        return f"\0{len(self._places) - 1}\0"

    def text_and_places(self, lines: list[str]) -> tuple[str, tuple[Place, ...]]:
        """Return the lines as one text without signs, with at most one empty line in a row, and the signs' places."""
        ends = (line.rstrip(" \t") for line in "\n".join(lines).split("\n"))
        text = _GAPS.sub("\n\n", "\n".join(ends)).strip("\n\t ")
        places: list[Place] = []
        pieces = _SIGN.split(text)
        start = 0
        for piece, index in zip(pieces[::2], pieces[1::2], strict=False):
            start += len(piece)
            kind, name = self._places[int(index)]
            places.append(Place(kind, name, start))
        return "".join(pieces[::2]), tuple(places)


def unsigned(text: str) -> str:
    """Return the text without signs."""
    return _SIGN.sub("", text) if "\0" in text else text


def short(name: str) -> str:
    """Return the name of a place on one line, cut where the name is too long."""
    line = " ".join(unsigned(name[: 10 * _NAME_LENGTH]).split())
    return line if len(line) <= _NAME_LENGTH else line[: _NAME_LENGTH - 1].rstrip() + "…"


def row(cells: list[str]) -> str:
    """Return a row of a table: cells by tab, each on one line, and no empty cells at the end."""
    return "\t".join(" ".join(cell.split()) for cell in cells).rstrip("\t")
