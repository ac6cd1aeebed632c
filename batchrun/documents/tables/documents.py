"""Turns the rows of a table into documents: which column is the id, what is the text, and what the prompt can use."""

import json
from dataclasses import dataclass

from batchrun.document import Document, Unreadable, Value
from batchrun.documents.bounds import MAX_BYTES, too_large
from batchrun.documents.encoding import without_nuls
from batchrun.documents.tables import Row, Table, TableFile
from batchrun.errors import Refused, UsageProblem
from batchrun.escaping import escape_control
from batchrun.job.problems import did_you_mean
from batchrun.job.template import Template

_MOST_SHOWN = 30


@dataclass(frozen=True, slots=True)
class RowReader:
    """Makes documents of the rows of one table."""

    file: TableFile
    unit: str
    id_name: str
    id_at: int
    text: tuple[str | int, ...]
    """The parts of the text: what stands in the template, and the positions of columns."""
    others: tuple[tuple[str, int], ...]

    @property
    def columns(self) -> frozenset[str]:
        """The names for the prompt."""
        return frozenset(name for name, _ in self.others)

    def document(self, row: Row) -> Document | Unreadable:
        """Make the document of a row. Raises Refused for a row without an id."""
        place, number, values = row
        doc_id = as_text(values[self.id_at])
        if not doc_id:
            raise Refused(
                f"source.id: {self.file.shown}, {self.unit} {number:,}: nothing in the column {self.id_name}",
                hint="every document needs an id of its own: name a column without gaps, or fill them",
            )
        text = "".join(part if isinstance(part, str) else as_text(values[part]) for part in self.text)
        if len(text) > MAX_BYTES // 4 and (size := len(text.encode())) > MAX_BYTES:
            return Unreadable(doc_id, self.file.shown, too_large(size), str(place))
        cleaned = without_nuls(text)
        columns = {name: values[at] for name, at in self.others}
        return Document(doc_id, self.file.shown, cleaned.text, columns=columns, note=cleaned.note, place=str(place))


def columns_of_text(text: str) -> tuple[str, ...]:
    """Return the columns that `text` names: the one that it is, or those of the template."""
    placeholders = Template.parse(text).placeholders
    return tuple(placeholder.name for placeholder in placeholders) or (text,)


def row_reader(table: Table, file: TableFile, *, id_column: str | None, text: str | None) -> RowReader:
    """Hold a table against the job. Raises UsageProblem, with the table's columns, for a column that is not there."""
    id_name, text = _given(table, file, "id", id_column), _given(table, file, "text", text)
    id_at = _position(table, file, "id", id_name)
    positions = {name: _position(table, file, "text", name) for name in columns_of_text(text)}
    template = Template.parse(text)
    parts = [part if isinstance(part, str) else positions[part.name] for part in template.parts]
    is_column = not template.placeholders
    apart = {id_at, positions[text]} if is_column else {id_at}
    return RowReader(
        file=file,
        unit=table.unit,
        id_name=id_name,
        id_at=id_at,
        text=(positions[text],) if is_column else tuple(parts),
        others=tuple((name, at) for at, name in enumerate(table.columns) if name and at not in apart),
    )


def _given(table: Table, file: TableFile, key: str, name: str | None) -> str:
    if name is None:
        named = [column for column in table.columns if column] or ["column"]
        example = named[0] if key == "id" else named[-1]  # as a rule the id stands first, and the text is no id
        raise UsageProblem(
            f"source.{key}: a table needs `{key}`, the name of a column; {_known(table, file)}",
            hint=f'such as {key} = "{escape_control(example)}"',
        )
    return name


def _position(table: Table, file: TableFile, key: str, name: str) -> int:
    if name in table.columns:
        return table.columns.index(name)
    close = did_you_mean(name, [column for column in table.columns if column])
    raise UsageProblem(
        f"source.{key}: no column {escape_control(name)}; {_known(table, file)}",
        hint=f"did you mean {escape_control(close)}?" if close else "the names of the columns are in the first line",
    )


def _known(table: Table, file: TableFile) -> str:
    names = [escape_control(name) for name in table.columns if name]
    more = ", …" if len(names) > _MOST_SHOWN else ""
    return f"{file.shown} has {', '.join(names[:_MOST_SHOWN])}{more}"


def as_text(value: Value) -> str:
    """Return a value as text: nothing for None, and true, not True."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
