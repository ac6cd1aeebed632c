"""The keys for long documents: what is read, what a person sees of a mistake, and that no request depends on them."""

from pathlib import Path

import pytest

from batchrun.answers.merge import RULES_OF, MergeRule
from batchrun.job.fields import OutputFields
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.spec import JobSpec
from batchrun.planning.request_template import RequestTemplate

JOB = """\
[job]
name = "long"
[source]
type = "files"
include = ["*.txt"]
{source}
[model]
name = "claude-haiku-4-5"
max_tokens = 1024
[prompt]
user = "{{{{ doc.text }}}}"
[output.fields]
{fields}
[budget]
max_cost_usd = 5.00
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(project: Path, *, source: str = "", fields: str = 'title = "string"') -> Path:
    path = project / "job.toml"
    path.write_text(JOB.format(source=source, fields=fields))
    return path


def spec(project: Path, **parts: str) -> JobSpec:
    return load_job(job(project, **parts)).spec


def problem(project: Path, **parts: str) -> tuple[str, str, str | None]:
    """The line and column, the sentence and the help of the only problem."""
    with pytest.raises(JobFileError) as caught:
        load_job(job(project, **parts))
    (only,) = caught.value.problems
    return str(only).split("\n")[1].partition("job.toml:")[2], only.message, only.hint


def test_a_job_splits_nothing_unless_it_says_so(project):
    source = spec(project).source
    assert (source.on_oversize, source.split_tokens, source.split_overlap_tokens) == ("refuse", None, 200)


def test_the_keys_of_splitting(project):
    keys = 'on_oversize = "split"\nsplit_tokens = 20_000\nsplit_overlap_tokens = 5_000'
    source = spec(project, source=keys).source
    assert (source.on_oversize, source.split_tokens, source.split_overlap_tokens) == ("split", 20_000, 5_000)
    assert spec(project, source='on_oversize = "split"').source.split_tokens is None


def test_small_parts_need_no_word_about_the_overlap(project):
    assert spec(project, source='on_oversize = "split"\nsplit_tokens = 1').source.split_tokens == 1


SOURCES = {
    "without split": (
        "split_tokens = 1000",
        ("6:16", "`source.split_tokens`: nothing is split", 'write on_oversize = "split", or take this key out'),
    ),
    "with another word": (
        'on_oversize = "skip"\nsplit_overlap_tokens = 0',
        (
            "7:24",
            "`source.split_overlap_tokens`: nothing is split",
            'write on_oversize = "split", or take this key out',
        ),
    ),
    "much overlap": (
        'on_oversize = "split"\nsplit_tokens = 1000\nsplit_overlap_tokens = 251',
        (
            "8:24",
            "`source.split_overlap_tokens`: parts would share too much of their text",
            "at most a quarter of split_tokens, 250; 0 for no overlap",
        ),
    ),
    "no tokens": (
        'on_oversize = "split"\nsplit_tokens = 0',
        ("7:16", "`source.split_tokens`: input should be at least 1, got 0", None),
    ),
    "negative": (
        'on_oversize = "split"\nsplit_overlap_tokens = -1',
        ("7:24", "`source.split_overlap_tokens`: input should be at least 0, got -1", None),
    ),
    "merged by the model without split": (
        'merge = "model"',
        ("6:9", "`source.merge`: nothing is split", 'write on_oversize = "split", or take this key out'),
    ),
    "merged by nobody": (
        'on_oversize = "split"\nmerge = "modell"',
        ("7:9", '`source.merge`: input should be "rules" or "model", got "modell"', 'did you mean "model"?'),
    ),
    "misspelt": (
        'on_oversize = "splitt"',
        (
            "6:15",
            '`source.on_oversize`: input should be "refuse", "skip", "truncate" or "split", got "splitt"',
            'did you mean "split"?',
        ),
    ),
}


@pytest.mark.parametrize(("source", "expected"), SOURCES.values(), ids=SOURCES)
def test_problem_of_a_source(project, source, expected):
    assert problem(project, source=source) == expected


def test_a_rule_beside_the_model_has_a_caret_of_its_own(project):
    model = 'on_oversize = "split"\nmerge = "model"'
    fields = 'title = "string"\ntotal = { type = "number", merge = "last" }'
    entries = 'entries = { type = "array", items = { type = "object", fields = { n = "string" } }, merge_key = "n" }'

    assert problem(project, source=model, fields=fields) == (
        "15:36",
        '`output.fields.total.merge`: with [source] merge = "model" no rule merges',
        'take `merge` out, or write merge = "rules" in [source]',
    )
    assert problem(project, source=model, fields=entries)[1:] == (
        '`output.fields.entries.merge_key`: with [source] merge = "model" no rule merges',
        'take `merge_key` out, or write merge = "rules" in [source]',
    )
    assert spec(project, source=model).source.merge == "model"


KINDS = {
    "string": "string",
    "integer": "integer?",
    "number": "number",
    "boolean": "boolean",
    "date": "date?",
    "datetime": "datetime",
    "enum": '"enum", enum = ["a"]',
    "array": '"array", items = "string"',
    "object": '"object", fields = { n = "string" }',
}
DEFAULTS = dict.fromkeys(KINDS, "first") | {"boolean": "max", "array": "all"}


def definition(kind: str, more: str = "") -> str:
    written = KINDS[kind] if KINDS[kind].startswith('"') else f'"{KINDS[kind]}"'
    return f"field = {{ type = {written}{more} }}"


def rule_of(spec: JobSpec) -> MergeRule:
    return OutputFields(spec.output.fields).merge_rules["field"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_has_a_rule_of_its_own(project, kind):
    assert rule_of(spec(project, fields=definition(kind))) == MergeRule(DEFAULTS[kind])


def test_an_enum_that_is_written_as_a_string_is_an_enum(project):
    assert problem(project, fields='field = { enum = ["a"], merge = "concat" }')[1:] == (
        '`output.fields.field.merge`: "concat" is no rule for a field of type enum',
        'one of "first", "last", "vote"',
    )


@pytest.mark.parametrize("rule", ["first", "last", "all", "max", "min", "vote", "concat"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_suits_the_type_or_those_that_do_are_named(project, kind, rule):
    fields = definition(kind, f', merge = "{rule}"')
    if rule in RULES_OF[kind]:
        assert rule_of(spec(project, fields=fields)) == MergeRule(rule)
    else:
        place, sentence, hint = problem(project, fields=fields)
        assert place == f"13:{fields.index(f'{chr(34)}{rule}{chr(34)}') + 1}"
        assert sentence == f'`output.fields.field.merge`: "{rule}" is no rule for a field of type {kind}'
        assert hint == "one of " + ", ".join(f'"{one}"' for one in RULES_OF[kind])


ENTRIES = 'type = "array", items = { type = "object", fields = { n = "string", usd = "number" } }'


@pytest.mark.parametrize(("key", "expected"), [('"n"', ("n",)), ('["n", "usd"]', ("n", "usd"))])
@pytest.mark.parametrize("rule", ["", ', merge = "all"'])
def test_entries_have_a_key(project, key, expected, rule):
    fields = f"field = {{ {ENTRIES}, merge_key = {key}{rule} }}"
    assert rule_of(spec(project, fields=fields)) == MergeRule("all", expected)


FIELDS = {
    "no such field": (
        f'field = {{ {ENTRIES}, merge_key = ["n", "usdd"] }}',
        '`output.fields.field.merge_key`: the items have no field "usdd"',
        "fields: n, usd",
    ),
    "another rule": (
        f'field = {{ {ENTRIES}, merge_key = "n", merge = "first" }}',
        '`output.fields.field.merge_key`: merge = "first" unites no entries',
        'write merge = "all", or take `merge_key` out',
    ),
    "twice": (
        f'field = {{ {ENTRIES}, merge_key = ["n", "n"] }}',
        '`output.fields.field.merge_key`: "n" is there already',
        "name each once",
    ),
    "items without fields": (
        'field = { type = "array", items = "string", merge_key = "n" }',
        "`output.fields.field.merge_key`: only the items of a list of objects have keys",
        "take it out",
    ),
    "no list": (
        'field = { type = "string", merge_key = "n" }',
        "unknown key `merge_key` in `output.fields.field`",
        "`merge_key` is for array fields",
    ),
    "no rule": (
        'field = { type = "string", merge = "sum" }',
        "`output.fields.field.merge`: "
        'input should be "first", "last", "all", "max", "min", "vote" or "concat", got "sum"',
        None,
    ),
    "inside an object": (
        'field = { type = "object", fields = { n = { type = "string", merge = "last" } } }',
        "`output.fields.field.fields.n.merge`: only a whole column has a rule",
        "take it out, or give the column a rule",
    ),
    "inside a list": (
        'field = { type = "array", items = { type = "string", merge = "last" } }',
        "`output.fields.field.items.merge`: only a whole column has a rule",
        "take it out, or give the column a rule",
    ),
    "a key inside a list": (
        f'field = {{ type = "array", items = {{ {ENTRIES}, merge_key = "n" }} }}',
        "`output.fields.field.items.merge_key`: only a whole column has a rule",
        "take it out, or give the column a rule",
    ),
}


@pytest.mark.parametrize(("fields", "sentence", "hint"), FIELDS.values(), ids=FIELDS)
def test_problem_of_a_field(project, fields, sentence, hint):
    place, *said = problem(project, fields=fields)
    assert said == [sentence, hint]
    assert place.startswith("13:")


def test_a_field_inside_an_object_may_be_called_merge(project):
    fields = spec(project, fields='field = { type = "object", fields = { merge = "string" } }').output.fields
    assert OutputFields(fields).merge_rules == {"field": MergeRule("first")}


def test_no_request_depends_on_a_rule(project):
    ruled = f'field = {{ {ENTRIES}, merge = "all", merge_key = "n" }}\ntitle = {{ type = "string", merge = "concat" }}'
    bare = f'field = {{ {ENTRIES} }}\ntitle = {{ type = "string" }}'
    split = 'on_oversize = "split"\nsplit_tokens = 1000'
    one = RequestTemplate(load_job(job(project, fields=bare)))
    other = RequestTemplate(load_job(job(project, fields=ruled, source=split)))
    assert one.fingerprint == other.fingerprint
    assert one.renderer.asking == other.renderer.asking
