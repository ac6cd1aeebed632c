"""How each mode stands in a request's body, and how the asking of a request gives way to another."""

import json
from dataclasses import replace
from typing import Any

import pytest

from batchrun.answers.asking import Asking, StructuredAsking, ToolAsking, ToolChoice
from batchrun.answers.form import AnswerForm
from batchrun.answers.modes import MODES
from batchrun.document import NativeFile
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.providers.anthropic.wire import (
    content_around,
    fixed_params,
    has_tool,
    message_request,
    request_to_model,
    with_asking,
    with_cache_breakpoint,
    with_follow_up,
)
from batchrun.request import Request

NAMES = ("title", "day", "kind")
TOLD: dict[str, Any] = {"system": None, "effort": None, "thinking": None}


def form_of(mode: Any, *names: str) -> AnswerForm:
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "description": f"The {name}"} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }
    return AnswerForm(schema, schema, mode=mode)


def asking(mode: Any, *names: str, choice: ToolChoice = "forced") -> Asking:
    return MODES[mode].ask(form_of(mode, *names), choice)


def request(asked: Asking, content: str | list[Any] = "A contract.", **told: Any) -> Request:
    fixed = fixed_params(model="m", max_tokens=9, asking=asked, **(TOLD | told))
    return message_request(fixed, content, words=asked.words)


def body(asked: Asking, **told: Any) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(request(asked, **told).body)
    return params


def test_a_schema_stands_in_the_output_format() -> None:
    asked = asking("json_schema", "title")
    assert isinstance(asked, StructuredAsking)
    assert body(asked, effort="low") == {
        "model": "m",
        "max_tokens": 9,
        "output_config": {"format": {"type": "json_schema", "schema": asked.schema}, "effort": "low"},
        "messages": [{"role": "user", "content": "A contract."}],
    }


def test_a_tool_is_strict_and_the_only_one() -> None:
    asked = asking("tool", "title")
    assert isinstance(asked, ToolAsking)
    params = body(asked, effort="low", thinking="disabled")
    assert params["output_config"] == {"effort": "low"}
    assert params["tools"] == [
        {"name": "give_answer", "description": asked.description, "input_schema": asked.schema, "strict": True}
    ]
    assert params["tool_choice"] == {"type": "tool", "name": "give_answer", "disable_parallel_tool_use": True}
    assert "output_config" not in body(asked)


def test_a_tool_that_cannot_be_forced_is_offered() -> None:
    asked = asking("tool", "title", choice="auto")
    assert body(asked)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("mode", ["xml", "text"])
def test_words_stand_behind_the_document(mode: str) -> None:
    asked = asking(mode, "title")
    params = body(asked)
    assert params.keys() == {"model", "max_tokens", "messages"}
    assert params["messages"][0]["content"] == f"A contract.\n\n{asked.words}"


@pytest.mark.parametrize("behind", ["", "Return the fields."])
def test_words_stand_behind_a_file(behind: str) -> None:
    asked = asking("xml", "title")
    content = content_around(NativeFile("application/pdf", b"%PDF", 1), "Read this:", behind)
    last = json.loads(request(asked, content).body)["messages"][0]["content"][-1]
    assert last == {"type": "text", "text": f"{behind}\n\n{asked.words}" if behind else asked.words}


@pytest.mark.parametrize(("mode", "is_tool"), [("json_schema", False), ("tool", True), ("xml", False)])
def test_a_tool_is_seen_in_the_bytes(mode: str, is_tool: bool) -> None:
    assert has_tool(request(asking(mode, "title"), 'A contract with "tools":[{"name": in it.')) is is_tool


CONTENTS: dict[str, str | list[Any]] = {
    "text": "A contract.",
    "file": content_around(NativeFile("application/pdf", b"%PDF", 1), "Read this:", ""),
    "around": content_around(NativeFile("application/pdf", b"%PDF", 1), "Read this:", "Return the fields."),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("choice", ["forced", "auto"])
@pytest.mark.parametrize("mode", ["json_schema", "tool", "xml"])
def test_some_of_the_fields_are_asked_for_in_the_place_of_all(mode: str, choice: ToolChoice, content: str) -> None:
    whole, part = asking(mode, *NAMES, choice=choice), asking(mode, "day", choice=choice)
    told = {"effort": "low", "system": "Be brief."}

    first = request(whole, CONTENTS[content], **told)
    other = with_asking(first, whole, part)

    assert json.loads(other.wire) == json.loads(request(part, CONTENTS[content], **told).body)
    assert (other.request_id, other.body) == (first.request_id, first.body)
    assert json.loads(with_asking(other, part, whole).wire) == json.loads(first.body)


@pytest.mark.parametrize("mode", ["json_schema", "tool", "xml"])
def test_a_breakpoint_stands_before_the_words(mode: str) -> None:
    whole, part = asking(mode, *NAMES), asking(mode, "day")
    content = "Read this:\nA contract."
    mark = CacheBreakpoint("Read this:\n", "5m")

    marked = with_cache_breakpoint(with_asking(request(whole, content), whole, part), mark)

    expected = with_cache_breakpoint(request(part, content), mark)
    assert json.loads(marked.wire) == json.loads(expected.wire)
    first, rest = json.loads(marked.wire)["messages"][0]["content"]
    assert (first["text"], "cache_control" in first, "cache_control" in rest) == ("Read this:\n", True, False)


@pytest.mark.parametrize("choice", ["forced", "auto"])
def test_another_model_gets_the_choice_that_it_takes(choice: ToolChoice) -> None:
    other: ToolChoice = "auto" if choice == "forced" else "forced"
    first = request(asking("tool", "title", choice=choice), effort="low", thinking="disabled")
    to_other = request_to_model(
        first, model="o", max_tokens=9, takes_effort=False, takes_thinking=False, tool_choice=other
    )
    alone = replace(request(asking("tool", "title", choice=other)), model="o")
    assert json.loads(to_other.body) == json.loads(alone.body) | {"model": "o"}


def test_an_input_that_is_no_object_is_shown_in_one() -> None:
    shown = {"content": [{"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": '{"title": "Le'}]}
    continued = with_follow_up(request(asking("tool", "title")), json.dumps(shown), "Again.")
    _, answer, said = json.loads(continued.wire)["messages"]
    assert answer["content"][0]["input"] == {"INVALID_JSON": '{"title": "Le'}
    assert said["content"] == [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "Again."}]


CALL = {"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": {"title": 1}}
THOUGHT = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eHh4"}


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([THOUGHT, REDACTED, CALL], [THOUGHT, REDACTED, CALL]),
        ([THOUGHT, {"type": "text", "text": "So."}], [{"type": "text", "text": "So."}]),
        ([{**THOUGHT, "signature": ""}, CALL], [CALL]),
        ([THOUGHT, {**CALL, "id": "a b"}], "(nothing)"),
        ([CALL, {**CALL, "input": {}}, {"type": "text", "text": " "}], [CALL]),
        ([{**CALL, "caller": {"type": "direct"}}], [CALL]),
        ([{"type": "server_tool_use", "id": "s"}], "(nothing)"),
        (None, "(nothing)"),
    ],
    ids=["before a call", "without a call", "unsigned", "no name", "same id", "more keys", "other block", "null"],
)
def test_thinking_goes_back_unchanged_in_front_of_a_call(blocks: object, expected: object) -> None:
    continued = with_follow_up(request(asking("tool", "title")), json.dumps({"content": blocks}), "Again.")
    assert json.loads(continued.wire)["messages"][1]["content"] == expected


def test_the_bytes_of_a_conversation_are_told_apart_from_what_a_request_asks() -> None:
    whole = request(asking("json_schema", *NAMES))
    alone = with_asking(whole, asking("json_schema", *NAMES), asking("json_schema", "day"))
    shown = {"content": [{"type": "text", "text": "x" * 50}]}

    continued = with_follow_up(alone, json.dumps(shown), "Again.")

    assert continued.added_bytes == len(continued.wire) - len(alone.wire)
    assert continued.added_bytes > len(continued.wire) - len(whole.body)


def test_a_reply_that_is_nested_too_deeply_is_not_shown() -> None:
    deep = '{"type": "text", "text": "x", "more": ' + "[" * 100_000 + "]" * 100_000 + "}"
    continued = with_follow_up(request(asking("json_schema", "title")), f'{{"content": [{deep}]}}', "Again.")
    assert [message["content"] for message in json.loads(continued.wire)["messages"][1:]] == ["(nothing)", "Again."]
