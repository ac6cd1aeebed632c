"""Gold labels: which files can be read, what their values mean, and how a wrong one is told."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import UsageProblem
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.quality import gold
from batchrun.quality.gold import Labels, known_labels, read_labels
from batchrun.store.ledger.audits import Audits, Frozen, Review
from batchrun.store.ledger.ledger import Ledger

FIELDS = """
title = "string?"
kind = { enum = ["lease", "sale"] }
count = "integer?"
amount = "number?"
paid = "boolean?"
since = "date?"
tags = { type = "array", items = "string" }
parties = { type = "array", items = { type = "object", fields = { name = "string", age = "integer?" } } }
"""


def labels(project: TrialProject, text: str, *, gold: str = 'path = "labels.csv"', name: str = "labels.csv") -> Labels:
    """The labels of a job whose label file has this text."""
    (project.root / name).write_text(text, encoding="utf-8")
    found = read_labels(load_job(project.job(output_fields=FIELDS, gold=gold)))
    assert found is not None
    return found


def problem(project: TrialProject, text: str, **options: str) -> UsageProblem:
    """Why the label file cannot be used."""
    with pytest.raises(UsageProblem) as told:
        labels(project, text, **options)
    return told.value


def test_a_job_without_gold_has_no_labels(project: TrialProject) -> None:
    assert read_labels(load_job(project.job())) is None


@pytest.mark.parametrize(
    ("column", "cell", "label"),
    [
        ("title", "Lease", "Lease"),
        ("title", "", None),
        ("kind", "LEASE", "lease"),
        ("count", '"1,200"', 1200),
        ("count", "3.0", 3),
        ("amount", "€1.25", 1.25),
        ("paid", "yes", True),
        ("since", "3 March 2024", "2024-03-03"),
        ("tags", '"[""a"", ""b""]"', ["a", "b"]),
        ("tags", "one", ["one"]),
        ("tags", "", None),
        ("parties", '"[{""name"": ""Ada"", ""age"": 36}]"', [{"name": "Ada", "age": 36}]),
    ],
)  # fmt: skip
def test_cells_are_read_by_the_type_of_their_field(
    project: TrialProject, column: str, cell: str, label: object
) -> None:
    found = labels(project, f"doc_id,{column},remark\na.txt,{cell},x\n")
    assert found == Labels("labels.csv", (column,), {"a.txt": {column: label}})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("doc_id,count\na,1\na,2\n", "labels.csv: line 3: a has labels already"),
        ("doc_id,count\n,1\n", "labels.csv: line 2: nothing in the column doc_id"),
        ("doc_id,count\na,many\nb,2\nc,more\n", "2 problems: line 2: count: "),
        ("doc_id,since\na,03/04/2024\n", "line 2: since: "),
        ("doc_id,kind\na,rent\n", "line 2: kind: "),
        ("doc_id,tags\na,\"[1, \"\n", "line 2: tags: not JSON"),
        ("doc_id,other\na,1\n", "no column has the name of a field"),
        ("name,count\na,1\n", "no column doc_id"),
        ("doc_id,count\n", "it has no rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_with_its_place(project: TrialProject, text: str, told: str) -> None:
    found = problem(project, text)
    assert str(found).startswith("gold.path: labels.csv: ")
    assert told in str(found)
    assert found.hint


def test_at_most_ten_problems_are_told(project: TrialProject) -> None:
    found = problem(project, "doc_id,count\n" + "".join(f"d{number},no\n" for number in range(50)))
    assert "50 problems" in str(found)
    assert "and 40 more" in str(found)


def test_a_file_without_end_is_refused_whatever_its_rows_say(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gold, "MOST_LABELLED", 3)
    assert labels(project, "doc_id,count\na,1\nb,2\nc,3\n").values.keys() == {"a", "b", "c"}
    assert "it has more than 3 rows" in str(problem(project, "doc_id,count\n" + "a,1\n" * 4))


def test_a_missing_file_is_told(project: TrialProject) -> None:
    job = load_job(project.job(gold='path = "labels.csv"'))
    with pytest.raises(UsageProblem, match=r"gold\.path: labels\.csv: there is no such file"):
        read_labels(job)


@pytest.mark.parametrize("field", ["title", "kind", "count", "amount", "paid", "since", "tags", "parties"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_no_column_can_hold_are_told(project: TrialProject, field: str, value: str) -> None:
    row = f'{{"doc_id": "a", "{field}": {value}}}\n'
    found = problem(project, row, gold='path = "labels.jsonl"', name="labels.jsonl")
    assert f"line 1: {field}: " in str(found)


def test_nested_json_without_end_is_told(project: TrialProject) -> None:
    deep = json.dumps("[" * 100_000)
    assert "line 1: tags: " in str(
        problem(
            project, f'{{"doc_id": "a", "tags": {deep}}}\n', gold='path = "labels.jsonl"', name="labels.jsonl"
        )
    )  # fmt: skip


def test_only_the_fields_that_are_named_count(project: TrialProject) -> None:
    gold = 'path = "labels.csv"\nid = "file"\nfields = ["count"]'
    found = labels(project, "file,count,title\na,1,x\n", gold=gold)
    assert found.values == {"a": {"count": 1}}


def test_what_results_writes_can_be_read(project: TrialProject) -> None:
    assert labels(project, "id,count,_model\na,1,m\n").values == {"a": {"count": 1}}


TWO_FIELDS = 'title = "string"\ncount = "integer?"'


def reviewed(project: TrialProject) -> None:
    """A person has held the title of the only document right, which an audit drew."""
    project.documents(1)
    project.execute(ScriptedProvider())
    with contextlib.closing(Ledger.open(project.ledger_path)) as ledger:
        audits, (answer,) = Audits(ledger, "trial"), Audits(ledger, "trial").answers()
        frozen = Frozen(answer.request_id, audits.contents()[answer.doc_id], 0.0)
        audits.open({answer.doc_id: frozen}, max_error=0.05, seed=1, fields=("title",))
        audits.record([Review(1, answer.doc_id, "title", answer.request_id, "audit", "accepted", '"A"', "ada", 0.0)])


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, {"docs/0000.txt": {"title": "A"}}),
        ({"output_fields": 'name = "string"'}, None),
        ({"output_fields": TWO_FIELDS, "gold": 'path = "l.csv"'}, {"docs/0000.txt": {"title": "A", "count": 3}}),
        (
            {"output_fields": TWO_FIELDS, "gold": 'path = "l.csv"\nfields = ["count"]'},
            {"docs/0000.txt": {"count": 3}},
        ),
    ],
    ids=["reviews alone", "a field that is gone", "beside a file", "a file of other fields"],
)  # fmt: skip
def test_reviews_are_labels_of_the_fields_that_count(
    project: TrialProject, sections: dict[str, str], expected: object
) -> None:
    reviewed(project)
    (project.root / "l.csv").write_text("doc_id,count\ndocs/0000.txt,3\n")
    job = load_job(project.job(**sections))
    with Ledger.read(project.ledger_path) as ledger:
        found = known_labels(job, ledger)
    assert (found and found.values) == expected


EXPECTED: Mapping[str, Any] = {"title": "Lease", "amount": 1.1, "since": "2024-03-03", "tags": ["x"], "paid": None}
VALUES = "'a' as doc_id, 'Lease' as title, 1.1 as amount, date '2024-03-03' as since, ['x'] as tags, null::bool as paid"


def a_parquet_file(root: Path) -> str:
    duckdb.sql(f"copy (select {VALUES}) to '{root}/labels.parquet'")
    return 'path = "labels.parquet"'


def a_duckdb_table(root: Path) -> str:
    with duckdb.connect(str(root / "labels.duckdb")) as connection:
        connection.execute(f'create table "of us" as select {VALUES}')
    return 'path = "labels.duckdb"\ntable = "of us"'


@pytest.mark.parametrize("made", [a_parquet_file, a_duckdb_table])
def test_other_tables_mean_the_same(project: TrialProject, made: Any) -> None:
    job = load_job(project.job(output_fields=FIELDS, gold=made(project.root)))
    found = read_labels(job)
    assert found is not None
    assert found.values == {"a": EXPECTED}


def test_a_table_that_is_not_there_is_told(project: TrialProject) -> None:
    a_duckdb_table(project.root)
    job = load_job(project.job(gold='path = "labels.duckdb"\ntable = "theirs"'))
    with pytest.raises(UsageProblem, match="theirs"):
        read_labels(job)


@pytest.mark.parametrize(
    ("gold", "told"),
    [
        ('path = "l.csv"\nfields = ["titel"]', "did you mean title?"),
        ('path = "l.csv"\nmatch = { titel = "casefold" }', "did you mean title?"),
        ('path = "l.csv"\nmatch = { title = "caseold" }', 'did you mean "casefold"?'),
        ('path = "l.csv"\nmatch = { title = "set" }', '"set" is no rule for a field of type string'),
        (
            'path = "l.csv"\nmatch = { title = { rule = "exact", threshold = 0.4 } }',
            '`threshold` belongs to the rule "tokens"',
        ),
        ('path = "l.csv"\nmatch = { amount = { rule = "number", tolerance = 2.0 } }', "at most 1"),
        ('path = "l.duckdb"', 'name one, such as table = "labels"'),
        ('path = "l.csv"\ntable = "x"', "only a DuckDB file has tables"),
        ('path = "l.txt"', "no table, by its name"),
        ('path = "https://x/l.csv"', "labels are read from disk"),
    ],
    ids=range(10),
)
def test_what_is_wrong_with_the_section_is_told(project: TrialProject, gold: str, told: str) -> None:
    with pytest.raises(JobFileError) as problems:
        load_job(project.job(output_fields=FIELDS, gold=gold))
    assert told in str(problems.value)
