"""Finds a model's quote in a document, as a reader would who wants to know whether the quote can be believed."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise, zip_longest

from batchrun.answers.evidence.figures import with_whole_numbers, written_numbers
from batchrun.answers.evidence.folding import Words, fold
from batchrun.answers.evidence.headers import Stretch
from batchrun.answers.evidence.index import DocumentIndex, Passage, Stream
from batchrun.answers.evidence.judging import NEGATIONS, Difference, Judgement, is_critical, judge
from batchrun.answers.evidence.located import MISSING, NO_TEXT, Located, Status
from batchrun.answers.evidence.search import Hit, Rank, hits, windows

MAX_QUOTE = 20_000
"""A quote of more characters is not sought."""
_MAX_ALIGNED = 2_000
"""A quote of more characters is sought word for word only."""
_MAX_WORDS = 120
"""A quote of more words is sought word for word only: an alignment takes time by the square of the words."""
_MAX_PASSAGE = 40_000
"""No quote is aligned with a passage of more characters, which only words without an end make up."""
_MAX_COMPARED = 200_000
"""The numbers of so many characters are compared for a quote that stands in many places."""
_MAX_CHAINS = 1_000
"""So many places of the first piece of a quote with ellipses are followed."""
_LEAST_WORDS, _LEAST_LETTERS = 5, 20
"""A quote with fewer proves little, for it stands in many documents; it is sought word for word only."""
_LEAST_EQUAL, _LEAST_SHARE = 3, 0.6
"""With fewer equal words the quote is missing."""
_PIECE_WORDS = 3
"""Each piece of a quote with ellipses has so many words. Shorter pieces find each other by chance."""
_MAX_PIECES = 8
"""A quote of more pieces is a list of words rather than a quote."""
_MAX_GAP = 120
"""An ellipsis stands for so many words at most."""
_SHORT_GAP = 3
"""Whoever leaves out so few words with an ellipsis may not leave out a critical one."""
_NEAR = 1_000
"""Quotes of one answer that stand so many characters apart are near each other."""
_MAX_NEAR = 20
_ELLIPSIS = re.compile(r"[\[(]?(?:…|\.(?:\s?\.){2,3})[\])]?")
_SENTENCE_END = re.compile("[.!?\u3002\uff01\uff1f]")


@dataclass(frozen=True, slots=True)
class _Quest:
    """What is sought, and where first."""

    index: DocumentIndex
    quote: str
    words: Words
    page: int | None
    near: Sequence[Stretch]

    @property
    def is_weak(self) -> bool:
        return len(self.words) < _LEAST_WORDS or len(self.words.letters) < _LEAST_LETTERS

    def rank(self, offset: int) -> tuple[int, int]:
        """Say how well an offset suits the hints: the page first, then the distance to the nearest other quote."""
        distances = (max(begin - offset, offset - end, 0) for begin, end in self.near[:_MAX_NEAR])
        return int(not self._is_hinted(offset)), min((_NEAR, *distances))

    def is_sole(self, begins: Sequence[int]) -> bool:
        """Whether there is one place, or one on the page that the caller named."""
        return len(begins) == 1 or (self.page is not None and sum(map(self._is_hinted, begins)) == 1)

    def _is_hinted(self, offset: int) -> bool:
        return self.page is not None and self.page in self.index.pages(offset, offset + 1)


def locate(index: DocumentIndex, quote: str, *, page: int | None = None, near: Sequence[Stretch] = ()) -> Located:
    """Find where a quote stands, and say whether the quote can be believed.

    `page` and `near`, the stretches of other quotes of the same answer, only choose between several places.
    """
    if not index.has_words(None):
        return NO_TEXT
    words = fold(quote[: MAX_QUOTE + 1])
    if len(quote) > MAX_QUOTE or not len(words):
        return MISSING
    quest = _Quest(index, quote, words, page, near)
    found = _word_for_word(quest) or _in_pieces(quest) or _aligned(quest) or _longest_piece(quest)
    return found or (MISSING if index.has_words(page) else NO_TEXT)


def _word_for_word(quest: _Quest) -> Located | None:
    for stream in quest.index.streams:
        if found := _ranked(hits(stream, quest.words), quest.rank):
            equal = _with_equal_numbers(stream, found, quest.quote)
            if not equal:
                return _with_other_numbers(quest, stream, found)
            begins = [hit.begin for hit in equal]
            return _located(quest, stream, "exact", [_whole(stream, equal[0])], places=len(equal), begins=begins)
    return None


def _ranked(found: Sequence[Hit], rank: Rank) -> list[Hit]:
    return sorted(found, key=lambda hit: rank(hit.begin))


def _whole(stream: Stream, hit: Hit) -> Stretch:
    return with_whole_numbers(stream.text, hit.begin, hit.end)


def _with_equal_numbers(stream: Stream, found: Sequence[Hit], quote: str) -> Sequence[Hit]:
    """Return the places whose numbers are whole, and written as in the quote: with equal separators, signs, units."""
    if not any(map(str.isnumeric, quote)):
        return [hit for hit in found if _cuts_no_number(stream, hit)]
    wanted = written_numbers(quote)
    compared = found[: max(1, _MAX_COMPARED // len(quote))]
    passages = ((hit, stream.passage(*_whole(stream, hit)).text) for hit in compared if _cuts_no_number(stream, hit))
    return [hit for hit, text in passages if written_numbers(text) == wanted]


def _cuts_no_number(stream: Stream, hit: Hit) -> bool:
    begin, end = _whole(stream, hit)
    return not any(map(str.isalnum, stream.text[begin : hit.begin] + stream.text[hit.end : end]))


def _with_other_numbers(quest: _Quest, stream: Stream, found: Sequence[Hit]) -> Located | None:
    """Judge a quote whose letters and digits stand in the document, with other separators, signs or units."""
    stretch = _whole(stream, found[0])
    passage = stream.passage(*stretch)
    if len(quest.words) <= _MAX_WORDS:
        judgement = judge(passage.text, quest.quote)
        return _judged(quest, stream, passage, judgement) if judgement else None
    pairs = zip_longest(written_numbers(passage.text), written_numbers(quest.quote), fillvalue="")
    differences = tuple(Difference("replaced", one, other) for one, other in pairs if one != other)
    return _located(quest, stream, "differs", [stretch], differences=differences)


def _judged(quest: _Quest, stream: Stream, passage: Passage, judgement: Judgement) -> Located:
    stretch = passage.offset(judgement.begin), passage.offset(judgement.end)
    status: Status = "close" if judgement.is_close and not quest.is_weak else "differs"
    quality = judgement.equal / judgement.units
    return _located(quest, stream, status, [stretch], differences=judgement.differences, quality=quality)


def _in_pieces(quest: _Quest) -> Located | None:
    """Find the pieces of a quote with ellipses, one behind the other."""
    pieces = _pieces(quest.quote)
    if not 2 <= len(pieces) <= _MAX_PIECES or any(len(words) < _PIECE_WORDS for _, words in pieces):
        return None
    for stream in quest.index.streams:
        if chains := list(_chains(stream, pieces)):
            best = min(chains, key=lambda chain: quest.rank(chain[0].begin))
            gaps = [stream.passage(one.end, other.begin).text.strip() for one, other in pairwise(best)]
            status: Status = "differs" if any(map(_hides_something, gaps)) else "close"
            differences = tuple(Difference("ellipsis", gap, "…") for gap in gaps)
            spans, begins = [_whole(stream, hit) for hit in best], [chain[0].begin for chain in chains]
            return _located(quest, stream, status, spans, differences=differences, places=len(chains), begins=begins)
    return None


def _pieces(quote: str) -> list[tuple[str, Words]]:
    pieces = ((piece, fold(piece)) for piece in _ELLIPSIS.split(quote))
    return [(piece, words) for piece, words in pieces if len(words)]


def _chains(stream: Stream, pieces: Sequence[tuple[str, Words]]) -> Iterator[list[Hit]]:
    """Return the places where the pieces follow each other, each as near as possible to the one before."""
    found = [_with_equal_numbers(stream, hits(stream, words), piece) for piece, words in pieces]
    firsts = [[hit.first for hit in of_piece] for of_piece in found]
    for hit in islice(found[0], _MAX_CHAINS):
        chain = [hit]
        for of_piece, first in zip(found[1:], firsts[1:], strict=True):
            at = bisect_left(first, chain[-1].behind)
            if at == len(first) or first[at] - chain[-1].behind > _MAX_GAP:
                break
            chain.append(of_piece[at])
        else:
            yield chain


def _hides_something(gap: str) -> bool:
    words = fold(gap).spaced.split()
    return len(words) <= _SHORT_GAP and any(map(is_critical, words))


def _aligned(quest: _Quest) -> Located | None:
    """Find the window of the document that has the most of a quote's words, and judge the others."""
    if quest.is_weak or len(quest.words) > _MAX_WORDS or len(quest.quote) > _MAX_ALIGNED:
        return None
    for stream in quest.index.streams:
        best: tuple[Passage, Judgement] | None = None
        for first, behind in windows(stream, quest.words, quest.rank):
            passage = stream.passage(stream.words.begins[first], stream.words.ends[behind - 1])
            judgement = judge(passage.text, quest.quote) if len(passage.text) <= _MAX_PASSAGE else None
            if judgement and _is_enough(judgement) and (best is None or _is_better(judgement, best[1])):
                best = passage, judgement
        if best:
            return _judged(quest, stream, *best)
    return None


def _is_enough(judgement: Judgement) -> bool:
    return judgement.equal >= _LEAST_EQUAL and judgement.equal >= _LEAST_SHARE * judgement.units


def _is_better(one: Judgement, other: Judgement) -> bool:
    return (one.is_close, one.equal) > (other.is_close, other.equal)


def _longest_piece(quest: _Quest) -> Located | None:
    """Find at least one piece of a quote with ellipses; the quote is not believed then."""
    pieces = _pieces(quest.quote)
    if len(pieces) < 2:
        return None
    piece, words = max(pieces, key=lambda pair: len(pair[1]))
    is_weak = replace(quest, quote=piece, words=words).is_weak
    for stream in () if is_weak else quest.index.streams:
        if found := _ranked(_with_equal_numbers(stream, hits(stream, words), piece), quest.rank):
            others = tuple(Difference("added", "", other.strip()) for other, _ in pieces if other != piece)
            quality = len(words) / len(quest.words)
            return _located(quest, stream, "differs", [_whole(stream, found[0])], differences=others, quality=quality)
    return None


def _located(
    quest: _Quest,
    stream: Stream,
    status: Status,
    spans: Sequence[Stretch],
    *,
    differences: tuple[Difference, ...] = (),
    quality: float = 1.0,
    places: int = 1,
    begins: Sequence[int] = (0,),
) -> Located:
    index = quest.index
    pages = {page for span in spans for page in index.pages(*span)}
    return Located(
        status,
        tuple(spans),
        " … ".join(stream.passage(*span).text for span in spans),
        tuple(sorted(pages)),
        index.place(spans[0][0]),
        quality,
        differences,
        places,
        quest.is_weak,
        any(_is_cut(stream, *span) for span in spans),
        quest.is_sole(begins),
    )


def _is_cut(stream: Stream, begin: int, end: int) -> bool:
    """Whether a negation stands right before or behind a stretch, in the same sentence."""
    before, behind = stream.neighbours(begin, end)
    return (before is not None and _is_negation(stream.text, before, (before[1], begin))) or (
        behind is not None and _is_negation(stream.text, behind, (end, behind[0]))
    )


def _is_negation(text: str, word: Stretch, between: Stretch) -> bool:
    return fold(text[slice(*word)]).spaced.strip() in NEGATIONS and not _SENTENCE_END.search(text, *between)
