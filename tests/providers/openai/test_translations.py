"""What is said in the words of OpenAI, and what comes back, is said in those of the Messages API."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from batchrun.job.field_types import FieldSpec
from batchrun.job.fields import OutputFields
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.openai.chat import chat_body, is_strict
from batchrun.providers.openai.completion import message_of_completion
from batchrun.providers.openai.headers import as_messages_headers
from batchrun.providers.openai.provider import OpenAIFactory
from batchrun.providers.openai.responses import completion_of, responses_body
from batchrun.reply import ReportedLimit, ReportedLimits, Usage

SCHEMA = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["a"],
    "additionalProperties": False,
}
FORMAT = {"format": {"type": "json_schema", "schema": SCHEMA}}
TOOL = {"name": "record", "description": "Takes it.", "input_schema": SCHEMA, "strict": True}
FORCED = {"type": "tool", "name": "record", "disable_parallel_tool_use": True}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
MARK = {"cache_control": {"type": "ephemeral"}}
CALLED = {"type": "tool_use", "id": "call_1", "name": "record", "input": {"a": "Ü"}}
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "is_error": True, "content": "`a` is missing."}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-6-luna", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]} | more


def chat_messages(*turns: tuple[str, Any], **more: Any) -> Any:
    messages = [{"role": role, "content": content} for role, content in turns]
    return chat_body(asked(messages=messages, **more), is_openais=True)["messages"]


def test_the_limit_of_an_answer_has_the_name_that_the_server_takes() -> None:
    theirs, own = (chat_body(asked(), is_openais=whose) for whose in (True, False))

    assert (theirs["max_completion_tokens"], own["max_tokens"]) == (9, 9)
    assert theirs.keys() - own.keys() == {"max_completion_tokens"}


def test_what_only_the_messages_api_has_is_left_out() -> None:
    body = chat_body(asked(thinking={"type": "enabled", "budget_tokens": 5}), is_openais=True)

    assert body == {"model": "gpt-6-luna", "max_completion_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


def test_a_schema_and_an_effort_are_asked_for() -> None:
    chat = chat_body(asked(output_config={**FORMAT, "effort": "low"}), is_openais=True)
    response = responses_body(chat)

    named = {"name": "answer", "schema": SCHEMA, "strict": True}
    assert chat["response_format"] == {"type": "json_schema", "json_schema": named}
    assert chat["reasoning_effort"] == "low"
    assert response["text"] == {"format": {"type": "json_schema", **named}}
    assert response["reasoning"] == {"effort": "low"}


def test_a_tool_is_a_function_that_is_called_by_name() -> None:
    chat = chat_body(asked(tools=[TOOL], tool_choice=FORCED), is_openais=True)
    response = responses_body(chat)

    function = {"name": "record", "description": "Takes it.", "parameters": SCHEMA, "strict": True}
    assert chat["tools"] == [{"type": "function", "function": function}]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "record"}}
    assert chat["parallel_tool_calls"] is False
    assert response["tools"] == [{"type": "function", **function}]
    assert response["tool_choice"] == {"type": "function", "name": "record"}


@pytest.mark.parametrize(("choice", "said"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_a_choice_has_its_word(choice: str, said: str) -> None:
    chat = chat_body(asked(tools=[TOOL], tool_choice={"type": choice}), is_openais=True)

    assert (chat["tool_choice"], responses_body(chat)["tool_choice"]) == (said, said)


def test_the_system_prompt_comes_first() -> None:
    system = [text("Be "), text("brief.", **MARK)]
    (first, _) = chat_messages(("user", "x"), system=system)

    assert first == {"role": "system", "content": "Be brief."}


def test_texts_are_one_text_and_an_image_stands_among_parts() -> None:
    alone, beside = chat_messages(("user", [text("a", **MARK), text("b")]), ("user", [text("a"), IMAGE]))
    url = {"url": "data:image/png;base64,AAAA"}
    (item,) = responses_body(chat_body(asked(messages=[{"role": "user", "content": [IMAGE]}]), is_openais=True))[
        "input"
    ]

    assert alone["content"] == "ab"
    assert beside["content"] == [text("a"), {"type": "image_url", "image_url": url}]
    assert item["content"] == [{"type": "input_image", "image_url": url["url"]}]


CONVERSATION = (
    ("user", "x"),
    ("assistant", [{"type": "thinking", "thinking": "…", "signature": "s"}, text("Here."), CALLED]),
    ("user", [RESULT, text("Again.")]),
)


def test_a_conversation_is_shown_again() -> None:
    _, answer, result, again = chat_messages(*CONVERSATION)
    function = {"name": "record", "arguments": json.dumps({"a": "Ü"})}

    call = {"id": "call_1", "type": "function", "function": function}
    assert answer == {"role": "assistant", "content": "Here.", "tool_calls": [call]}
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "`a` is missing."}
    assert again == {"role": "user", "content": "Again."}
    messages = [{"role": role, "content": content} for role, content in CONVERSATION]
    assert responses_body(chat_body(asked(messages=messages), is_openais=True))["input"] == [
        {"type": "message", "role": "user", "content": "x"},
        {"type": "message", "role": "assistant", "content": "Here."},
        {"type": "function_call", "call_id": "call_1", **function},
        {"type": "function_call_output", "call_id": "call_1", "output": "`a` is missing."},
        {"type": "message", "role": "user", "content": "Again."},
    ]


def test_an_empty_answer_is_shown_as_nothing_and_a_call_has_no_text() -> None:
    empty, call = chat_messages(("assistant", []), ("assistant", [CALLED]))

    assert (empty["content"], call["content"]) == ("(nothing)", None)


def test_a_response_is_not_kept_and_never_too_short() -> None:
    body = responses_body(chat_body(asked(), is_openais=False))

    assert (body["store"], body["max_output_tokens"]) == (False, 16)


def nested(levels: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"leaf": "string"}
    for _ in range(levels - 1):
        fields = {"inner": {"type": "object", "fields": fields}}
    return fields


def schema_of(fields: dict[str, Any]) -> dict[str, Any]:
    definitions = TypeAdapter(dict[str, FieldSpec]).validate_python(fields)
    return OutputFields(definitions).api_schema


def test_our_schemas_are_strict_down_to_ten_levels() -> None:
    rich: dict[str, Any] = {
        "kind": {"type": "enum", "enum": ["a", "b"], "nullable": True},
        "day": {"type": "date", "nullable": True},
        "lines": {"type": "array", "items": {"type": "object", "fields": {"n": "integer"}}},
    }

    assert [is_strict(schema_of(fields)) for fields in (rich, nested(10), nested(11))] == [True, True, False]
    assert holds_to_openais_rules(schema_of(rich))


def holds_to_openais_rules(schema: dict[str, Any]) -> bool:
    """Every object forbids other properties and requires its own, at any depth."""
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    is_object = schema.get("type") == "object"
    whole = not is_object or (
        schema["additionalProperties"] is False and set(schema["required"]) == set(schema["properties"])
    )
    return whole and all(map(holds_to_openais_rules, inner))


# --- what comes back


USAGE = {
    "prompt_tokens": 110,
    "completion_tokens": 50,
    "total_tokens": 160,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
COUNTED = Usage(input_tokens=40, cache_read_tokens=60, cache_write_5m_tokens=10, output_tokens=50, thinking_tokens=20)
CALL = {"id": "call_1", "type": "function", "function": {"name": "record", "arguments": '{"a": "b"}'}}
CUT = {"id": "call_1", "type": "function", "function": {"name": "record", "arguments": '{"a": "'}}


def completion(ended: Any, usage: Any = USAGE, **said: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": ended, "message": {"role": "assistant", "content": None, **said}}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt", "choices": [choice], "usage": usage}


@pytest.mark.parametrize(
    ("told", "stop_reason", "text", "tool_input", "refusal"),
    [
        (completion("stop", content="{}"), "end_turn", "{}", None, None),
        (completion("stop", content=[{"type": "text", "text": "{"}, {"text": "}"}, 5]), "end_turn", "{}", None, None),
        (completion("length", content="{"), "max_tokens", "{", None, None),
        (completion("length", reasoning_content="Hm"), "max_tokens", "", None, None),
        (completion("tool_calls", tool_calls=[CALL]), "tool_use", "", '{"a": "b"}', None),
        (completion("stop", content="", tool_calls=[CALL]), "tool_use", "", '{"a": "b"}', None),
        (completion("length", tool_calls=[CUT]), "max_tokens", "", '{"a": "', None),
        (completion("content_filter", content="{"), "refusal", "{", None, None),
        (completion("stop", refusal="No.", content="x"), "refusal", "", None, "No."),
        (completion("eos", content="{}"), "eos", "{}", None, None),
    ],
)
def test_every_end_of_a_completion(
    told: Any, stop_reason: str, text: str, tool_input: str | None, refusal: str | None
) -> None:
    reply = reply_of(message_of_completion(told))

    assert (reply.stop_reason, reply.text, reply.tool_input) == (stop_reason, text, tool_input)
    assert (reply.refusal, reply.usage, reply.model) == (refusal, COUNTED, "gpt")


def response(status: str, *output: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    usage = {name.replace("prompt", "input").replace("completion", "output"): count for name, count in USAGE.items()}
    details = {"reason": reason} if reason else None
    items = [{"type": "reasoning", "summary": []}, *output]
    return {"status": status, "incomplete_details": details, "output": items, "model": "gpt", "usage": usage} | more


def saying(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


@pytest.mark.parametrize(
    ("told", "stop_reason", "text", "tool_input", "refusal"),
    [
        (response("completed", saying({"type": "output_text", "text": "{}"})), "end_turn", "{}", None, None),
        (response("incomplete", reason="max_output_tokens"), "max_tokens", "", None, None),
        (response("incomplete", reason="content_filter"), "refusal", "", None, None),
        (response("completed", saying({"type": "refusal", "refusal": "No."})), "refusal", "", None, "No."),
        (
            response("completed", {"type": "function_call", "call_id": "c", "name": "r", "arguments": "{}"}),
            *("tool_use", "", "{}", None),
        ),
    ],
)
def test_every_end_of_a_response(
    told: Any, stop_reason: str, text: str, tool_input: str | None, refusal: str | None
) -> None:
    reply = reply_of(message_of_completion(completion_of(told)))

    assert (reply.stop_reason, reply.text, reply.tool_input) == (stop_reason, text, tool_input)
    assert (reply.refusal, reply.usage, reply.model) == (refusal, COUNTED, "gpt")


@pytest.mark.parametrize(
    "told",
    [
        *(None, 7, [], {}, "x", {"choices": {}}, {"choices": [None]}, {"choices": [{"message": 5}]}),
        {"choices": [{"message": {"content": "{}"}}]},
        {"choices": [{"message": {"tool_calls": 7}, "finish_reason": None}]},
        {"status": "in_progress", "output": [7, {"type": "message", "content": 7}]},
        {"status": ["completed"], "incomplete_details": 7, "usage": 7, "output": 7},
    ],
)
def test_whatever_is_no_answer_is_malformed(told: Any) -> None:
    for message in (message_of_completion(told), message_of_completion(completion_of(told))):
        with pytest.raises(AttemptError):
            reply_of(message)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": "5", "completion_tokens": 1}, None),
        ({"prompt_tokens": 5, "completion_tokens": 1}, Usage(5, output_tokens=1)),
        # More was read from the cache than there is: all of it was.
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}},
         Usage(0, cache_read_tokens=5, output_tokens=1)),
        # Reasoning beside the output: the total has both.
        ({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 10,
          "completion_tokens_details": {"reasoning_tokens": 4}}, Usage(5, output_tokens=5, thinking_tokens=4)),
        ({"input_tokens": 5, "output_tokens": 1}, Usage(5, output_tokens=1)),
    ],
)  # fmt: skip
def test_counters_are_read_without_trust(usage: Any, read: Usage | None) -> None:
    assert reply_of(message_of_completion(completion("stop", usage, content="{}"))).usage == read


def test_a_server_without_schemas_is_asked_by_a_tool_and_its_call_is_the_text() -> None:
    section = ProviderSection(type="openai", base_url="http://localhost/v1", structured_output=False)
    dialect, params = OpenAIFactory(section).dialect, asked(output_config=FORMAT)
    body = dialect.body(params)
    message = dialect.message(params, completion("stop", tool_calls=[CALL]))

    assert body["tool_choice"]["type"] == "function"
    assert "response_format" not in body
    assert "strict" not in body["tools"][0]["function"]
    assert (reply_of(message).text, reply_of(message).stop_reason) == ('{"a": "b"}', "end_turn")
    assert dialect.message(asked(tools=[TOOL]), completion("stop", tool_calls=[CALL]))["stop_reason"] == "tool_use"


# --- headers


def limits(**told: str) -> ReportedLimits | None:
    named = {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in told.items()}
    return reported_limits(as_messages_headers(named))


def test_the_limit_of_tokens_is_one_of_input_and_of_output() -> None:
    told = {"limit_requests": "500", "remaining_requests": "499", "reset_requests": "120ms"}
    told |= {"limit_tokens": "30000", "remaining_tokens": "100", "reset_tokens": "59.8s"}

    assert limits(**told) == ReportedLimits(
        requests=ReportedLimit(500, 499),
        input_tokens=ReportedLimit(30_000, 100),
        output_tokens=ReportedLimit(30_000, 100),
    )


@pytest.mark.parametrize(
    ("reset", "is_told"), [("8.64s", False), ("6m0s", False), ("1h2m", False), ("6ms", True), ("", True), ("?", True)]
)
def test_a_limit_of_a_day_says_nothing_of_the_pace(reset: str, is_told: bool) -> None:
    told = limits(limit_requests="10000", remaining_requests="9999", reset_requests=reset)

    assert (told is not None) is is_told


def test_no_headers_tell_no_limits() -> None:
    assert limits(limit_requests="many", remaining_requests="x") == ReportedLimits()
    assert limits() is None
