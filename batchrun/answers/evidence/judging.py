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
NEGATIONS = frozenset(
    "not no non nor never neither none nothing cannot without except excepting excluding excludes unless nicht kein keine "
    "keinen keiner keinem keines ohne nie weder ne pas sans ni aucun aucune jamais sauf sin nunca ningún ninguna salvo senza "
    "mai nessun nessuna não nem sem nunca niet geen zonder nooit не нет без ни inte ingen utan ikke uden".split()
)
"""Words that turn a statement round, in the languages that most documents here are written in."""
_CRITICAL = NEGATIONS | frozenset(
    "and or either both only solely exclusive exclusively nonexclusive shall may must will would should can could might "
    "within before after until prior during least most more less than above below under over between any all each every "
    "if provided subject including include includes excluded exclude limited unlimited up minus plus half double twice "
    "less fewer greater maximum minimum otherwise other but however instead t don doesn won hundred thousand million percent "
    "oder und nur nach vor bis mindestens höchstens ou et seulement avant après o y solo antes después oppure e ou".split()
)
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
    """Align a quote with the best stretch of a passage, and judge what differs. None if the passage has no words."""
    source, quote = units(source_text), units(quote_text)
    if not source or not quote:
        return None
    pairs, first, behind = _align([unit.key for unit in quote], [unit.key for unit in source])
    found: list[Difference] = [
        Difference("format", source_text[source[j].begin : source[j].end], quote_text[quote[i].begin : quote[i].end])
        for i, j in pairs
        if source[j].is_figure and _written(source_text, source[j]) != _written(quote_text, quote[i])
    ]
    omitted, accepted = 0, True
    for (i, j), (next_i, next_j) in pairwise([(-1, first - 1), *pairs, (len(quote), behind)]):
        there, here = source[j + 1 : next_j], quote[i + 1 : next_i]
        if there or here:
            kind = _kind(source_text, there, quote_text, here)
            found.append(Difference(kind, _shown(source_text, there), _shown(quote_text, here)))
            omitted += 0 if kind == "join" else len(there) + len(here)
            accepted = accepted and (
                kind in ("join", "filler") or (kind == "omitted" and _is_harmless(source_text, there))
            )
    stretch = (source[first].begin, source[behind - 1].end) if first < behind else (0, 0)
    is_close = accepted and omitted <= _allowance(len(quote))
    return Judgement(*stretch, len(pairs), len(quote), tuple(found), is_close)


def _allowance(length: int) -> int:
    """Return how many words a quote of so many words may leave out altogether."""
    return 0 if length < 5 else 1 if length < 8 else max(2, length // 5)


def _kind(source_text: str, there: Sequence[Unit], quote_text: str, here: Sequence[Unit]) -> Kind:
    if not here:
        return "omitted"
    if not there:
        return "filler" if all(unit.key in _FILLERS for unit in here) else "added"
    return "join" if _is_join(source_text, there, quote_text, here) else "replaced"


def _is_join(source_text: str, there: Sequence[Unit], quote_text: str, here: Sequence[Unit]) -> bool:
    """Whether only spaces differ: one word on one side. Digits must be written alike up to the spaces round them."""
    one, other = _shown(source_text, there), _shown(quote_text, here)
    if any(character.isdigit() for character in one + other):
        return tight(one) == tight(other)
    return 1 in (len(there), len(here)) and fold(one).spaced.replace(" ", "") == fold(other).spaced.replace(" ", "")


def _is_harmless(text: str, left_out: Sequence[Unit]) -> bool:
    """Whether a quote may leave these words out: few words, in small letters, none of them a figure or critical."""
    return len(left_out) <= _MOST_OMITTED and all(
        not unit.is_figure and text[unit.begin : unit.end].islower() and not is_critical(unit.key) for unit in left_out
    )


def _written(text: str, unit: Unit) -> str:
    return tight(text[unit.begin : unit.end])


def _shown(text: str, some: Sequence[Unit]) -> str:
    return text[some[0].begin : some[-1].end] if some else ""


def _align(quote: Sequence[str], source: Sequence[str]) -> tuple[list[tuple[int, int]], int, int]:
    """Align all of a quote with a stretch of the source: pairs of equal units, and the bounds of the stretch.

    A left out unit costs 2, a replaced one 3, an added one 4, so that the stretch includes what was replaced at its ends.
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
