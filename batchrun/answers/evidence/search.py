"""Places of a document where a quote may stand: the same words, or a window with many of the quote's words."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from batchrun.answers.evidence.folding import Words, folded_length
from batchrun.answers.evidence.index import Stream

MAX_PLACES = 5_000
"""So many places of a quote are looked at; further places are not counted."""
_MAX_CUTS = 1_000
"""So many places with the letters of a quote are looked at that may begin or end inside a word."""
_LONGEST_CUT = 100
"""No longer word is cut, so that a text without spaces costs little."""
_LEAST_LETTERS = 8
"""Fewer letters are not sought without regard to spaces."""
_MAX_SEED_PLACES = 40
"""Words that stand in more places hardly tell where a quote stands."""
_SEED_LETTERS = 5
"""Words of fewer letters do not tell where a quote stands; a character of Chinese or Japanese does."""
_WINDOWS = 3

Rank = Callable[[int], tuple[int, int]]
"""How well an offset in the document suits the hints of the caller: the smaller, the better."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A place with the words of a quote: the numbers of the words, and offsets in the text."""

    first: int
    behind: int
    begin: int
    end: int


def hits(stream: Stream, sought: Words) -> list[Hit]:
    """Return the places with exactly these words, or else with these letters, as when spaces are lost."""
    words = stream.words
    found = []
    for at in islice(_finds(words.spaced, sought.spaced, len(sought.spaced) - 1), MAX_PLACES):
        first = words.number_at(at + 1)
        found.append(Hit(first, first + len(sought), words.begins[first], words.ends[first + len(sought) - 1]))
    return found or _hits_of_letters(stream, sought)


def _hits_of_letters(stream: Stream, sought: Words) -> list[Hit]:
    letters, needle = stream.words.letters, sought.letters
    if len(needle) < _LEAST_LETTERS:
        return []
    finds = islice(_finds(letters, needle, 1), _MAX_CUTS)
    return [hit for at in finds if (hit := _hit_of_letters(stream, sought, at, at + len(needle)))]


def _hit_of_letters(stream: Stream, sought: Words, start: int, stop: int) -> Hit | None:
    """Return the place of letters, by their offsets. None if a word is cut whose rest is no word: "McDowell"."""
    words = stream.words
    numbers = range(len(words) + 1)
    first = bisect_right(numbers, start, key=words.start_in_letters) - 1
    last = bisect_right(numbers, stop - 1, key=words.start_in_letters) - 1
    before, behind = start - words.start_in_letters(first), stop - words.start_in_letters(last)
    begin = _cut(stream, first, before)
    end = None if begin is None else _cut(stream, last, behind)
    rests = words[first][:before], words[last][behind:]
    if begin is None or end is None or any(rest and f" {rest} " not in words.spaced for rest in rests):
        return None
    inner = {words.start_in_letters(number) - start for number in range(first + 1, last + 1)}
    outer = {sought.start_in_letters(number) for number in range(1, len(sought))}
    return Hit(first, last + 1, begin, end) if _only_joins(inner, outer, stop - start) else None


def _only_joins(borders: set[int], others: set[int], end: int) -> bool:
    """Whether between common borders one side has a single word: "no table" is not "not able"."""
    common = [0, *sorted(borders & others), end]
    one, other = sorted(borders - others), sorted(others - borders)
    return all(_none_between(one, low, high) or _none_between(other, low, high) for low, high in pairwise(common))


def _none_between(borders: Sequence[int], low: int, high: int) -> bool:
    at = bisect_right(borders, low)
    return at == len(borders) or borders[at] >= high


def _cut(stream: Stream, number: int, letters: int) -> int | None:
    """Return where the first letters of a word end in the text. None inside a word, unless a space is lost there.

    A space may be lost where a capital stands behind a small letter: "theParty".
    """
    begin, end = stream.words.begins[number], stream.words.ends[number]
    if letters == 0:
        return begin
    if letters == len(stream.words[number]):
        return end
    word = stream.text[begin : min(end, begin + _LONGEST_CUT)]
    for at, (one, other) in enumerate(pairwise(word), 1):
        if one.islower() and other.isupper() and folded_length(word[:at]) == letters:
            return begin + at
    return None


def _finds(text: str, needle: str, step: int) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + step)


def windows(stream: Stream, sought: Words, rank: Rank) -> list[tuple[int, int]]:
    """Return up to three stretches of words, by their numbers, that have most of a quote's seeds in their order."""
    width, slack = max(8, len(sought) // 2), max(6, len(sought) // 4)
    votes = _votes(stream.words, sought, width)

    def order(bucket: int) -> tuple[int, tuple[int, int]]:
        return -votes[bucket], rank(stream.words.begins[max(0, bucket * width)])

    chosen: list[int] = []
    for bucket in sorted(votes, key=order):
        if len(chosen) < _WINDOWS and all(abs(bucket - other) > 1 for other in chosen):
            chosen.append(bucket)
    bounds = ((bucket * width - slack, (bucket + 1) * width + len(sought) + slack) for bucket in chosen)
    return [(max(0, first), min(len(stream.words), behind)) for first, behind in bounds]


def _votes(words: Words, sought: Words, width: int) -> Counter[int]:
    """Count the seeds of a quote for each stretch of the document in which the quote would begin.

    Where no seed is rare, as in a table whose rows are alike, the first places of each seed count.
    """
    for size in (3, 2, 1):
        rare, common = Counter[int](), Counter[int]()
        for number in range(len(sought) - size + 1):
            seed = " ".join(sought[at] for at in range(number, number + size))
            if len(seed) - size + 1 < _SEED_LETTERS and seed.isascii():
                continue
            places = list(islice(_finds(words.spaced, f" {seed} ", 1), _MAX_SEED_PLACES + 1))
            votes = rare if len(places) <= _MAX_SEED_PLACES else common
            votes.update({(words.number_at(at + 1) - number) // width for at in places})
        if rare or common:
            return rare or common
    return Counter()
