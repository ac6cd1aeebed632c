"""From a document to its request: truncated where the job says so, and the same bytes every time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from batchrun.document import Document
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.sampling import DocumentSize
from batchrun.estimation.text_class import text_class
from batchrun.job.render import Renderer
from batchrun.request import Request

LARGEST_CHARACTER = 4
"""Bytes of UTF-8; a byte-level tokenizer makes at most one token of a byte."""
CUTS = 4
"""What is left may be of another kind of text, with more tokens to a character: then it is cut once more."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """How large a document may be, in tokens of the model, and why."""

    tokens: int
    name: str
    truncates: bool


class RequestBuilder:
    """Makes requests of documents for one job; used when planning and again when sending."""

    def __init__(
        self,
        renderer: Renderer,
        estimator: Estimator,
        limit: SizeLimit,
        *,
        count: Callable[[str], int],
        truncate: Callable[[str, int], str],
    ) -> None:
        self._renderer = renderer
        self._estimator = estimator
        self.limit = limit
        self._count = count
        self._truncate = truncate

    def request(self, document: Document, *, max_tokens: int | None = None) -> Request:
        """The request for a document, cut to the limit if the job truncates."""
        return self._renderer.request(self.fitted(document), max_tokens=max_tokens)

    def tokens(self, document: Document) -> RequestTokens:
        """Count the document as it will be sent."""
        return self._tokens(self.fitted(document))

    def size(self, document: Document) -> DocumentSize:
        """How large the document is as it will be sent."""
        text = self.text(document)
        return DocumentSize(len(text.encode("utf-8", "surrogatepass")), text_class(text))

    def text(self, document: Document) -> str:
        """What of the request is the document's, as it will be sent."""
        return self._renderer.document_text(self.fitted(document))

    def may_exceed(self, size: DocumentSize) -> bool:
        """Whether a document of this size has to be counted to know that it is not too large."""
        at_most = RequestTokens(size.bytes, size.text_class)  # a byte-level tokenizer makes at most one of a byte
        return self._estimator.document_tokens(at_most) > self.limit.tokens

    def excess(self, tokens: RequestTokens) -> str | None:
        """Why a document of this size is too large, or None."""
        size = self._estimator.document_tokens(tokens)
        if size <= self.limit.tokens:
            return None
        return f"about {size:,.0f} tokens, above {self.limit.name} of {self.limit.tokens:,}"

    def fitted(self, document: Document) -> Document:
        """The document itself, or with a shorter text if the job truncates and it is too large."""
        if not self.limit.truncates or len(document.text) * LARGEST_CHARACTER <= self.limit.tokens:
            return document
        for _ in range(CUTS):
            tokens = self._tokens(document)
            size = self._estimator.document_tokens(tokens)
            if size <= self.limit.tokens:
                break
            # Columns in the prompt count too, and only the text can be cut.
            kept = self._count(document.text) - math.ceil((size - self.limit.tokens) * tokens.counted / size)
            document = replace(document, text=self._truncate(document.text, max(0, kept)))
        return document

    def _tokens(self, document: Document) -> RequestTokens:
        text = self._renderer.document_text(document)
        return RequestTokens(self._count(text), text_class(text))
