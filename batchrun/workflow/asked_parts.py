"""What was asked by itself for an answer: a document, or the parts of a long one, to be read again."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.answers.field_problems import field_of
from batchrun.document import DocumentRef, Unreadable
from batchrun.workflow.read_again import AskedDocument, Reread


@dataclass(frozen=True, slots=True)
class AskedPart:
    """A document that was asked by itself: a whole one, or a part of a long one."""

    number: int | None
    """The number of the part; None for a document that is asked as a whole."""
    story: Mapping[str, Any]
    fields: frozenset[str] | None
    """The fields of the answer that come from here; None for all fields."""

    def of_fields(self, name: str) -> dict[str, Any]:
        """Return findings of one kind, as far as they are about the fields that come from here."""
        found = self.story["findings"].get(name, {})
        return {path: one for path, one in found.items() if self.fields is None or field_of(path) in self.fields}

    @property
    def filled(self) -> frozenset[str]:
        """The fields that are not null."""
        output: dict[str, Any] = json.loads(self.story["output"] or "{}")
        return frozenset(name for name, value in output.items() if value is not None)


def asked_parts(story: Mapping[str, Any]) -> Iterator[AskedPart]:
    """Yield what was asked by itself: the document, or the parts of a long one."""
    if "parts" not in story:
        yield AskedPart(None, story, None)
        return
    gave = defaultdict[int, set[str]](set)
    for name, origin in (story["provenance"] or {}).items():
        for number in origin["parts"]:
            gave[number].add(name)
    for part in story["parts"]:
        yield AskedPart(part["number"], part, frozenset(gave[part["number"]]))


def text_of(document: Reread | Unreadable) -> str | None:
    """Return the text of a document that was read again. Returns None without a text, and if it cannot be read."""
    return None if isinstance(document, Unreadable) else document.text


def asked_document(story: Mapping[str, Any]) -> AskedDocument:
    """Return a document of the ledger as it is read again."""
    return AskedDocument(
        ref=DocumentRef(story["doc_id"], story["source"], story["place"]),
        content_sha=story["content_sha"],
        request_id=story["request_id"],
        max_tokens=story["max_tokens"],
    )
