"""Conversations that a hostile or a broken model would have: no run breaks, and no money is spent for ever."""

import json
from typing import Any

import pytest
from scripted_provider import answer, lost, status
from test_submit_turns import Recording, mending
from trial_project import TrialProject

from batchrun.job.problems import JobFileError
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.reply import Reply

pytestmark = pytest.mark.slow

TITLE = {"title": "a title"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": {}}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "x"}


def message(content: Any, stop_reason: str = "end_turn") -> Reply:
    """A reply as the provider reads it off a message of the API."""
    usage = {"input_tokens": 100, "output_tokens": 10}
    return reply_of({"content": content, "stop_reason": stop_reason, "model": "claude-haiku-4-5", "usage": usage})


ODD = {
    "empty": message([]),
    "null": message(None, "pause_turn"),
    "thinking": message([THINKING]),
    "redacted": message([{"type": "redacted_thinking", "data": "x"}]),
    "tool without id": message([{"type": "tool_use", "name": "give_answer", "input": {}}], "tool_use"),
    "tool with a null id": message([{**USE, "id": None}], "tool_use"),
    "tool without name": message([{"type": "tool_use", "id": "toolu_1", "input": {}}], "tool_use"),
    "tool with a text": message([{**USE, "input": '{"title": '}], "tool_use"),
    "tool with a list": message([{**USE, "input": [1]}], "tool_use"),
    "1,000 tools": message([{**USE, "id": f"toolu_{number}"} for number in range(1_000)], "tool_use"),
    "1,000 tools of one id": message([USE] * 1_000, "tool_use"),
    "another tool": message([{**USE, "name": "delete_everything"}], "tool_use"),
    "server tool": message([{"type": "server_tool_use", "id": "x", "name": "web", "input": {}}]),
    "citations": message([{"type": "text", "text": "no", "citations": [{"type": "x"}]}]),
    "unknown block": message([{"type": "hologram", "text": 3}]),
    "half a character": message([{"type": "text", "text": "\ud800"}]),
    "deep": message([{"type": "text", "text": "[" * 5_000}]),
}


@pytest.mark.parametrize("mode", ["json_schema", "tool", "xml", "text"])
@pytest.mark.parametrize("reply", ODD.values(), ids=ODD)
def test_an_odd_reply_is_mended(project: TrialProject, reply: Reply, mode: str) -> None:
    fields = {"output_fields": 'title = { type = "string", pattern = "^a" }'}
    mending(project, output=f'mode = "{mode}"\nmax_repairs = 1', **fields)
    project.documents(1)
    good = {
        "tool": message([{**USE, "input": TITLE}], "tool_use"),
        "xml": message([{"type": "text", "text": "<answer><title>a title</title></answer>"}]),
        "text": message([{"type": "text", "text": "a title"}]),
    }.get(mode, answer(TITLE))
    provider = Spoken([reply, good])

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    for body in provider.bodies:
        assert_the_api_takes(body)


class Spoken(Recording):
    """Answers everything in this order."""

    def __init__(self, steps: list[Any]) -> None:
        super().__init__()
        self.steps = steps

    def _next(self, prompt: str) -> Any:
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


def assert_the_api_takes(body: dict[str, Any]) -> None:
    """Check what the API refuses: blank texts, tools without an id, and calls without a result."""
    roles = [one["role"] for one in body["messages"]]
    json.dumps(body, ensure_ascii=False).encode()
    assert roles == (["user", "assistant"] * len(roles))[: len(roles)]
    for number, one in enumerate(body["messages"]):
        blocks = one["content"] if isinstance(one["content"], list) else [{"type": "text", "text": one["content"]}]
        assert blocks
        uses = [block for block in blocks if block["type"] == "tool_use"]
        for block in blocks:
            assert block["type"] in {"text", "tool_use", "tool_result"}
            assert block["type"] != "text" or block["text"].strip()
        ids = [use["id"] for use in uses]
        assert len(set(ids)) == len(ids)
        assert all(isinstance(use["id"], str) and isinstance(use["name"], str) for use in uses)
        assert all(isinstance(use["input"], dict) for use in uses)
        if uses:
            assert "tools" in body
            results = body["messages"][number + 1]["content"]
            assert [block["tool_use_id"] for block in results] == ids


def test_a_repair_that_is_refused_leaves_the_document_without_a_row(project: TrialProject) -> None:
    mending(project)
    project.documents(1)

    summary = project.submit(Spoken([answer({}), answer("", stop_reason="refusal")]))

    assert summary.outcomes == {Outcome.REFUSED: 1}
    assert project.ask("select turn is not null, outcome from attempts") == [(0, "invalid"), (1, "refused")]


def test_a_repair_that_is_cut_short_is_asked_again_with_more_tokens(project: TrialProject) -> None:
    mending(project)
    project.documents(1)
    provider = Spoken([answer({}), answer('{"ti', stop_reason="max_tokens"), answer(TITLE)])

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert [(len(body["messages"]), body["max_tokens"]) for body in provider.bodies] == [(1, 100), (3, 100), (3, 200)]


def test_what_fails_on_its_way_is_the_same_turn_again(project: TrialProject) -> None:
    mending(project)
    project.documents(1)
    provider = Spoken([answer({}), lost(), status(529, error_type="overloaded_error"), answer(TITLE)])

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    others = provider.bodies[1:]
    assert [body == others[0] for body in others] == [True] * 3
    assert project.rows("select _attempts from trial") == [(2,)]


@pytest.mark.parametrize("kept", [1, 2])
def test_after_a_failed_repair_a_retry_begins_anew_or_goes_on_behind_what_is_answered(
    project: TrialProject, kept: int
) -> None:
    mending(project, output="groups = 2", output_fields='title = "string"\nday = "date?"')
    project.documents(1)
    steps = [answer(TITLE), answer({"day": "soon"}), answer({"day": "later"})]
    project.submit(Spoken(steps if kept == 2 else [answer({}), answer({})]))
    assert project.statuses() == {"0000.txt": "invalid"}
    provider = Spoken([answer(TITLE), answer({"day": None})] if kept == 1 else [answer({"day": None})])

    summary = project.submit(provider, Selection(again=frozenset({Outcome.INVALID})))

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert project.rows("select title, day from trial") == [("a title", None)]
    assert [len(body["messages"]) for body in provider.bodies] == [1] * len(provider.bodies)


@pytest.mark.parametrize(
    "fields",
    ['term = "integer?"\nterm_quote = "string"', 'term_quote = "string"\nterm = "integer?"'],
    ids=["behind", "before"],
)
def test_a_field_that_is_called_like_a_quote_is_told_with_its_place(project: TrialProject, fields: str) -> None:
    project.job(output="evidence = true", output_fields=fields)
    with pytest.raises(JobFileError) as told:
        project.plan()
    assert 'there is a field "term_quote" already' in str(told.value)
