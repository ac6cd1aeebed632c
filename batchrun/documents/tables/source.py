"""Documents that are the rows of table files."""

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import Guard, Shard, unguarded
from batchrun.documents.glob_patterns import Glob
from batchrun.documents.path_escaping import actual, shown
from batchrun.documents.tables import Slice, Table, TableFile, Version
from batchrun.documents.tables.documents import RowReader, as_text, columns_of_text, row_reader
from batchrun.documents.tables.opening import open_table, remote_files, version_of
from batchrun.documents.tree import Tree, leads_out
from batchrun.errors import Busy, Refused
from batchrun.job.table_names import BUCKETS, READABLE, is_remote, table_kind


@dataclass(frozen=True, slots=True)
class _TableSlice:
    """The place of a shard."""

    file: TableFile
    version: Version
    part: Slice


class TableSource:
    """The rows of the files that `path` names, in the order of the files' paths and of their rows."""

    page = 256

    def __init__(
        self,
        *,
        root: Path,
        path: Sequence[str],
        id_column: str | None,
        text: str | None,
        sheet: str | None = None,
    ) -> None:
        self._root = root.resolve()
        self._patterns = tuple(path)
        self._id_column = id_column
        self._text = text
        self._sheet = sheet

    @property
    def parallel(self) -> bool:
        """Whether other processes may read shards: what DuckDB needs of a bucket may be in this environment alone."""
        in_environment = "AWS_SECRET_ACCESS_KEY" in os.environ
        return not (in_environment and any(path.lower().startswith("s3://") for path in self._patterns))

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of the first file's columns, beside those that are id and text."""
        first = next(self._files(), None)
        if first is None:
            raise self._no_documents("nothing matches")
        return self._open(first)[1].columns

    def scan(self) -> Iterator[Document | Unreadable]:
        """Read every row once, in order."""
        for shard in self.shards():
            yield from self.read_shard(shard)

    def canary(self) -> str | None:
        """Return the path of the first file. Returns None for an address, and if there is no file."""
        first = next(self._files(), None)
        return first.path if first and not is_remote(first.path) else None

    def shards(self) -> Iterator[Shard]:
        """List some megabytes of rows at a time. Raises Refused if there are none."""
        numbers = itertools.count()
        problem = "nothing matches"
        for file in self._files():
            problem = "there are no rows in"
            version = version_of(file)
            for part in self._open(file)[0].slices():
                problem = ""
                yield Shard(next(numbers), _TableSlice(file, version, part), part.size)
        if problem:
            raise self._no_documents(problem)

    def read_shard(self, shard: Shard, guard: Guard = unguarded) -> Iterator[Document | Unreadable]:  # noqa: ARG002
        """Read some megabytes of rows. Raises Busy if the file changed after it was listed."""
        place = cast("_TableSlice", shard.place)
        if version_of(place.file) != place.version:
            raise Busy(f"{place.file.shown} changed while it was being read", hint="run the same command again")
        table, reader = self._open(place.file)
        for row in table.rows(place.part):
            yield reader.document(row)

    def read(self, refs: Sequence[DocumentRef], guard: Guard = unguarded) -> list[Document | Unreadable]:  # noqa: ARG002
        """Read these rows as they are now: at their places, and wherever else they are if a file has changed."""
        found: dict[tuple[str, str], Document | Unreadable] = {}
        for source, group in itertools.groupby(sorted(refs, key=lambda ref: ref.source), lambda ref: ref.source):
            of_file = list(group)
            for document in self._read_from(source, of_file):
                found[source, document.doc_id] = document
        return [
            found.get((ref.source, ref.doc_id))
            or Unreadable(ref.doc_id, ref.source, "no longer in the table", ref.place)
            for ref in refs
        ]

    def _read_from(self, source: str, refs: Sequence[DocumentRef]) -> Iterable[Document | Unreadable]:
        file = self._named(source)
        if not is_remote(file.path) and not os.path.lexists(file.path):
            return [Unreadable(ref.doc_id, source, "its file is no longer there", ref.place) for ref in refs]
        table, reader = self._open(file)
        wanted = {ref.doc_id for ref in refs}
        found: dict[str, Document | Unreadable] = {}
        for row in table.rows_at([int(ref.place) for ref in refs if ref.place.isdecimal()]):
            with contextlib.suppress(Refused):  # what has no id is not the document
                document = reader.document(row)
                if document.doc_id in wanted:
                    found[document.doc_id] = document
        if missing := wanted - found.keys():
            found |= _searched(table, reader, missing)
        return found.values()

    def _open(self, file: TableFile) -> tuple[Table, RowReader]:
        wanted = frozenset(filter(None, [self._id_column, *columns_of_text(self._text or "")]))
        table = open_table(file, version_of(file), wanted)
        return table, row_reader(table, file, id_column=self._id_column, text=self._text)

    def _files(self) -> Iterator[TableFile]:
        if self._tree.include:
            for found in self._tree.walk():
                file = self._local(found.path)
                if found.problem:
                    raise file.problem(found.problem, hint="correct the path, or let this user read it")
                yield self._checked(file)
        for pattern in filter(is_remote, self._patterns):
            file = self._checked(_remote(pattern, self._sheet))
            if file.shown.startswith(BUCKETS) and any(mark in file.shown for mark in "*["):
                yield from (_remote(path, self._sheet) for path in remote_files(pattern, file))
            else:
                yield file

    @cached_property
    def _tree(self) -> Tree:
        local = [pattern for pattern in self._patterns if not is_remote(pattern)]
        return Tree(root=self._root, include=[Glob.parse(text, self._root) for text in local], exclude=[])

    def _named(self, source: str) -> TableFile:
        """Return the file of a document, by what people see of the file."""
        if not is_remote(source):
            return self._checked(self._local(str(self._root / actual(source))))
        given = (_remote(pattern, self._sheet) for pattern in filter(is_remote, self._patterns))
        return next((file for file in given if file.shown == source), _remote(source, self._sheet))

    def _local(self, path: str) -> TableFile:
        name = shown(path.removeprefix(f"{str(self._root).rstrip('/')}/"))
        return TableFile(path, name, table_kind(path), self._sheet)

    def _checked(self, file: TableFile) -> TableFile:
        if file.kind is None:
            jq = "for an array of JSON, jq -c '.[]' a.json > a.jsonl writes one; "
            array = jq if file.path.endswith(".json") else ""
            raise file.problem("no table, by its name", hint=f"{array}name files that end with {READABLE}")
        if not is_remote(file.path) and Path(file.path).is_symlink() and not self._tree.confines(file.path):
            raise file.problem(leads_out(file.path), hint="copy the file into the project")
        return file

    def _no_documents(self, problem: str) -> Refused:
        patterns = ", ".join(_remote(text, None).shown if is_remote(text) else text for text in self._patterns)
        return Refused(
            f"no documents: {problem} {patterns} below {self._root}",
            hint="correct source.path; a relative path starts at the project folder",
        )


def _searched(table: Table, reader: RowReader, wanted: AbstractSet[str]) -> dict[str, Document | Unreadable]:
    """Find rows by their ids in the whole table, because the table has changed."""
    found: dict[str, Document | Unreadable] = {}
    for row in itertools.chain.from_iterable(map(table.rows, table.slices())):
        doc_id = as_text(row.values[reader.id_at])
        if doc_id in found:
            found[doc_id] = Unreadable(doc_id, reader.file.shown, "its id now occurs more than once in the table")
        elif doc_id in wanted:
            found[doc_id] = reader.document(row)
    return found


def _remote(address: str, sheet: str | None) -> TableFile:
    """Return the file at an address, shown without the password or the signature that an address may have."""
    scheme, _, rest = address.partition("?")[0].partition("://")
    return TableFile(address, f"{scheme.lower()}://{rest.rpartition('@')[2]}", table_kind(address), sheet)
