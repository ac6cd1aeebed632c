"""Field groups: which fields one request asks for, and the key that is too much for the API."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from batchrun.job.field_groups import MAX_GROUP_FIELDS, field_groups
from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.schema_limits import MAX_DEPTH, MAX_SCHEMA_BYTES, MAX_UNIONS, first_excess
from batchrun.simulator.requests.schema_rules import schema_problem

JOB = """\
[job]
name = "many"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 100
[prompt]
user = "{{ doc.text }}"
[budget]
max_cost_usd = 1
"""
FIRST_LINE = JOB.count("\n") + 1


def fields(definitions):
    return OutputFields(TypeAdapter(ColumnFields).validate_python(definitions))


KINDS = st.sampled_from([
    "string", "integer?", "date?", {"enum": ["a", "b"], "nullable": True}, "boolean",
    {"type": "object", "fields": {"amount": "number?", "currency": "string?"}},
    {"type": "array?", "items": {"type": "object?", "fields": {"due": "date?", "usd": "number"}}},
    {"type": "string", "description": "x" * 30_000},
])  # fmt: skip
MANY = st.lists(KINDS, min_size=1, max_size=400).map(
    lambda kinds: {f"f{number}": kind for number, kind in enumerate(kinds)}
)


def is_taken(group):
    """Whether the API takes the schema of a group: as the simulator tells, and by the limits that only we have."""
    schema = json.dumps(group.api_schema)
    return schema_problem(schema) is None and len(schema) <= MAX_SCHEMA_BYTES


@pytest.mark.slow
@given(MANY)
def test_auto_has_every_field_once_in_order_within_the_limits(definitions):
    whole = fields(definitions)
    groups = field_groups(whole, "auto", evidence=False)
    assert [name for names in groups for name in names] == list(definitions)
    assert all(names for names in groups)
    for names in groups:
        assert len(names) <= MAX_GROUP_FIELDS
        assert first_excess(whole.only(names), evidence=False) is None
        assert is_taken(whole.only(names))


@pytest.mark.slow
@given(MANY)
def test_auto_closes_a_group_only_when_one_more_field_is_too_much(definitions):
    whole = fields(definitions)
    groups = field_groups(whole, "auto", evidence=False)
    for names, after in pairwise(groups):
        assert len(names) == MAX_GROUP_FIELDS or not is_taken(whole.only([*names, after[0]]))


def test_the_quotes_count_as_the_fields_do(load):
    text = '[output]\ngroups = "auto"\nevidence = true\n[output.fields]\n'
    text += "\n".join(f'f{number} = {{ type = "string", description = "{"x" * 930}" }}' for number in range(100))
    job = load(text)
    assert len(job.groups) == 2
    assert all(is_taken(job.form.only(names)) for names in job.groups)


@given(st.integers(1, 400), st.integers(1, 100))
def test_a_number_of_groups_of_about_equal_size(length, count):
    names = [f"f{number}" for number in range(length)]
    groups = field_groups(fields(dict.fromkeys(names, "string")), min(count, length), evidence=False)
    assert len(groups) == min(count, length)
    assert [name for group in groups for name in group] == names
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_one_request_when_nothing_is_said():
    assert field_groups(fields({"a": "string", "b": "string?"}), None, evidence=False) == (("a", "b"),)


@pytest.fixture
def load(tmp_path: Path):
    def load(output: str, job: str = JOB):
        (tmp_path / "job.toml").write_text(job + output)
        return load_job(tmp_path / "job.toml")

    return load


def problems(load, *args):
    with pytest.raises(JobFileError) as caught:
        load(*args)
    found = []
    for problem in caught.value.problems:
        line = problem.file.text.count("\n", 0, problem.span.start) + 1 - FIRST_LINE
        found.append((line, problem.file.text[problem.span.start : problem.span.end], problem.message, problem.hint))
    return found


MIXED = [
    '"string?"', '"integer"', '{ type = "date?", description = "The day" }', '{ enum = ["a", "b"] }',
    '{ type = "object", fields = { amount = "number?", currency = "string?" } }', '"boolean?"',
    '{ type = "array", items = { type = "object", fields = { due = "date?", usd = "number" } } }',
]  # fmt: skip


def test_369_fields(load):
    lines = "\n".join(f"field_{number} = {MIXED[number % len(MIXED)]}" for number in range(369))
    job = load(f'[output]\ngroups = "auto"\n[output.fields]\n{lines}\n')
    assert len(job.fields.columns) == 369
    assert [name for names in job.groups for name in names] == list(job.fields.definitions)
    assert len(job.groups) == 20
    assert all(is_taken(job.fields.only(names)) for names in job.groups)


def test_the_groups_of_a_job(load):
    names = "abcde"
    lines = "\n".join(f'{name} = "string"' for name in names)
    assert load(f"[output]\ngroups = 2\n[output.fields]\n{lines}\n").groups == (("a", "b", "c"), ("d", "e"))
    assert load(f"[output.fields]\n{lines}\n").groups == (tuple(names),)


AUTO = 'groups = "auto" in [output] asks for the fields in several requests; or '
DROP = "drop a ?, for example by letting the model answer an empty text"
UNIONS = "the 17th type that may be null, and the API allows 16 in one schema"
NULLABLE = '"string?"'
SEVENTEEN = ", ".join(f'k{number} = "string?"' for number in range(17))
LONG = "x" * 60_000


def lines(count, kind):
    return "\n".join(f"f{number} = {kind}" for number in range(count))


def test_a_key_too_much(load):
    assert problems(load, "[output.fields]\n" + lines(40, '{ type = "string?" }')) == [
        (17, "f16", f"`output.fields.f16`: {UNIONS}", AUTO + DROP)
    ]


def test_an_inner_key_too_much(load):
    text = f"[output.fields]\n{lines(16, NULLABLE)}\nobject = {{ type = 'object', fields = {{ a = 'date?' }} }}"
    assert problems(load, text) == [(17, "'date?'", f"`output.fields.object.fields.a`: {UNIONS}", AUTO + DROP)]


@pytest.mark.parametrize("groups", ['groups = "auto"', "groups = 1", ""], ids=["auto", "one", "none"])
def test_a_single_field_too_much_names_the_inner_key(load, groups):
    text = f'[output]\n{groups}\n[output.fields]\na = "string?"\nb = {{ type = "object", fields = {{ {SEVENTEEN} }} }}'
    alone = groups == 'groups = "auto"'
    key = "k16" if alone else "k15"  # without groups, `a` is in the same schema
    assert problems(load, text) == [(4, '"string?"', f"`output.fields.b.fields.{key}`: {UNIONS}", DROP)]


def test_a_group_too_much(load):
    (problem,) = problems(load, f"[output]\ngroups = 2\n[output.fields]\n{lines(40, NULLABLE)}")
    assert problem == (19, '"string?"', f"`output.fields.f16`: {UNIONS}", AUTO + DROP)


LARGE = f"with this key the schema is larger than {MAX_SCHEMA_BYTES:,} bytes of JSON"
SHORTEN = "shorten descriptions, or lists of allowed values"


def test_bytes_too_many(load):
    text = "[output.fields]\n" + lines(3, f"{{ type = 'string', description = '{LONG}' }}")
    assert problems(load, text) == [(2, "f1", f"`output.fields.f1`: {LARGE}", AUTO + SHORTEN)]
    assert load(text.replace("[output.fields]", '[output]\ngroups = "auto"\n[output.fields]')).groups == (
        ("f0",), ("f1",), ("f2",),
    )  # fmt: skip


def test_bytes_too_many_inside(load):
    inner = f'{{ a = "string", b = {{ type = "string", description = "{LONG}{LONG}" }}, c = "string" }}'
    items = f'{{ type = "object", fields = {inner} }}'
    text = f'[output.fields]\na = "string"\nb = {{ type = "array", items = {items} }}'
    assert problems(load, text) == [(2, "b", f"`output.fields.b.items.fields.b`: {LARGE}", SHORTEN)]


def test_levels_too_many(load):
    def nested(levels):
        kind = '"string"'
        for _ in range(levels):
            kind = f'{{ type = "array", items = {kind} }}'
        return f"[output.fields]\na = {kind}"

    assert load(nested(MAX_DEPTH)).groups == (("a",),)
    (problem,) = problems(load, nested(MAX_DEPTH + 1))
    assert problem == (
        1,
        '"string"',
        f"`output.fields.a{'.items' * 21}`: nested in more than 20 lists and objects",
        "give the inner values names of their own, in fewer levels",
    )
    for levels in (60, 100):
        assert len(problems(load, nested(levels))) == 1


RANGE = '`output.groups`: input should be "auto" or a whole number from 1 to 100, got '
# name: (value of groups, sentence, help)
SETTINGS = {
    "a word": ('"all"', f'{RANGE}"all"', None),
    "a fraction": ("1.5", f"{RANGE}1.5", None),
    "true": ("true", f"{RANGE}true", None),
    "none": ("0", "`output.groups`: input should be at least 1, got 0", None),
    "too many": ("101", "`output.groups`: input should be at most 100, got 101", None),
    "more than fields": ("3", "`output.groups`: 3 groups, and the job has 2 fields", 'write groups = "auto"'),
}


def test_more_groups_than_the_one_field(load):
    found = problems(load, '[output]\ngroups = 2\n[output.fields]\na = "string"')
    assert found == [(1, "2", "`output.groups`: 2 groups, and the job has 1 field", 'write groups = "auto"')]


@pytest.mark.parametrize(("value", "sentence", "hint"), SETTINGS.values(), ids=SETTINGS)
def test_settings(load, value, sentence, hint):
    text = f'[output]\ngroups = {value}\n[output.fields]\na = "string"\nb = "string"'
    assert problems(load, text) == [(1, value, sentence, hint)]


def test_more_than_a_hundred_groups(load):
    text = f'[output]\ngroups = "auto"\n[output.fields]\n{lines(16 * 100 + 1, NULLABLE)}'
    assert problems(load, text) == [
        (1, '"auto"', "`output.groups`: 101 groups are needed, and a job may have 100", "make two jobs of it")
    ]


def test_a_merging_request_has_one_schema(load):
    job = JOB.replace('["*.txt"]', '["*.txt"]\non_oversize = "split"\nmerge = "model"')
    text = '[output]\ngroups = 2\n[output.fields]\na = "string"\nb = "string"'
    assert problems(load, text, job) == [(
        3, "2",
        '`output.groups`: with [source] merge = "model" one request merges all fields, and here are 2 groups',
        'take `groups` out, or write merge = "rules" in [source]',
    )]  # fmt: skip
    assert load(text.replace("groups = 2", 'groups = "auto"'), job).groups == (("a", "b"),)


def test_the_limit_is_that_of_the_simulator():
    taken = fields({f"f{number}": "string?" for number in range(MAX_UNIONS)})
    refused = fields({f"f{number}": "string?" for number in range(MAX_UNIONS + 1)})
    assert first_excess(taken, evidence=False) is None
    assert schema_problem(json.dumps(taken.api_schema)) is None
    assert first_excess(refused, evidence=False) is not None
    assert "too many parameters with union types" in str(schema_problem(json.dumps(refused.api_schema)))
