"""The fields of a job in three spellings: as a table, as a JSON Schema in a file, and as a pydantic class."""

import json
import sys
from pathlib import Path

import pytest
from command_line import CommandLine

from batchrun.errors import ExitCode
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.planning.request_template import RequestTemplate

HEAD = """\
[job]
name = "contracts"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 1000
[prompt]
user = "{{ doc.text }}"
[budget]
max_cost_usd = 1
"""
TABLE = """\
[output.fields]
title = { type = "string", description = "As written", max_length = 200 }
signed = "date?"
seen = "datetime"
months = { type = "integer?", minimum = 0 }
share = { type = "number", minimum = 0, maximum = 1 }
renews = "boolean"
kind = { enum = ["msa", "nda"] }
level = { type = "enum?", enum = ["low", "high"], description = "How bad" }
parties = { type = "array", items = "string", min_items = 1, max_items = 9 }
price = { type = "object?", description = "What is paid", fields = { usd = "number", due = "date?" } }
code = { type = "string", pattern = "^[A-Z]{2}$" }
"""
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Contract",
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "As written", "maxLength": 200},
        "signed": {"type": ["string", "null"], "format": "date"},
        "seen": {"type": "string", "format": "date-time"},
        "months": {"type": "integer", "exclusiveMinimum": -1},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "renews": {"type": "boolean"},
        "kind": {"enum": ["msa", "nda"]},
        "level": {"enum": ["low", "high", None], "description": "How bad"},
        "parties": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 9},
        "price": {"oneOf": [{"$ref": "#/$defs/Price"}, {"type": "null"}], "description": "What is paid"},
        "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
    },
    "required": ["title", "signed", "seen", "share", "renews", "kind", "level", "parties", "price", "code"],
    "additionalProperties": False,
    "$defs": {
        "Price": {
            "type": "object",
            "properties": {"usd": {"type": "number"}, "due": {"type": "string", "format": "date"}},
            "required": ["usd"],
        }
    },
}
MODULE = '''\
"""Printing is no way to break the output of a command."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

print("imported", __name__)


class Kind(StrEnum):
    MSA = "msa"
    NDA = "nda"


class Price(BaseModel):
    usd: float
    due: dt.date | None = None


class Contract(BaseModel):
    """A docstring is no part of a request."""

    title: str = Field(description="As written", max_length=200)
    signed: dt.date | None
    seen: dt.datetime
    months: Annotated[int, Field(ge=0)] | None = None
    share: Annotated[float, Field(ge=0, le=1)]
    renews: bool
    kind: Kind
    level: Literal["low", "high"] | None = Field(description="How bad")
    parties: list[str] = Field(min_length=1, max_length=9)
    price: Price | None = Field(description="What is paid")
    code: str = Field(pattern="^[A-Z]{2}$")
'''
ONE_NUMBER = "from pydantic import BaseModel\nclass Contract(BaseModel):\n    n: int\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "batchrun.toml").write_text("allow_code = true\n")
    (tmp_path / "contracts.schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "jobs/contract_schemas.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(project: Path, output: str):
    path = project / "jobs/job.toml"
    path.write_text(HEAD + output)
    return load_job(path)


def problems(project: Path, output: str):
    """The culprit, the sentence and the help of each problem."""
    with pytest.raises(JobFileError) as caught:
        load(project, output)
    shown = []
    for problem in caught.value.problems:
        culprit = problem.file.text[problem.span.start : problem.span.end]
        shown.append(
            tuple(part and part.replace(str(project), "~") for part in (culprit, problem.message, problem.hint))
        )
    return shown


FILE = '[output]\nschema_file = "contracts.schema.json"\n'
MODEL = '[output]\nmodel = "contract_schemas:Contract"\n'


def test_three_spellings_are_one_request(project):
    jobs = [load(project, output) for output in (TABLE, FILE, MODEL)]
    sent = {json.dumps(job.fields.api_schema) for job in jobs}
    assert len(sent) == 1
    assert len({RequestTemplate(job).fingerprint for job in jobs}) == 1
    assert len({job.form.as_json for job in jobs}) == 1
    assert all(job.fields.columns == jobs[0].fields.columns for job in jobs)


def test_an_import_leaves_no_trace(project, capsys):
    path, modules = list(sys.path), set(sys.modules)
    load(project, MODEL)
    assert sys.path == path
    assert not {name for name in set(sys.modules) - modules if "contract" in name}
    assert capsys.readouterr().out == ""


def test_a_class_is_imported_from_the_project_too_and_once(project, capsys):
    (project / "shared").mkdir()
    (project / "shared/base.py").write_text(MODULE)
    (project / "shared/again.py").write_text("from shared.base import Contract\n")
    job = load(project, '[output]\nmodel = "shared.again:Contract"\n')
    assert list(job.fields.definitions) == list(SCHEMA["properties"])
    assert job.groups == (tuple(SCHEMA["properties"]),)
    assert capsys.readouterr().err == "imported shared.base\n"


def test_modules_of_the_same_name_in_two_projects(project):
    load(project, MODEL)
    (project / "jobs/contract_schemas.py").write_text(ONE_NUMBER)
    assert list(load(project, MODEL).fields.definitions) == ["n"]


def test_code_of_the_project_runs_only_if_the_project_says_so(project):
    (project / "batchrun.toml").write_text("")
    (project / "jobs/contract_schemas.py").write_text("open('ran', 'w')")
    assert problems(project, MODEL) == [(
        '"contract_schemas:Contract"',
        "`output.model`: this runs code of the project, and the project does not allow code",
        "write allow_code = true in batchrun.toml, above all tables, if you trust this module",
    )]  # fmt: skip
    assert not (project / "ran").exists()


@pytest.mark.parametrize("text", ["allow_code = 1", "allow_code = true\nnope = 1"], ids=["a number", "another problem"])
def test_a_wrong_project_file_allows_no_code(project, text):
    (project / "batchrun.toml").write_text(text)
    (project / "jobs/contract_schemas.py").write_text("open('ran', 'w')")
    ((culprit, _, _),) = problems(project, MODEL)
    assert culprit in {"1", "nope"}
    assert not (project / "ran").exists()


def test_a_project_allows_no_code_of_other_folders(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "evil.py").write_text("open('ran', 'w')")
    job = elsewhere / "job.toml"
    job.write_text(HEAD + '[output]\nmodel = "evil:Contract"\n')
    with pytest.raises(JobFileError) as caught:
        load_job(job)
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == ("`output.model`: there is no module evil", f"looked in {project}")
    assert not (project / "ran").exists()


# name: (source of the module, sentence, help)
MODULES = {
    "no such module": (None, "there is no module contract_schemas", "looked in ~/jobs and ~"),
    "no such class": (
        "class Contracts: pass", "contract_schemas has no class Contract", "did you mean Contracts?",
    ),
    "nothing like it": (
        "x = 1", "contract_schemas has no class Contract", "looked in ~/jobs/contract_schemas.py",
    ),
    "another class": (
        "class Contract: pass", "Contract is no pydantic model", "derive the class from pydantic.BaseModel",
    ),
    "a missing package": (
        "import json\nimport no_such_package.inside",
        "~/jobs/contract_schemas.py, line 2: the package no_such_package is not installed",
        "install it where batchrun is installed: pip install no_such_package",
    ),
    "a mistake": (
        "import json\n\ndef f():\n    return json.loads('{')\n\nf()",
        "~/jobs/contract_schemas.py, line 4: JSONDecodeError: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
        "put it right in contract_schemas",
    ),
    "an exit": (
        "import sys\nsys.exit('bye')",
        "~/jobs/contract_schemas.py, line 2: SystemExit: bye",
        "put it right in contract_schemas",
    ),
    "no python": (
        "x = 1\nclass = 2",
        "~/jobs/contract_schemas.py, line 2: SyntaxError: invalid syntax (contract_schemas.py, line 2)",
        "put it right in contract_schemas",
    ),
    "no type of JSON": (
        "from collections.abc import Callable\nfrom pydantic import BaseModel\n"
        "class Contract(BaseModel):\n    f: Callable[[], int]",
        "PydanticInvalidForJsonSchema: Cannot generate a JsonSchema for core_schema.CallableSchema",
        "only types that JSON has can be asked for",
    ),
    "a class that is not complete": (
        "from pydantic import BaseModel\nclass Contract(BaseModel):\n    inner: 'Inner'",
        "contract_schemas: PydanticUserError: `Contract` is not fully defined; you should define `Inner`, then call "
        "`Contract.model_rebuild()`.",
        "put it right in contract_schemas",
    ),
    "a keyword": (
        "from pydantic import BaseModel, Field\n"
        "class Inner(BaseModel):\n    n: int = Field(multiple_of=2)\n"
        "class Contract(BaseModel):\n    inner: Inner",
        '#/$defs/Inner/properties/n/multipleOf: "multipleOf" of type integer is not supported',
        "take it out, and say it in the description",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "sentence", "hint"), MODULES.values(), ids=MODULES)
def test_mistakes_of_a_module(project, source, sentence, hint):
    module = project / "jobs/contract_schemas.py"
    module.unlink()
    if source is not None:
        module.write_text(source)
    culprit, told, advice = problems(project, MODEL)[0]
    assert (culprit, told, advice) == ('"contract_schemas:Contract"', f"`output.model`: {sentence}", hint)


@pytest.mark.parametrize("name", ["contract_schemas", "contract_schemas:", ":Contract", "a..b:C", "a-b:C", "../x:C"])
def test_what_names_no_class(project, name):
    assert problems(project, f'[output]\nmodel = "{name}"\n') == [(
        f'"{name}"',
        "`output.model`: input should be package.module:Class",
        'such as "schemas:Contract" for the class Contract in schemas.py',
    )]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "pair"),
    [(FILE + TABLE, ("fields", "schema_file")), (MODEL + TABLE, ("fields", "model")),
     (FILE + MODEL.partition("\n")[2], ("schema_file", "model"))],
    ids=["table and file", "table and class", "file and class"],
)  # fmt: skip
def test_one_spelling_alone(project, output, pair):
    assert problems(project, output) == [
        (pair[1], f"`output.{pair[1]}`: give `{pair[0]}` or `{pair[1]}`, not both", None)
    ]


@pytest.mark.parametrize("key", ["schema_file", "model"])
def test_a_name_that_is_no_text(project, key):
    assert problems(project, f"[output]\n{key} = 3\n") == [
        ("3", f"`output.{key}`: input should be text in quotes, got 3", "put it in quotes")
    ]


# name: (content of the file, sentence)
FILES = {
    "missing": (None, "no such file or directory"),
    "empty": (b"", "this file is not JSON: expecting value (line 1, column 1)"),
    "no JSON": (b'{\n  "a": nope}', "this file is not JSON: expecting value (line 2, column 8)"),
    "a key twice": (b'{"type": "object", "type": "object"}', "this file is not JSON: an object has a key twice"),
    "no number": (b'{"minimum": NaN}', "this file is not JSON: NaN is no number"),
    "too deep": (b"[" * 200_000, "nested too deeply to be read"),
    "too large": (b" " * 1_000_001, "this file is larger than 1,000,000 bytes"),
    "binary": (b"\xff\xfe\xff", "this file is not JSON: "),
    "a long number": (b"9" * 5000, "this file is not JSON: "),
}


@pytest.mark.parametrize(("content", "sentence"), FILES.values(), ids=FILES)
def test_files_without_a_schema(project, content, sentence):
    file = project / "contracts.schema.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    ((culprit, told, hint),) = problems(project, FILE)
    assert (culprit, hint) == ('"contracts.schema.json"', "looked at ~/contracts.schema.json")
    assert told.startswith(f"`output.schema_file`: {sentence}")
    assert told == f"`output.schema_file`: {sentence}" or sentence.endswith(": ")


def with_schema(project, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    (project / "contracts.schema.json").write_text(json.dumps(schema))


def test_everything_wrong_in_a_schema_and_a_job_file_is_told_at_once(project):
    with_schema(project, a={"type": "text"}, b={"type": "string"}, c={"type": "array"})
    found = problems(project, FILE + 'groups = "all"\n[cascade]\nmodels = ["claude-haiku-5-5"]\nnull_in = ["x"]\n')
    assert [(culprit, told) for culprit, told, _ in found] == [
        ('"contracts.schema.json"', '`output.schema_file`: #/properties/a: "text" is no type'),
        ('"contracts.schema.json"', "`output.schema_file`: #/properties/c: an array needs `items`"),
        ('"all"', '`output.groups`: input should be "auto" or a whole number from 1 to 100, got "all"'),
        ('["claude-haiku-5-5"]', "`cascade.models`: a cascade has two models or more"),
    ]


def test_definitions_that_no_column_can_have(project):
    with_schema(
        project,
        doc_id={"type": "string"},
        inner={"type": "object", "properties": {"k": {"enum": ["a", "A"]}}},
        n={"type": "integer", "minimum": 3, "maximum": 2},
    )
    assert problems(project, FILE) == [
        (
            '"contracts.schema.json"',
            "`output.fields.doc_id`: input should be a name of letters, digits and _, at most 63, that does not start "
            'with a digit or _, and is not doc_id, got "doc_id" (#/properties/doc_id in the schema)',
            None,
        ),
        (
            '"contracts.schema.json"',
            '`output.fields.inner.fields.k.enum`: the value "A" is there already '
            "(#/properties/inner/properties/k in the schema)",
            "values must differ in more than case: the API does not promise to keep capitals",
        ),
        (
            '"contracts.schema.json"',
            "`output.fields.n.minimum`: `minimum` is above `maximum` (#/properties/n in the schema)",
            None,
        ),
    ]


def test_the_key_that_is_too_much_for_the_api(project):
    with_schema(project, **{f"f{number}": {"type": ["string", "null"]} for number in range(17)})
    ((culprit, told, hint),) = problems(project, FILE)
    assert culprit == '"contracts.schema.json"'
    assert told == (
        "`output.fields.f16`: the 17th type that may be null, and the API allows 16 in one schema "
        "(#/properties/f16 in the schema)"
    )
    assert hint.startswith('groups = "auto" in [output]')
    assert len(load(project, FILE + 'groups = "auto"\n').groups) == 2


def test_other_sections_know_the_fields_of_a_schema(project):
    cascade = '[cascade]\nmodels = ["claude-haiku-5-5", "claude-sonnet-5-5"]\nnull_in = ["titel"]\n'
    ((culprit, told, hint),) = problems(project, FILE + cascade)
    assert (culprit, told) == ('["titel"]', '`cascade.null_in`: there is no "titel" in [output.fields]')
    assert hint == f"fields: {', '.join(SCHEMA['properties'])}"


@pytest.mark.parametrize("command", ["plan --simulate", "status", "results --simulate"])
def test_commands_say_that_the_class_is_gone(project, capsys, command):
    batchrun = CommandLine(capsys)
    (project / "jobs/contract_schemas.py").write_text(ONE_NUMBER)
    load(project, MODEL)
    (project / "a.txt").write_text("text")
    assert batchrun("submit jobs/job.toml --simulate --speed 1000").code == ExitCode.OK
    (project / "jobs/contract_schemas.py").unlink()
    ran = batchrun(f"{command} jobs/job.toml")
    assert ran.code == ExitCode.USAGE
    assert "error: `output.model`: there is no module contract_schemas" in ran.err
