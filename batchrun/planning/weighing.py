"""What planning keeps of documents, and how documents become requests: pure functions that any process may carry out.

A weigher knows a job and its source, and nothing of the ledger. The texts of documents stay where the weigher runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

from batchrun.document import Document, DocumentRef, Place, Unreadable
from batchrun.documents import FoundFile, Guard, Shard, Source, unguarded
from batchrun.documents.files import FileSource, file_of
from batchrun.documents.formats import all_readers
from batchrun.documents.formats.pdf_boxes import Box
from batchrun.documents.formats.pdf_pictures import PagePicture
from batchrun.documents.latest import Latest
from batchrun.documents.split import SegmentName, reserved_id, segment_name
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.markup import CODE, markup_share
from batchrun.estimation.sampling import DocumentSize
from batchrun.estimation.text_class import TextClass
from batchrun.planning.request_builder import RequestBuilder
from batchrun.planning.selection import Selection
from batchrun.planning.source_columns import source_columns
from batchrun.planning.suspects import halved, read_stretch
from batchrun.request import Request
from batchrun.strategy.model_chain import ModelChain

WeighedRequest = tuple[str, int, int]
"""What planning keeps of a request: its id, its `max_tokens`, and the bytes of its body."""
Asked = tuple[WeighedRequest, ...]
"""A document's requests to each model of the chain."""


class Weighed(NamedTuple):
    """What planning keeps of a document. All values are plain, because lists of them travel between processes."""

    doc_id: str
    source: str
    place: str
    content_sha: str
    """Empty for a document that could not be read."""
    problem: str | None
    """Why the document has no text to be sent; EMPTY for an empty document. None for a document that may be sent."""
    size: int = 0
    """The bytes that the document brings to its request, in UTF-8."""
    text_class: TextClass = TextClass.PROSE
    counted: int | None = None
    """The cl100k tokens of the document; None if they were not counted."""
    asked: tuple[Asked, ...] = ()
    """The document's requests, for the job's own `max_tokens` and then for the other allowed ones."""
    note: str | None = None
    pages: int | None = None
    reader: str = ""
    bytes_sha: str = ""
    plain_sha: str = ""
    whole: str | None = None
    """The id of the whole document, if this one is a part."""
    source_columns: str | None = None
    """JSON: the columns of the source that the output gets. None if the output gets none, or for an unreadable one."""
    markup: float = 0.0
    """The share of a text sent as it is that is markup or base64."""

    @property
    def tokens(self) -> RequestTokens | None:
        """The tokens of the document; None if they were not counted."""
        return None if self.counted is None else RequestTokens(self.counted, self.text_class)


EMPTY = "the document is empty"
CHANGED = "it changed after it was planned; submit again"
NOTHING = DocumentSize(0, TextClass.PROSE)
Columns = tuple[tuple[object, ...], ...]
"""Weighed documents, a tuple for each field: twenty times faster to send to another process than a tuple for each."""


_LATEST: Latest[object, list[Document]] = Latest(keeps=lambda parts: len(parts) > 1)


class Page(NamedTuple):
    """The weighed documents of one shard."""

    seen: int
    """How many documents the shard has, selected or not."""
    columns: Columns

    @property
    def number(self) -> int:
        """The number of selected documents."""
        return len(self.columns[0]) if self.columns else 0

    @property
    def documents(self) -> Iterable[Weighed]:
        """The selected documents, in order."""
        return map(Weighed._make, zip(*self.columns, strict=True))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document to be read again, and what is needed of it."""

    ref: DocumentRef
    max_tokens: int | None = None
    """The `max_tokens` of the request; None for the job's."""
    counts: bool = True
    """Whether the tokens are needed."""
    content_sha: str | None = None
    """The document is not wanted unless its content is still this; None if any content will do."""
    spans: tuple[tuple[int, int], ...] = ()
    """The stretches of the text whose boxes are needed, if the document is a PDF."""
    boxes: tuple[Box, ...] = ()
    """The boxes whose pages are needed as pictures, if the document is a PDF."""
    lost: str = ""
    """Why the document is not read, if its reading ends whatever reads it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that was read again, with its request."""

    content_sha: str
    request: Request
    text: str | None
    """The part of the request that is the document's; None if only the model can read it, as with a scan."""
    places: tuple[Place, ...]
    """The pages, sheets and headings of the text."""
    tokens: RequestTokens | None
    """None if the tokens were not asked for."""
    reader: str = ""
    """The name and version of what turned the bytes into text, as in `Document`."""
    boxes: Sequence[Sequence[Box]] = ()
    """The boxes of each span that was asked for; empty if there are none."""
    pictures: Sequence[PagePicture] = ()
    """The pages of the boxes that were asked for, as far as pictures can be made."""


Prepare = Callable[[Sequence[Wanted]], Sequence[Prepared | Unreadable]]
"""Reads documents again and makes their requests; see `Weigher.prepare`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weigher:
    """Turns shards into what planning keeps of documents, and references into requests."""

    source: Source
    builder: RequestBuilder
    chain: ModelChain
    selection: Selection = field(default_factory=Selection)
    allowed: tuple[int, ...] = ()
    """Other values of `max_tokens` that requests of this job's documents may have had."""
    overlap_tokens: int | None = None
    """How much the parts of a long document share; None if the job does not split."""
    columns: tuple[str, ...] = ()
    """The columns of the source that the output gets."""

    @property
    def fingerprint(self) -> str:
        """The hash of everything in the job's requests but the documents."""
        return self.builder.fingerprint

    def weigh(self, shard: Shard, counts: bool, guard: Guard = unguarded) -> Page:  # noqa: FBT001 (sent to a process)
        """Read the selected documents of a shard. With `counts` all are counted, else those that may be too large."""
        seen, weighed = 0, list[Weighed]()
        files = {file.source: file for file in shard.files} if self.columns and self.source.columns is None else {}
        for found in read_stretch(self.source, shard, guard):
            seen += 1
            if self.selection.takes(found):
                parts = self._parts(found)
                whole = found.doc_id if len(parts) > 1 else None
                rows = (self._described(self._weighed(part, counts=counts), found, files) for part in parts)
                weighed += (row._replace(whole=whole) for row in rows) if whole else rows
        return Page(seen, tuple(zip(*weighed, strict=True)))

    def prepare(self, wanted: Sequence[Wanted], guard: Guard = unguarded) -> list[Prepared | Unreadable]:
        """Read documents again as they are now, in order, and make their requests. What is lost comes by itself."""
        if wanted and wanted[0].lost:
            return [Unreadable(one.ref.doc_id, one.ref.source, one.lost, one.ref.place) for one in wanted]
        names = [segment_name(one.ref.doc_id) if self.overlap_tokens is not None else None for one in wanted]
        refs = [whole_ref(one.ref, name) for one, name in zip(wanted, names, strict=True)]
        read = self.source.read(list(dict.fromkeys(refs)), guard)
        wholes = dict(zip(dict.fromkeys(refs), read, strict=True))
        parts = {ref: self._parts(found) for ref, found in wholes.items()}
        return [
            self._boxed(one, wholes[ref], the_part(parts[ref], name), guard)
            for one, ref, name in zip(wanted, refs, names, strict=True)
        ]

    def file_of(self, wanted: Wanted) -> str:
        """Return the file of a document."""
        return file_of(wanted.ref)

    def halved(self, some: Any, reason: str) -> Sequence[Any]:
        """Cut a shard, or documents to be read again, in two. One document is given up instead, for this reason."""
        if isinstance(some, Shard):
            return halved(some, reason)
        middle = len(some) // 2
        return [some[:middle], some[middle:]] if middle else [[replace(some[0], lost=reason)]]

    def joined(self, found: Sequence[Any]) -> Any:
        """Join the pages of one shard's parts, or documents, in order."""
        if not isinstance(found[0], Page):
            return list(chain(*found))
        parts = zip(*(page.columns for page in found if page.columns), strict=True)
        return Page(sum(page.seen for page in found), tuple(tuple(chain(*column)) for column in parts))

    def _parts(self, found: Document | Unreadable) -> Sequence[Document | Unreadable]:
        """Split a document that is too large, if the job splits. Any other document is its only part."""
        if self.overlap_tokens is None or isinstance(found, Unreadable):
            return [found]
        if reason := reserved_id(found.doc_id):
            return [Unreadable(found.doc_id, found.source, reason, found.place)]
        overlap_tokens = self.overlap_tokens
        key = (found, found.reader, found.bytes_sha, overlap_tokens, self.builder.limit, self.builder.fingerprint)
        return _LATEST.get(key, lambda: self.builder.parts(found, overlap_tokens=overlap_tokens))

    def _boxed(
        self, wanted: Wanted, whole: Document | Unreadable, found: Document | Unreadable, guard: Guard
    ) -> Prepared | Unreadable:
        """Make the request of a document that may be a part, with the boxes or pictures that are wanted."""
        prepared = self._prepared(wanted, found)
        if isinstance(prepared, Unreadable) or isinstance(whole, Unreadable) or isinstance(found, Unreadable):
            return prepared
        if not (wanted.spans or wanted.boxes) or not isinstance(self.source, FileSource):
            return prepared
        spans = [(start + found.start, end + found.start) for start, end in wanted.spans]
        boxes = self.source.boxes(whole, spans, guard) if spans else ()
        pictures = self.source.pictures(whole, wanted.boxes, guard) if wanted.boxes else ()
        return replace(prepared, boxes=boxes, pictures=pictures)

    def _prepared(self, wanted: Wanted, found: Document | Unreadable) -> Prepared | Unreadable:
        if isinstance(found, Unreadable):
            return found
        if wanted.content_sha not in {None, found.content_sha}:
            return Unreadable(found.doc_id, found.source, CHANGED, found.place)
        built = self.builder.build(found, max_tokens=wanted.max_tokens)
        tokens = built.tokens if wanted.counts else None
        return Prepared(found.content_sha, built.request, built.text or None, found.places, tokens, found.reader)

    def _weighed(self, found: Document | Unreadable, *, counts: bool) -> Weighed:
        if isinstance(found, Unreadable):
            reader, sha = all_readers(), found.bytes_sha
            return Weighed(found.doc_id, found.source, found.place, "", found.reason, reader=reader, bytes_sha=sha)
        if not found.native and not found.text.strip():
            return _row(found, problem=EMPTY)
        built = self.builder.build(found)
        counts = counts or found.native is not None or self.builder.may_exceed(built.size)
        counted = built.tokens.counted if counts else None
        others = (self.builder.build(found, max_tokens=max_tokens).request for max_tokens in self.allowed)
        asked = tuple(self._asked(request) for request in (built.request, *others))
        return _row(found, size=built.size, counted=counted, asked=asked)

    def _described(self, weighed: Weighed, found: Document | Unreadable, files: Mapping[str, FoundFile]) -> Weighed:
        """Add what no request depends on: the columns of the source, and how much of the text is markup."""
        if not isinstance(found, Document):
            return weighed
        markup = markup_share(found.text) if weighed.asked and is_raw(found) else 0.0
        if not markup and not self.columns:
            return weighed
        columns = source_columns(found, files.get(file_of(found)), self.columns)
        return weighed._replace(source_columns=columns, markup=markup)

    def _asked(self, request: Request) -> Asked:
        return tuple(map(weighed_request, self.chain.requests(request)))


def whole_ref(ref: DocumentRef, name: SegmentName | None) -> DocumentRef:
    """Return the reference of the document that a source knows: the whole one of a part."""
    return replace(ref, doc_id=name.doc_id) if name else ref


def the_part(parts: Sequence[Document | Unreadable], name: SegmentName | None) -> Document | Unreadable:
    """Return the part of this name. A document that is cut in another way now has no such part."""
    first = parts[0]
    if isinstance(first, Unreadable) or (name is None and len(parts) == 1):
        return first
    if name is None or len(parts) != name.total:
        return Unreadable(first.doc_id, first.source, CHANGED, first.place)
    return parts[name.number - 1]


def is_raw(document: Document) -> bool:
    """Whether a document's text is what a file or a row has, and no text that is meant as it is, such as a program."""
    as_it_is = not document.reader or document.reader.startswith("text/")
    return as_it_is and not document.source.lower().endswith(CODE)


def weighed_request(request: Request) -> WeighedRequest:
    """Return what planning keeps of a request."""
    return request.request_id, request.max_tokens, len(request.body)


def _row(
    document: Document,
    *,
    problem: str | None = None,
    size: DocumentSize = NOTHING,
    counted: int | None = None,
    asked: tuple[Asked, ...] = (),
) -> Weighed:
    return Weighed(
        document.doc_id,
        document.source,
        document.place,
        document.content_sha,
        problem,
        size.bytes,
        size.text_class,
        counted,
        asked,
        document.note,
        document.pages,
        document.reader,
        document.bytes_sha,
        document.plain_sha,
    )
