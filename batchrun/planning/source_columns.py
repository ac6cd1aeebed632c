"""The columns of the source that go along with a row, as JSON: what a file is, or the columns of a document's row."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from batchrun.document import Document, Value
from batchrun.documents import FoundFile


def source_columns(document: Document, file: FoundFile | None, names: Sequence[str]) -> str | None:
    """Return the values of the named columns, as far as the document has these columns.

    Returns None if no columns are named. `file` is the document's file; None for a document that is no file.
    """
    if not names:
        return None
    facts = dict(document.columns) if file is None else {**document.columns, **_of_file(document, file)}
    return json.dumps({name: facts[name] for name in sorted(names) if name in facts})


def _of_file(document: Document, file: FoundFile) -> dict[str, Value]:
    return {"path": file.source, "size": file.size, "modified": _time(file.mtime_ns), "pages": document.pages}


def _time(ns: int) -> str | None:
    """Return a time in UTC, as text. Returns None for a time that no calendar has: a file may have any."""
    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{at:%Y-%m-%d %H:%M:%S.%f}" if at.year >= 1000 else None
