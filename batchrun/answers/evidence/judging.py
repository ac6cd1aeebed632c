"""The judgement of each word in which a quote and its passage differ. No share of equal words can replace this."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from batchrun.answers.evidence.figures import figures, tight
from batchrun.answers.evidence.folding import fold

Kind = Literal["format", "join", "filler", "omitted", "ellipsis", "added", "replaced"]
"""Another form of the same number; lost or added spaces; articles; words that the quote leaves out, with or without an
ellipsis; words that the source does not have; other words than the source's."""

_FILLERS = frozenset({"a", "an", "the", "of", "that"})
"""Words that a quote may have and the source not."""
_NEGATIONS = """
not no non nor never neither none nothing cannot without except excepting excluding excludes unless nicht kein keine
keinen keiner keinem keines ohne nie weder außer ne pas sans ni aucun aucune jamais sauf sin nunca salvo senza mai
nessun nessuna não nem sem niet geen zonder nooit не нет без ни inte ingen utan ikke uden
"""
NEGATIONS = frozenset(fold(_NEGATIONS).spaced.split())
"""Words that turn a statement round, in the languages that most documents here are written in."""
_LIMITS = """
and or either both only solely exclusive exclusively shall may must will would should can could might within before
after until prior during least most more less than above below under over between any all each every if provided
subject including include includes excluded exclude limited up minus plus half double twice fewer greater maximum
minimum otherwise other but however instead material net gross sole t percent oder und nur nach vor bis ou et avant
apres o y solo antes despues e
"""
_CRITICAL = NEGATIONS.union(_LIMITS.split())
"""Words that no quote may leave out unmarked: who reads the quote without them understands something else."""
_MOST_OMITTED = 3
"""So many words may be left out at one place."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where a quote and its source differ, in the words of each."""

    kind: Kind
    source: str
    quote: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A word or a figure of a text, with its place. Units with equal keys say the same."""

    key: str
    begin: int
    end: int
    is_figure: bool


@dataclass(frozen=True, slots=True)
class _Side:
    """A part of the quote or of the passage."""

    text: str
    units: Sequence[Unit]

    def __str__(self) -> str:
        return self.text[self.units[0].begin : self.units[-1].end] if self.units else ""

    @property
    def keys(self) -> list[str]:
        return [unit.key for unit in self.units]

    def part(self, first: int, behind: int) -> "_Side":
        """Return the units from one number up to another."""
        return _Side(self.text, self.units[first:behind])

    def is_small(self, unit: Unit) -> bool:
        """Whether a unit is a word in small letters that is not critical."""
        return not unit.is_figure and self.text[unit.begin : unit.end].islower() and not is_critical(unit.key)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the differences between a quote and a stretch of the passage amount to."""

    begin: int
    end: int
    """The stretch of the passage that the quote was aligned with."""
    equal: int
    """The number of the quote's units that stand in the stretch."""
    units: int
    differences: tuple[Difference, ...]
    is_close: bool


def units(text: str) -> list[Unit]:
    """Return the words of a text, with its figures as one unit each."""
    words, found = fold(text), figures(text)
    result, at = [], 0
    for number, (begin, end) in enumerate(zip(words.begins, words.ends, strict=True)):
        while at < len(found) and found[at].end <= begin:
            at += 1
        if at == len(found) or end <= found[at].begin:
            result.append(Unit(words[number], begin, end, is_figure=False))
        elif not result or result[-1].begin != found[at].begin:
            result.append(Unit(found[at].meaning, found[at].begin, found[at].end, is_figure=True))
    return result


def is_critical(word: str) -> bool:
    """Whether a folded word may not be left out unmarked."""
    return word in _CRITICAL or word.startswith(("un", "non")) or any(character.isdigit() for character in word)


def judge(source_text: str, quote_text: str) -> Judgement | None:
    """Align a quote with the best stretch of a passage, and judge what differs. None if one of them has no words."""
    source, quote = _Side(source_text, units(source_text)), _Side(quote_text, units(quote_text))
    if not source.units or not quote.units:
        return None
    pairs, first, behind = _align(quote.keys, source.keys)
    equal = [(source.part(j, j + 1), quote.part(i, i + 1)) for i, j in pairs]
    bounds = pairwise([(-1, first - 1), *pairs, (len(quote.units), behind)])
    blocks = [(source.part(j + 1, next_j), quote.part(i + 1, next_i)) for (i, j), (next_i, next_j) in bounds]
    unlike = [(_kind(there, here), there, here) for there, here in blocks if there.units or here.units]
    forms = [Difference("format", *map(str, pair)) for pair in equal if _is_other_form(*pair)]
    words = sum(len(there.units) + len(here.units) for kind, there, here in unlike if kind != "join")
    harmless = all(kind in ("join", "filler") or _is_harmless(kind, there) for kind, there, _ in unlike)
    return Judgement(
        source.units[min(first, behind - 1)].begin,
        source.units[behind - 1].end,
        len(pairs),
        len(quote.units),
        (*forms, *(Difference(kind, str(there), str(here)) for kind, there, here in unlike)),
        harmless and words <= _allowance(len(quote.units)),
    )


def _allowance(length: int) -> int:
    """Return how many words a quote of so many words may leave out altogether."""
    return 0 if length < 5 else 1 if length < 8 else max(2, length // 5)


def _kind(there: _Side, here: _Side) -> Kind:
    if not here.units:
        return "omitted"
    if not there.units:
        return "filler" if _FILLERS.issuperset(here.keys) else "added"
    return "join" if _is_join(there, here) else "replaced"


def _is_join(there: _Side, here: _Side) -> bool:
    """Whether only spaces differ: one word on one side. Digits must be written alike up to the spaces round them."""
    one, other = str(there), str(here)
    if any(map(str.isdigit, one + other)):
        return tight(one) == tight(other)
    return 1 in (len(there.units), len(here.units)) and fold(one).letters == fold(other).letters


def _is_other_form(there: _Side, here: _Side) -> bool:
    return there.units[0].is_figure and tight(str(there)) != tight(str(here))


def _is_harmless(kind: Kind, there: _Side) -> bool:
    """Whether a quote may leave these words out: few words, in small letters, none of them a figure or critical."""
    return kind == "omitted" and len(there.units) <= _MOST_OMITTED and all(map(there.is_small, there.units))


def _align(quote: Sequence[str], source: Sequence[str]) -> tuple[list[tuple[int, int]], int, int]:
    """Align all of a quote with a stretch of the source: pairs of equal units, and the bounds of the stretch.

    A left out unit costs 2, a replaced one 3, an added one 4, so that the stretch includes words replaced at its ends.
    """
    rows = [[0] * (len(source) + 1)]
    for one in quote:
        above, left = rows[-1], rows[-1][0] + 4
        row = [left]
        for diagonal, up, other in zip(above, above[1:], source, strict=False):
            if one != other:
                diagonal += 3  # noqa: PLW2901 - the innermost loop of all
            left = min(diagonal, up + 4, left + 2)
            row.append(left)
        rows.append(row)
    behind = min(range(len(source) + 1), key=rows[-1].__getitem__)
    pairs, i, j = [], len(quote), behind
    while i and j:
        is_equal = quote[i - 1] == source[j - 1]
        if rows[i][j] == rows[i - 1][j - 1] + 3 * (not is_equal):
            i, j = i - 1, j - 1
            if is_equal:
                pairs.append((i, j))
        elif rows[i][j] == rows[i - 1][j] + 4:
            i -= 1
        else:
            j -= 1
    return pairs[::-1], j, behind
