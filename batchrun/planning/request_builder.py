"""The way from a document to its request: the text is cut if the job says so, and the bytes are always the same."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from batchrun.document import Document, NativeFile
from batchrun.documents.bounds import MAX_BYTES, too_large
from batchrun.documents.split import segment_document, split
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.native_tokens import image_tokens, pdf_tokens
from batchrun.estimation.sampling import DocumentSize
from batchrun.estimation.text_class import TextClass, text_class
from batchrun.estimation.tokenizer import LONG_TEXT
from batchrun.job.spec import JobSpec
from batchrun.planning.request_template import RequestTemplate
from batchrun.request import Request
from batchrun.strategy.model_chain import ChainModel

LARGEST_CHARACTER = 4
"""The most bytes of a character in UTF-8; a byte-level tokenizer makes at most one token of a byte."""
CUTS = 4
"""How often a text is cut: the rest may be of another kind of text, with more tokens to a character."""
WORDS_MEET = re.compile("(?<=[A-Za-z])[ \n](?=[A-Za-z])")
"""A place where a token begins whatever stands before and behind."""
END = 4_096
"""In so many characters of its end, a text without such a place is dense, and is counted as a whole."""
MOST_PAGES, MOST_PAGES_OF_SMALL_WINDOWS, LARGE_WINDOW = 600, 100, 1_000_000
"""How many pages of PDFs a request may have, by the context window of the model (PDF page of the API)."""
OTHERWISE = 'or send its text, if it has any: [source] pdf = "text"'
ROUNDING = 1e-6
"""Where what fits is so near to a whole number of tokens, the rounding of an exact count decides where the cut is."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """How large a document may be, in tokens of the model, and why."""

    tokens: int
    name: str
    truncates: bool
    pages: int = MOST_PAGES
    """The most pages of a PDF that is sent as it is."""
    bytes: int = MAX_BYTES
    """The most bytes of a request with a file."""


def window_limit(model: ChainModel, window: int) -> SizeLimit:
    """Limit documents to the tokens that are left for them in the model's context window."""
    price, most_bytes = model.price, min(MAX_BYTES, model.capabilities.max_body)
    pages = MOST_PAGES if price.context_window >= LARGE_WINDOW else MOST_PAGES_OF_SMALL_WINDOWS
    return SizeLimit(
        window, f"the room in {price.name}'s context window", truncates=False, pages=pages, bytes=most_bytes
    )


def size_limit(spec: JobSpec, model: ChainModel, window: int) -> SizeLimit:
    """Limit documents as the job says, but never above the window."""
    source = spec.source
    limit = replace(window_limit(model, window), truncates=source.on_oversize == "truncate")
    if source.split_tokens and source.split_tokens <= window:
        return replace(limit, tokens=source.split_tokens, name="source.split_tokens")
    if source.max_document_tokens is not None and source.max_document_tokens <= window:
        return replace(limit, tokens=source.max_document_tokens, name="source.max_document_tokens")
    return limit


@dataclass(frozen=True)
class Built:
    """A document as it will be sent. Size and tokens need the whole text: they are computed on demand, and once."""

    request: Request
    text: str
    """The part of the request that is the document's."""
    count: Callable[[str], int]
    """Counts the cl100k tokens of a text."""
    counted: int | None
    """The tokens of `text`, if they are known already."""
    native: NativeFile | None = None
    """The file that is sent instead of the text."""

    @cached_property
    def size(self) -> DocumentSize:
        """How large the document is."""
        if self.native:
            return DocumentSize(len(self.native.data), self.tokens.text_class)
        return DocumentSize(len(self.text.encode("utf-8", "surrogatepass")), self._text_class)

    @cached_property
    def tokens(self) -> RequestTokens:
        """How many tokens the document has. Counting takes longer than all else that a plan does with a document."""
        if self.native:
            return self._native_tokens(self.native)
        return RequestTokens(self.count(self.text) if self.counted is None else self.counted, self._text_class)

    def _native_tokens(self, native: NativeFile) -> RequestTokens:
        if native.pages is None:
            return RequestTokens(image_tokens(native.width, native.height), TextClass.IMAGE)
        return RequestTokens(pdf_tokens(self.count(native.layer), native.pages), TextClass.PAGES)

    @cached_property
    def _text_class(self) -> TextClass:
        return text_class(self.text)


class RequestBuilder:
    """Makes requests of documents for one job, both when planning and when sending."""

    def __init__(
        self,
        template: RequestTemplate,
        estimator: Estimator,
        limit: SizeLimit,
        *,
        count: Callable[[str], int],
        truncate: Callable[[str, int], str],
    ) -> None:
        self._template = template
        self._estimator = estimator
        self.limit = limit
        self._count = count
        self._truncate = truncate

    @property
    def fingerprint(self) -> str:
        """The hash of everything in the job's requests but the documents."""
        return self._template.fingerprint

    def build(self, document: Document, *, max_tokens: int | None = None) -> Built:
        """Cut a document to the limit if the job truncates, and make its request; `max_tokens` overrides the job's."""
        fitted, counted = self._fitted(document)
        request = self._template.request(fitted, max_tokens=max_tokens)
        text = self._template.renderer.document_text(fitted)
        return Built(request, text, self._count, counted, document.native)

    def may_exceed(self, size: DocumentSize) -> bool:
        """Whether a document of this size has to be counted to know that it is not too large."""
        at_most = RequestTokens(size.bytes, size.text_class)  # a byte-level tokenizer makes at most one token of a byte
        return self._estimator.document_tokens(at_most) > self.limit.tokens

    def excess(self, tokens: RequestTokens) -> str | None:
        """Say why a document of this size is too large. Returns None if it is not."""
        size = self._estimator.document_tokens(tokens)
        if size <= self.limit.tokens:
            return None
        return f"about {size:,.0f} tokens, above {self.limit.name} of {self.limit.tokens:,}"

    def text_tokens(self, text: str) -> int:
        """Give Claude's tokens of a text, as they count for the limit."""
        return math.ceil(self._estimator.document_tokens(RequestTokens(self._count(text), text_class(text))))

    def parts(self, document: Document, *, overlap_tokens: int) -> list[Document]:
        """Cut a document that is too large into parts that fit. The same document always has the same parts."""
        built = self.build(document)
        if document.native or not self.may_exceed(built.size) or self.excess(built.tokens) is None:
            return [document]
        columns = built.text[len(document.text) :]
        most = max(1, self.limit.tokens - (self.text_tokens(columns) if columns else 0))
        segments = split(document, most_tokens=most, overlap_tokens=overlap_tokens, count=self.text_tokens)
        return [segment_document(document, segment) for segment in segments]

    def native_excess(self, text_class: TextClass, pages: int | None, body_bytes: int) -> str | None:
        """Say why a file is more than a request may have. Returns None if it is not, and for texts."""
        if not text_class.is_native:
            return None
        if pages and pages > self.limit.pages:
            return f"{pages:,} pages, and a request may have {self.limit.pages} as they are; split it, {OTHERWISE}"
        if body_bytes > self.limit.bytes:
            return f"a request with it has {too_large(body_bytes)}; split it, {OTHERWISE}"
        return None

    def _fitted(self, document: Document) -> tuple[Document, int | None]:
        """Cut the text of a document that is too large, if the job truncates; also return its tokens, where counted."""
        if not self.limit.truncates or document.native or len(document.text) * LARGEST_CHARACTER <= self.limit.tokens:
            return document, None
        for _ in range(CUTS):
            text = self._template.renderer.document_text(document)
            if shorter := self._shorter(document, text):
                document = shorter
                continue
            counted = self._count(text)
            size = self._estimator.document_tokens(RequestTokens(counted, text_class(text)))
            if size <= self.limit.tokens:
                return document, counted
            # Columns in the prompt count too, and only the text can be cut.
            own = counted if text == document.text else self._count(document.text)
            kept = own - math.ceil((size - self.limit.tokens) * counted / size)
            document = replace(document, text=self._truncate(document.text, max(0, kept)))
        return document, None

    def _shorter(self, document: Document, text: str) -> Document | None:
        """Cut a long document where `_fitted` would, without a count of the whole: all that is too much is left out.

        Returns None if the document is not long, fits, or has to be counted after all.
        """
        fitting = self.limit.tokens / self._estimator.factor(text_class(text))
        if len(document.text) <= LONG_TEXT or abs(fitting - round(fitting)) < ROUNDING:
            return None
        columns = 0
        if text != document.text:
            places = [found.start() for found in WORDS_MEET.finditer(document.text, len(document.text) - END)]
            if not places:
                return None
            columns = self._count(text[places[-1] :]) - self._count(document.text[places[-1] :])
        cut = self._truncate(document.text, max(0, math.floor(fitting) - columns))
        return replace(document, text=cut) if len(cut) < len(document.text) else None
