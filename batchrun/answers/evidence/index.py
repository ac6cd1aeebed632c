"""A document's text, folded once for all quotes that are sought in the document."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from batchrun.answers.evidence.folding import Words, fold
from batchrun.answers.evidence.headers import Stretch, running_lines
from batchrun.document import Place

_START = attrgetter("start")
_BEGIN, _END = itemgetter(0), itemgetter(1)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document as a reader reads the stretch: without the running lines inside."""

    text: str
    pieces: tuple[Stretch, ...]
    """Where the pieces of the passage stand in the document; one space joins the pieces in `text`."""

    def offset(self, at: int) -> int:
        """Return the offset in the document of a character of the passage."""
        for begin, end in self.pieces:
            if at <= end - begin:
                return begin + at
            at -= end - begin + 1
        return self.pieces[-1][1]


@dataclass(frozen=True, slots=True)
class Stream:
    """The words of a document that are read one after the other."""

    text: str
    words: Words
    left_out: Sequence[Stretch] = ()
    """The lines of the text that are not read, in their order."""

    def passage(self, begin: int, end: int) -> Passage:
        """Return a stretch of the document without the lines that are left out."""
        pieces, at = [], begin
        first = bisect_right(self.left_out, begin, key=_END)
        for out_begin, out_end in self.left_out[first : bisect_left(self.left_out, end, key=_BEGIN)]:
            pieces.append((at, out_begin))
            at = out_end
        pieces.append((at, end))
        said = tuple(piece for piece in map(self._trimmed, pieces) if piece[0] < piece[1]) or ((begin, begin),)
        return Passage(" ".join(self.text[start:stop] for start, stop in said), said)

    def neighbours(self, begin: int, end: int) -> tuple[Stretch | None, Stretch | None]:
        """Return where the last word before a stretch of the text and the first word behind the stretch stand."""
        before, behind = bisect_right(self.words.ends, begin) - 1, bisect_left(self.words.begins, end)
        return self._stretch(before), self._stretch(behind)

    def _trimmed(self, piece: Stretch) -> Stretch:
        said = self.text[slice(*piece)]
        begin = piece[0] + len(said) - len(said.lstrip())
        return begin, begin + len(said.strip())

    def _stretch(self, number: int) -> Stretch | None:
        return (self.words.begins[number], self.words.ends[number]) if 0 <= number < len(self.words) else None


class DocumentIndex:
    """A document in which quotes can be sought."""

    def __init__(self, text: str, places: Sequence[Place] = ()) -> None:
        self.text = text
        in_order = sorted(places, key=_START)
        pages = [place for place in in_order if place.kind == "page"]
        self._page_starts = [place.start for place in pages]
        self._page_numbers = [int(page.name) if page.name.isdecimal() else at for at, page in enumerate(pages, 1)]
        self._others = [place for place in in_order if place.kind != "page"]
        whole = fold(text)
        left_out = running_lines(text, self._page_starts)
        body = [Stream(text, whole.without(left_out), left_out)] if left_out else []
        self.streams: tuple[Stream, ...] = (*body, Stream(text, whole))
        """The body without running headers and footers, where there are any, and the whole text."""

    def pages(self, begin: int, end: int) -> tuple[int, ...]:
        """Return the numbers of the pages that a stretch of the text touches."""
        first = bisect_right(self._page_starts, begin) - 1
        return tuple(self._page_numbers[max(0, first) : bisect_left(self._page_starts, end)])

    def place(self, offset: int) -> str | None:
        """Return the sheet, heading, slide or chapter that an offset stands in, as people call the place."""
        at = bisect_right(self._others, offset, key=_START) - 1
        return f"{self._others[at].kind} {self._others[at].name}" if at >= 0 else None

    def has_words(self, page: int | None) -> bool:
        """Whether there is text to seek in: in the whole document, or on a page if its number is known."""
        whole = self.streams[-1].words
        if page not in self._page_numbers:
            return len(whole) > 0
        at = self._page_numbers.index(page)
        start = self._page_starts[at]
        end = self._page_starts[at + 1] if at + 1 < len(self._page_starts) else len(self.text)
        return bisect_left(whole.begins, start) < bisect_left(whole.begins, end)
