"""The JSON Schema of the job file takes what the sections take, and sees most of what the sections refuse."""

import json
import tomllib
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from batchrun.job.file_schema import JOB, PROJECT, file_schema
from batchrun.job.project import ProjectSpec
from batchrun.job.scaffold import PROJECT_TEXT, SOURCES, scaffold
from batchrun.job.spec import JobSpec
from batchrun.job.units import MONTH_S, duration_s, typed_duration

TESTS = Path(__file__).parents[1]
SCHEMA, PROJECT_SCHEMA = file_schema(*JOB), file_schema(*PROJECT)
VALIDATOR, PROJECT_VALIDATOR = Draft202012Validator(SCHEMA), Draft202012Validator(PROJECT_SCHEMA)
FILES = sorted([*TESTS.parent.glob("jobs/*.toml"), *TESTS.glob("golden/**/jobs/*.toml")])
PLAIN: dict[str, Any] = {
    "job": {"name": "plain"},
    "source": {"type": "files", "include": ["*.txt"]},
    "model": {"name": "claude-haiku-5-5", "max_tokens": 100},
    "prompt": {"user": "{{ doc.text }}"},
    "output": {"fields": {"title": "string"}},
    "budget": {"max_cost_usd": 1},
}


def as_json(toml: str) -> Any:
    return json.loads(json.dumps(tomllib.loads(toml), default=str))


def problems(values: Any, validator: Draft202012Validator = VALIDATOR) -> list[str]:
    return [error.message for error in validator.iter_errors(values)]


def loads(values: Any, model: Any = JobSpec) -> bool:
    try:
        model.model_validate(values)
    except ValidationError:
        return False
    return True


def test_it_is_a_schema_of_2020_12() -> None:
    for schema in (SCHEMA, PROJECT_SCHEMA):
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_job_file_fits(path: Path) -> None:
    assert problems(as_json(path.read_text())) == []


@pytest.mark.parametrize("source", SOURCES)
def test_what_init_writes_fits(source: str) -> None:
    written = scaffold("new", SOURCES[source], path="jobs/new.toml", schema="../.batchrun/job.schema.json")
    assert problems(as_json(written)) == []
    assert problems(as_json(PROJECT_TEXT), PROJECT_VALIDATOR) == []


def test_every_key_of_every_table_has_a_sentence() -> None:
    for schema in (SCHEMA, PROJECT_SCHEMA):
        tables = {"the file": schema, **schema["$defs"]}
        keys = {f"{name}.{key}": one for name, table in tables.items() for key, one in table["properties"].items()}
        said = {key: one.get("description", "") for key, one in keys.items() if "$ref" not in one}
        said.pop("the file.source", None)  # a table of three kinds
        assert [key for key, words in said.items() if not words.endswith(".") or "None" in words] == []


def test_units_are_text_as_people_write_them() -> None:
    batch, budget = (SCHEMA["$defs"][name]["properties"] for name in ("BatchSection", "BudgetSection"))
    assert (batch["poll_interval"]["default"], batch["max_poll_interval"]["default"]) == ("30s", "5m")
    assert batch["max_bytes"]["default"] == "256MB"
    assert budget["max_cost_usd"]["type"] == "number"
    assert budget["max_run_time"]["examples"] == ["500ms", "30s", "10m", "2h"]


@pytest.mark.parametrize("text", ["500ms", "1s", "90s", "5m", "36h"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    assert typed_duration(duration_s(text, most_s=MONTH_S)) == text


TABLES = [
    (name, key)
    for name, one in SCHEMA["properties"].items()
    if "$ref" in one
    for key in SCHEMA["$defs"][one["$ref"].rpartition("/")[2]]["properties"]
]


@pytest.mark.parametrize(("table", "key"), TABLES)
def test_a_value_of_a_wrong_kind_is_seen(table: str, key: str) -> None:
    wrong = deepcopy(PLAIN)
    wrong.setdefault(table, {})[key] = [[date(2020, 1, 1)]]
    assert not loads(wrong)
    assert problems(json.loads(json.dumps(wrong, default=str)))


@pytest.mark.parametrize(("table", "key"), TABLES)
def test_a_default_may_be_written(table: str, key: str) -> None:
    written = SCHEMA["$defs"][SCHEMA["properties"][table]["$ref"].rpartition("/")[2]]["properties"][key]
    if "default" not in written or table in {"cascade", "gold"}:
        return
    said = deepcopy(PLAIN)
    said.setdefault(table, {})[key] = written["default"]
    assert problems(said) == []
    before, after = JobSpec.model_validate(PLAIN), JobSpec.model_validate(said)
    assert after == before or table == "model"  # whose fallback_on needs no fallback


@pytest.mark.parametrize(
    "broken",
    [
        {"jop": {}},
        {"job": {"name": "No Name"}},
        {"job": {"name": "a", "nmae": "b"}},
        {"job": {"name": "a", "tags": {"A b": "c"}}},
        {"source": {"type": "fils", "include": ["a"]}},
        {"source": {"type": "files", "include": []}},
        {"source": {"type": "files", "include": ["a"], "format": "word"}},
        {"source": {"type": "duckdb", "database": "a.duckdb"}},
        {"source": {"type": "table", "path": " "}},
        {"model": {"name": "two words", "max_tokens": 100}},
        {"model": {"name": "claude", "max_tokens": "100"}},
        {"model": {"name": "claude", "max_tokens": 0}},
        {"model": {"name": "claude", "max_tokens": 1, "effort": "lo"}},
        {"prompt": {"system": "no user"}},
        {"prompt": {"user": "a", "user_file": "b"}},
        {"prompt": {"user": "a", "example": [{"output": {}}]}},
        {"output": {}},
        {"output": {"fields": {}}},
        {"output": {"fields": {"doc_id": "string"}}},
        {"output": {"fields": {"_a": "string"}}},
        {"output": {"fields": {"a": "text"}}},
        {"output": {"fields": {"a": {"type": "string", "minimum": 1}}}},
        {"output": {"fields": {"a": {"type": "array"}}}},
        {"output": {"fields": {"a": {"enum": []}}}},
        {"output": {"fields": {"a": "string"}, "votes": 10}},
        {"output": {"fields": {"a": "string"}, "groups": "many"}},
        {"run": {"deadline": "2 days"}},
        {"run": {"deadline": 30}},
        {"run": {"max_concurrency": 0}},
        {"batch": {"max_bytes": "2GB"}},
        {"budget": {"max_cost_usd": 0}},
        {"budget": {"max_cost_usd": "5.00"}},
        {"store": {"table": "main.a"}},
        {"check": [{"name": "a"}]},
        {"check": [{"name": "a", "sql": "select 1", "type": "unique"}]},
        {"review": {"max_error": 0.5}},
        {"version": 2},
    ],
    ids=lambda broken: json.dumps(broken)[:60],
)
def test_it_sees_what_the_sections_refuse(broken: dict[str, Any]) -> None:
    values = {**PLAIN, **broken}
    assert not loads(values)
    assert problems(values)


def test_it_sees_what_the_project_file_may_not_say() -> None:
    for broken in ({"tiers": {"standard": []}}, {"tiers": {"easy": ["a"]}}, {"budget": {"max_cost_per_day_usd": -1}}):
        assert not loads(broken, ProjectSpec)
        assert problems(broken, PROJECT_VALIDATOR) or broken == {"tiers": {"standard": []}}
