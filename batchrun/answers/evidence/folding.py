"""Texts as folded words, each with its place in the text: layout, glyphs and case make no difference to the words."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

_SINGLE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""The scripts that are written without spaces. Each character of these scripts is a word."""
_INDIC = "\u0900-\u0963\u0966-\u0dff"
"""The scripts whose vowels are marks. Such a mark is kept, as a letter is."""
_ACCENTS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ef"
)
_MARK = f"[{_ACCENTS}{_INDIC}]"
_LETTERS = rf"(?:[^\W_{_SINGLE}]++{_MARK}*+)++"
_LINE_END = r"[ \t]*+\r?\n[ \t]*+(?=[^\W\dA-Z_])"
_UNSEEN = r"[\u00ad\ufffe\u200b-\u200d\u2060\ufeff]++"
_GLUE = rf"(?:[\u00ad\ufffe]{_LINE_END}|{_UNSEEN}|(?<=[^\W\d_])[-\u2010]{_LINE_END})"
"""What stands unseen inside a word, or parts a word at the end of a line. A hyphen between digits stays, and
a line that begins with a capital does not go on with a word: the line may be a running one."""
_WORD = re.compile(rf"[{_SINGLE}]|{_LETTERS}(?:{_GLUE}{_LETTERS})*+")
_IS_INDIC = re.compile(f"[{_INDIC}]").match
_STRETCH = 100
"""So many characters are decomposed at once: Python sorts the marks of a letter in quadratic time."""


@dataclass(frozen=True, slots=True)
class Words:
    """The folded words of a text, in their order, without an object for each word."""

    spaced: str
    """The words with one space before, between and after them."""
    starts: "array[int]"
    """The offset of each word in `spaced`."""
    begins: "array[int]"
    """The offset of each word's first character in the text."""
    ends: "array[int]"
    """The offset behind each word's last character in the text."""

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> str:
        start = self.starts[number]
        return self.spaced[start : self.spaced.index(" ", start)]

    @property
    def letters(self) -> str:
        """The words without the spaces."""
        return self.spaced.replace(" ", "")

    def number_at(self, offset: int) -> int:
        """Return the number of the word that stands at an offset of `spaced`."""
        return bisect_right(self.starts, offset) - 1

    def start_in_letters(self, number: int) -> int:
        """Return the offset of a word in the words joined without spaces; the end for the number behind the last."""
        return (self.starts[number] if number < len(self) else len(self.spaced)) - number - 1

    def without(self, left_out: Sequence[tuple[int, int]]) -> "Words":
        """Return the words that do not begin in one of the stretches of the text, which are in their order."""
        out_ends = [end for _, end in left_out]
        kept = [at for at, begin in enumerate(self.begins) if not _is_within(begin, left_out, out_ends)]
        words, begins, ends = self.spaced.split(), self.begins, self.ends
        kept_begins, kept_ends = (array("I", [of[at] for at in kept]) for of in (begins, ends))
        return _words([words[at] for at in kept], kept_begins, kept_ends)


def fold(text: str) -> Words:
    """Return the folded words of a text."""
    folded: list[str] = []
    begins, ends = array("I"), array("I")
    for match in _WORD.finditer(text):
        word = match[0]
        if word := word.lower() if word.isascii() and word.isalnum() else _folded(word):
            folded.append(word)
            begins.append(match.start())
            ends.append(match.end())
    return _words(folded, begins, ends)


def folded_length(text: str) -> int:
    """Return how many letters of a folded word come from a part of the word."""
    return len(_folded(text))


def _folded(word: str) -> str:
    stretches = (word[at : at + _STRETCH] for at in range(0, len(word), _STRETCH))
    plain = "".join(normalize("NFKD", stretch) for stretch in stretches).casefold()
    return plain if plain.isalnum() else "".join(filter(_is_kept, plain))


def _is_kept(character: str) -> bool:
    return character.isalnum() or _IS_INDIC(character) is not None


def _words(folded: list[str], begins: "array[int]", ends: "array[int]") -> Words:
    starts, at = array("I"), 1
    for word in folded:
        starts.append(at)
        at += len(word) + 1
    return Words(f" {' '.join(folded)} ", starts, begins, ends)


def _is_within(offset: int, stretches: Sequence[tuple[int, int]], ends: Sequence[int]) -> bool:
    at = bisect_right(ends, offset)
    return at < len(stretches) and stretches[at][0] <= offset
