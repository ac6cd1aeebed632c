"""Gold labels: the right answers for some documents, read from a table and held against the types of the fields."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.answers.json_text import UnusableError, parsed
from batchrun.answers.normalising import Normaliser
from batchrun.answers.validation import value_problems
from batchrun.answers.values import NULL, checker, uniform, without_null
from batchrun.documents.duckdb import LOCKED_DOWN
from batchrun.documents.path_escaping import shown
from batchrun.documents.tables import TableFile
from batchrun.documents.tables.documents import as_text
from batchrun.documents.tables.locked_duckdb import AMPLE, locked_to
from batchrun.documents.tables.opening import open_table, version_of
from batchrun.duckdb_file import first_line, opened
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.job.field_types import ArrayField, FieldSpec, ObjectField
from batchrun.job.fields import Schema, field_schema
from batchrun.job.gold_section import GoldSection
from batchrun.job.load import JobFile
from batchrun.job.problems import did_you_mean
from batchrun.job.table_names import table_kind
from batchrun.quality.review.labels import reviewed_labels
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.schema import literal, quoted

MOST_LABELLED = 1_000_000
"""How many rows a label file may have: labels and problems are held in memory."""
MOST_TOLD = 10
"""How many problems of a label file are told at once."""
LOOKING_S = 5.0
"""How long a DuckDB file with labels that somebody else writes is waited for."""
KEYS = ("doc_id", "id")
"""What the column with the ids of the documents is called if [gold] does not say."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The right answers for some documents."""

    file: str
    """The file of the labels, as people see its name."""
    fields: tuple[str, ...]
    """The fields that have labels, in the order of the job file."""
    values: Mapping[str, Mapping[str, Any]]
    """The labels by document and field. A label is None where the right answer is that there is no value."""


_Row = tuple[str, Mapping[str, Any]]
"""Where a row of a label file stands, such as `line 3`, and its values by column."""


def known_labels(job: JobFile, ledger: Ledger) -> Labels | None:
    """Return the labels of [gold] together with what people have said of fields that an audit drew at random.

    A label of the file counts before a review. Reviews of fields that the job does not have any more are left out, and
    of those that `fields` in [gold] does not name. Returns None if there are no labels. Raises UsageProblem as
    `read_labels`.
    """
    labels, wanted = read_labels(job), (job.spec.gold and job.spec.gold.fields) or job.spec.output.fields
    reviewed = {
        doc_id: kept
        for doc_id, values in reviewed_labels(ledger, job.spec.job.name).items()
        if (kept := {name: value for name, value in values.items() if name in wanted})
    }
    if not reviewed:
        return labels
    of_file = labels.values if labels else {}
    values = {doc_id: {**reviewed.get(doc_id, {}), **of_file.get(doc_id, {})} for doc_id in {**of_file, **reviewed}}
    named = {name for known in values.values() for name in known}
    fields = tuple(name for name in job.spec.output.fields if name in named)
    return Labels(f"{labels.file} and reviews" if labels else "reviews", fields, values)


def read_labels(job: JobFile) -> Labels | None:
    """Read the gold labels of a job. Returns None for a job without [gold].

    Raises UsageProblem for a file that cannot be read, that lacks a column, or that has a label which no answer could
    equal. All such labels are told at once.
    """
    gold = job.spec.gold
    if gold is None:
        return None
    file = TableFile(str(job.resolve(gold.path)), shown(gold.path), table_kind(gold.path), key="gold.path")
    if not Path(file.path).exists():
        raise file.problem("there is no such file", hint="correct the path; a relative path starts at the project")
    columns, rows = _typed(file, gold) if gold.table or file.kind == "parquet" else _table(file)
    key = gold.id or next((name for name in KEYS if name in columns), KEYS[0])
    fields = _fields(file, columns, (key, *gold.fields), job.spec.output.fields)
    readers = {name: LabelReader(job.spec.output.fields[name]) for name in fields}
    values: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for number, (place, row) in enumerate(rows):
        if number == MOST_LABELLED:
            raise file.problem(f"it has more than {MOST_LABELLED:,} rows", hint="label a sample")
        doc_id = as_text(row[key])
        if not doc_id:
            problems.append(f"{place}: nothing in the column {key}")
        elif doc_id in values:
            problems.append(f"{place}: {escape_control(doc_id)} has labels already")
        read = {name: reader.read(row[name]) for name, reader in readers.items()}
        problems += [f"{place}: {name}: {problem}" for name, (_, problem) in read.items() if problem]
        values[doc_id] = {name: label for name, (label, _) in read.items()}
    if problems:
        raise file.problem(_listed(problems), hint="correct the labels; an empty cell says that there is no value")
    if not values:
        raise file.problem("it has no rows", hint="add a row for each document whose right answers are known")
    return Labels(file.shown, fields, values)


def _listed(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    more = f"; and {len(problems) - MOST_TOLD:,} more" if len(problems) > MOST_TOLD else ""
    return f"{len(problems):,} problems: {'; '.join(problems[:MOST_TOLD])}{more}"


def _fields(
    file: TableFile, columns: Sequence[str], named: tuple[str, ...], fields: Mapping[str, FieldSpec]
) -> tuple[str, ...]:
    """Return the fields that have labels, in the order of the job file.

    `named` has the column of the ids, and the fields that [gold] names: without any, every column counts.
    """
    for name in named:
        if name not in columns:
            close = did_you_mean(name, columns)
            has = ", ".join(map(escape_control, columns[:30]))
            hint = f"did you mean {escape_control(close)}?" if close else f"it has the columns {has}"
            raise file.problem(f"no column {escape_control(name)}", hint=hint)
    wanted = named[1:] or columns
    found = tuple(name for name in fields if name in wanted)
    if not found:
        hint = f"name the columns of the labels as the fields are: {', '.join(fields)}"
        raise file.problem("no column has the name of a field", hint=hint)
    return found


def _table(file: TableFile) -> tuple[Sequence[str], Iterator[_Row]]:
    table = open_table(file, version_of(file), frozenset())
    rows = (row for part in table.slices() for row in table.rows(part))
    placed = ((f"{table.unit} {row.number:,}", dict(zip(table.columns, row.values, strict=True))) for row in rows)
    return table.columns, placed


def _typed(file: TableFile, gold: GoldSection) -> tuple[Sequence[str], Iterator[_Row]]:
    """Read a table of a DuckDB file, or a Parquet file, at once: the file is not held open."""
    import duckdb

    database = opened(Path(file.path), read_only=True, wait_s=LOOKING_S, config=LOCKED_DOWN)
    table = quoted(gold.table) if gold.table else f"read_parquet({literal(file.path)})"
    try:
        with database if gold.table else locked_to(file, AMPLE) as connection:
            columns = [name for name, *_ in connection.execute(f"describe from {table}").fetchall()]
            query = f"select to_json(labels)::varchar from {table} labels limit {MOST_LABELLED + 1}"
            texts = [text for (text,) in connection.execute(query).fetchall()]
    except duckdb.Error as error:
        raise file.problem(first_line(error), hint="correct `path` or `table` in [gold]") from error
    return columns, ((f"row {number:,}", json.loads(text)) for number, text in enumerate(texts, 1))


class LabelReader:
    """Reads the labels of one field, in any spelling that can mean one value only."""

    def __init__(self, field: FieldSpec) -> None:
        self._is_nested = isinstance(field, ArrayField | ObjectField)
        self._schema: Schema = {"anyOf": [without_null(field_schema(field, full=True)), NULL]}
        self._normaliser = Normaliser(self._schema)
        self._validator = checker(self._schema)

    def read(self, value: Any) -> tuple[Any, str | None]:
        """Return a label, and what is wrong with the label: None if an answer can equal it.

        An empty cell says that there is no value. A list or an object is JSON.
        """
        if value is None or (isinstance(value, str) and not value.strip()):
            return None, None
        try:
            if not isinstance(value, str):
                value = parsed(json.dumps(value))
            elif self._is_nested and value.lstrip().startswith(("[", "{")):
                value = parsed(value)
            label = uniform(self._normaliser.normalised(value).value, self._schema)
        except (UnusableError, RecursionError) as error:
            return None, str(error)
        if self._validator.is_valid(label):
            return label, None
        return None, value_problems(label, self._schema)[0][1].removeprefix("the reply: ")


def gold_needed(job: JobFile) -> UsageProblem:
    """Make the error for a command that needs labels where the job has none."""
    return UsageProblem(
        "the job has no gold labels, so nobody can say what is right.",
        hint=f'add to {escape_control(job.path.name)}:  [gold]  path = "labels.csv"   '
        "(a column doc_id, and one for each field)",
    )
