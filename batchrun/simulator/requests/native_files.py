"""PDFs and images in requests, as the API sees them: their pages, pixels and text, and what the API refuses of them.

The words of refusals are those of recorded answers. The library of PDFs is not made for threads, hence the lock.
"""

import binascii
import hashlib
import math
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from batchrun.documents.formats import Part, ReadOptions, Unusable
from batchrun.documents.formats.image import measured
from batchrun.documents.formats.pdf import inspect, read
from batchrun.simulator.requests.model_cards import ModelCard, Tokenizer

_MOST_PAGES, _MOST_PAGES_OF_SMALL_WINDOWS, _LARGE_WINDOW = 600, 100, 1_000_000
_MOST_IMAGE, _MOST_SIDE = 10 * 1024**2, 8_000
_PATCH = 28
_PAGE_IMAGE = 1_568  # tokens; the image of a page is no larger with models that see larger images
_LARGEST: Mapping[Tokenizer, tuple[int, int]] = {"old": (1_568, 1_568), "new": (2_576, 4_784)}  # a side, and tokens
_AS_IT_IS = ReadOptions(pdf="native")
_READING = threading.Lock()


class SeenFile(NamedTuple):
    """What the API finds in a file."""

    sha: bytes
    pages: int = 0
    width: int = 0
    height: int = 0
    text: str = ""
    problem: str | None = None  # why the file is no file of its kind

    def image_tokens(self, tokenizer: Tokenizer) -> int:
        """Count the tokens of the images of pages, or of the image."""
        if self.pages or not self.width:
            return _PAGE_IMAGE * self.pages
        side, most = _LARGEST[tokenizer]
        scale = min(1.0, side / max(self.width, self.height))
        return min(most, math.ceil(self.width * scale / _PATCH) * math.ceil(self.height * scale / _PATCH))


def file_in(block: Mapping[str, Any]) -> SeenFile | None:
    """Look at the file in a block of a message. Returns None if there is none."""
    source = block.get("source")
    if block.get("type") not in {"document", "image"} or not isinstance(source, dict) or source.get("type") != "base64":
        return None
    return _seen(block["type"], str(source.get("data")))


def file_problems(messages: list[dict[str, Any]], card: ModelCard) -> Iterator[str]:
    """Say what the API refuses of the files in messages, and where."""
    pages = 0
    most = _MOST_PAGES if card.context >= _LARGE_WINDOW else _MOST_PAGES_OF_SMALL_WINDOWS
    for number, message in enumerate(messages):
        for index, block in enumerate(message["content"] if isinstance(message["content"], list) else ()):
            if (seen := file_in(block)) is None:
                continue
            kind = "pdf" if block["type"] == "document" else "image"
            where, size = (
                f"messages.{number}.content.{index}.{kind}.source.base64",
                len(str(block["source"].get("data"))),
            )
            pages += seen.pages
            if kind == "image" and size > _MOST_IMAGE:
                yield f"{where}: image exceeds 10 MB maximum: {size} bytes > {_MOST_IMAGE} bytes"
            elif seen.problem:
                yield f"{where}.data: {seen.problem}"
            elif max(seen.width, seen.height) > _MOST_SIDE:
                yield f"{where}.data: At least one of the image dimensions exceed max allowed size: {_MOST_SIDE} pixels"
            elif pages > most:
                yield f"{where}.data: A maximum of {most} PDF pages may be provided."


@lru_cache(maxsize=4)  # a request is looked at several times: when it is checked, sized and answered
def _seen(kind: str, data: str) -> SeenFile:
    sha = hashlib.sha256(data.encode()).digest()
    try:
        raw = b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return SeenFile(sha, problem="Invalid base64 data")
    return _pdf(raw, sha) if kind == "document" else _image(raw, sha)


def _image(raw: bytes, sha: bytes) -> SeenFile:
    try:
        image = measured(raw)
    except Unusable:
        return SeenFile(sha, problem="Could not process image")
    return SeenFile(sha, width=image.width, height=image.height)


def _pdf(raw: bytes, sha: bytes) -> SeenFile:
    try:
        with _READING:
            if inspect(raw).encrypted:
                return SeenFile(sha, problem="The PDF specified is password protected.")
            (part,) = read(raw, _AS_IT_IS)
    except Unusable:
        locked = b"/Encrypt" in raw
        return SeenFile(sha, problem=f"The PDF specified {'is password protected' if locked else 'was not valid'}.")
    assert isinstance(part, Part)
    assert part.native
    return SeenFile(sha, pages=part.pages or 0, text=part.native.layer)
