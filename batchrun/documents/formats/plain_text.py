"""Plain text, markdown, and whatever else is text as it is."""

from collections.abc import Iterator

from batchrun.documents.bounds import MAX_BYTES, too_large
from batchrun.documents.encoding import Undecodable, decode
from batchrun.documents.formats import Found, Part, ReadOptions, Unusable


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Read a text as one part."""
    if len(data) > MAX_BYTES:
        raise Unusable(too_large(len(data)))
    try:
        decoded = decode(data, options.encoding)
    except Undecodable as reason:
        raise Unusable(str(reason)) from reason
    yield Part(text=decoded.text, note=decoded.note)
