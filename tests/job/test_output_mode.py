"""[output] mode, and what a job in each mode asks for."""

from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError

JOB = """\
[job]
name = "x"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 100
[prompt]
user = "{{ doc.text }}"
[output]
mode = "MODE"
[output.fields]
FIELDS
[budget]
max_cost_usd = 1
"""
PRICES = load_prices(today=date(2026, 11, 21))


@pytest.fixture
def load(tmp_path):
    def load(mode, fields='title = "string"'):
        path = tmp_path / "job.toml"
        path.write_text(JOB.replace("MODE", mode).replace("FIELDS", fields))
        return load_job(path)

    return load


@pytest.mark.parametrize("mode", ["json_schema", "tool", "xml", "text"])
def test_the_form_has_the_mode(load, mode):
    assert load(mode).form.mode == mode


def test_an_unknown_mode_is_refused(load):
    with pytest.raises(JobFileError) as told:
        load("xmll")
    assert '`output.mode`: input should be "json_schema", "tool", "xml" or "text", got "xmll"' in told.value.rendered
    assert 'did you mean "xml"?' in told.value.rendered


REFUSED = {
    "two": 'title = "string"\nday = "date"',
    "date": 'day = "date"',
    "null": 'title = "string?"',
    "nullable": 'title = { type = "string", nullable = true }',
    "enum": 'title = { type = "string", enum = ["a"] }',
    "list": 'titles = { type = "array", items = "string" }',
}


@pytest.mark.parametrize("name", REFUSED)
def test_text_is_one_column_of_texts(load, name):
    with pytest.raises(JobFileError) as told:
        load("text", REFUSED[name])
    assert told.value.rendered.splitlines()[0] == (
        'error: `output.mode`: a reply in mode "text" is the value of one field of type string'
    )
    assert " --> " in told.value.rendered
    assert '12 | mode = "text"' in told.value.rendered


UNFORCED = {
    *("claude-fable-5-1", "claude-fable-5-2", "claude-mythos-5-1", "claude-mythos-5-2"),
    *("claude-opus-5-5", "claude-sonnet-5-5"),
}


@pytest.mark.parametrize("name", sorted(name for name in PRICES.prices if name.startswith("claude")))
def test_who_can_be_forced_to_call_a_tool(name):
    price = PRICES.model(name)
    assert price.forced_tools is (name not in UNFORCED)
    assert price.tool_choice(None) == price.tool_choice("disabled") == ("auto" if name in UNFORCED else "forced")
    assert price.tool_choice("adaptive") == "auto"
    assert 286 <= price.tool_prompt_tokens["auto"] < price.tool_prompt_tokens["forced"] <= 804


@pytest.mark.parametrize(
    ("mode", "votes", "problem"),
    [
        ("xml", 3, None),
        ("xml", 4, "4 votes may be two halves that differ"),
        ("xml", 11, "input should be at most 9, got 11"),
        ("xml", 0, "input should be at least 1, got 0"),
        ("text", 3, 'replies in mode "text" are hardly ever the same'),
        ("text", 1, None),
    ],
)
def test_votes(load, mode, votes, problem):
    if problem is None:
        assert load(f'{mode}"\nvotes = {votes} # "').form.votes == votes
        return
    with pytest.raises(JobFileError) as told:
        load(f'{mode}"\nvotes = {votes} # "')
    assert problem in told.value.rendered
    assert f"votes = {votes}" in told.value.rendered


def test_all_problems_of_the_section_are_told_at_once(load):
    with pytest.raises(JobFileError) as raised:
        load('xml"\nvotes = 2\nunsupported = "null"\ngroups = 9\n# "')
    told = [problem.message.partition(":")[0] for problem in raised.value.problems]
    assert sorted(told) == ["`output.groups`", "`output.unsupported`", "`output.votes`"]
