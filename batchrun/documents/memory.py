"""Documents that a program gives: mappings, or the rows of a data frame. They wait in a file until they are read."""

import json
import math
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from batchrun.documents.tables import Table, TableFile
from batchrun.documents.tables.documents import RowReader, row_reader
from batchrun.documents.tables.json_rows import JsonRows
from batchrun.documents.tables.source import TableSource
from batchrun.documents.tables.text_table import LONGEST_LINE, TextTable
from batchrun.errors import EnvironmentProblem, Refused, UsageProblem
from batchrun.escaping import escape_control

ID, TEXT = "doc_id", "text"
AT_ONCE = 1_000
"""How many rows of a data frame are objects in memory at once."""


class MemorySource(TableSource):
    """Documents that were taken once, in their order, and are read from lines of JSON in a temporary file."""

    def __init__(self, documents: object) -> None:
        """Take all documents. Raises UsageProblem for a document without an id or a text of its own."""
        super().__init__(root=Path("/"), path=(), id_column=ID, text=TEXT)
        handle, name = tempfile.mkstemp(prefix="batchrun-", suffix=".jsonl")
        weakref.finalize(self, _remove, Path(name), os.getpid())
        self._file = TableFile(name, "memory", "jsonl", key="documents")
        with os.fdopen(handle, "w", buffering=1, encoding="utf-8") as file:  # a full disk is told with each line
            self._columns = _written(rows_of(documents), file)

    def _files(self) -> Iterator[TableFile]:
        yield self._file

    def _named(self, source: str) -> TableFile:  # noqa: ARG002 - there is one file
        return self._file

    def _open(self, file: TableFile) -> tuple[Table, RowReader]:
        table = TextTable(file, lambda: Path(file.path).open("rb"), JsonRows(file, self._columns, 0), unit="document")  # noqa: SIM115 - the table closes it
        return table, row_reader(table, file, id_column=ID, text=TEXT)

    def _no_documents(self, problem: str) -> Refused:  # noqa: ARG002 - there is one way to have none
        return Refused("no documents: the program gave none.", hint="see to what `documents` is made of")


def rows_of(documents: Any) -> Iterator[Any]:
    """Go through an iterable of mappings, or a data frame of pandas, polars or Arrow, once."""
    if hasattr(documents, "to_dicts"):  # polars
        yield from documents.iter_rows(named=True)
    elif hasattr(documents, "iloc"):  # pandas
        for start in range(0, len(documents), AT_ONCE):
            yield from documents.iloc[start : start + AT_ONCE].to_dict("records")
    elif hasattr(documents, "to_batches"):  # Arrow
        for batch in documents.to_batches(max_chunksize=AT_ONCE):
            yield from batch.to_pylist()
    elif isinstance(documents, Iterable) and not isinstance(documents, str | bytes | Mapping):
        yield from documents
    else:
        raise UsageProblem(
            f"documents: a {type(documents).__name__} has no documents.",
            hint='give a list of {"doc_id": …, "text": …}, or a data frame with these columns',
        )


def _written(documents: Iterator[Any], file: IO[str]) -> tuple[str, ...]:
    """Write documents as lines. Returns the names of all columns, id and text included."""
    columns = {ID: None, TEXT: None}
    for number, one in enumerate(documents, 1):
        if not isinstance(one, Mapping) or not all(isinstance(name, str) for name in one):
            raise _wrong(number, {}, f"it is of the type {type(one).__name__}, and no mapping of names to values")
        given = {name: None if _is_missing(value) else value for name, value in one.items()}
        try:
            line = json.dumps(given | _key_and_text(number, given), default=_plain, ensure_ascii=False, allow_nan=False)
            if len(line) >= LONGEST_LINE // 4 and len(line.encode("utf-8", "replace")) >= LONGEST_LINE:
                raise _wrong(number, given, f"it has more than {LONGEST_LINE / 1e6:.0f} MB")
            file.write(f"{line}\n")
        except UnicodeEncodeError as error:
            raise _wrong(number, {}, "half of a character, which no text can hold") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise _wrong(number, given, f"a column has {error}") from error
        except OSError as error:
            raise EnvironmentProblem(f"the documents cannot be kept in {tempfile.gettempdir()}: {error}.") from error
        columns |= dict.fromkeys(one)
    return tuple(columns)


def _key_and_text(number: int, given: Mapping[str, Any]) -> dict[str, str]:
    """Return the id and the text of a document, the id as text. `number` is the place of the document, from 1 on."""
    doc_id: Any = given.get(ID)
    text = given.get(TEXT)
    doc_id = doc_id.tolist() if hasattr(doc_id, "tolist") else doc_id  # of numpy
    doc_id = str(doc_id) if type(doc_id) is int else doc_id
    if not isinstance(doc_id, str) or not doc_id:
        raise _wrong(number, {}, f"{ID} is {_said(doc_id)}")
    if not isinstance(text, str):
        raise _wrong(number, given, f"{TEXT} is {_said(text)}")
    return {ID: doc_id, TEXT: text}


def _is_missing(value: object) -> bool:
    """Whether there is no value: a data frame has NaN, NaT or NA then."""
    return type(value).__name__ in {"NaTType", "NAType"} or (isinstance(value, float) and math.isnan(value))


def _said(value: object) -> str:
    return "missing" if value is None or value == "" else f"of the type {type(value).__name__}"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, if JSON has no such type."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if hasattr(value, "tolist"):  # of numpy
        return value.tolist()
    raise TypeError(f"a value of the type {type(value).__name__}")


def _wrong(number: int, document: Mapping[str, Any], what: str) -> UsageProblem:
    doc_id = document.get(ID)
    named = f" ({escape_control(doc_id)})" if isinstance(doc_id, str) else ""
    return UsageProblem(
        f"documents: document {number:,}{named}: {escape_control(what)}.",
        hint=f"every document needs {ID} and {TEXT}, both texts; other columns are texts, numbers, dates or JSON",
    )


def _remove(path: Path, process: int) -> None:
    """Remove the file, unless this process is a fork of the one that made the file."""
    if os.getpid() == process:
        path.unlink(missing_ok=True)
