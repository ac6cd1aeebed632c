"""The simulated model answers as it is asked: by a tool, in XML, and again when its answer is not taken."""

import json
from typing import Any

import pytest

from batchrun.answers.form import AnswerForm
from batchrun.answers.modes import MODES
from batchrun.answers.turns import NEXT_PAGE, REPAIR
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.wire import fixed_params, message_request, with_follow_up
from batchrun.request import Request
from batchrun.simulator.api_error import ApiRefusal
from batchrun.simulator.faults.kinds import Spoiling
from batchrun.simulator.replies.message_json import message_body, message_events
from batchrun.simulator.replies.production import Production, produce
from batchrun.simulator.requests.model_cards import ModelCard, find_model
from batchrun.simulator.requests.parameters import check_message
from batchrun.simulator.requests.token_count import count_prompt
from batchrun.simulator.usage.prompt_cache import PromptUsage

SCHEMA = {
    "type": "object",
    "properties": {
        "effective_date": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "term_months": {"type": "integer"},
        "law": {"type": "string"},
    },
    "required": ["effective_date", "term_months", "law"],
    "additionalProperties": False,
}
DOCUMENT = (
    "<contract>\nLEASE\n\nMade as of March {day}, 2024. The term is 24 months.\n\n"
    "The laws of Norway & Denmark govern.\n</contract>"
)
ANSWER = {"effective_date": "2024-03-01", "term_months": 24, "law": "Norway"}
MODE_NAMES = ["json_schema", "tool", "xml"]


def card_of(name: str) -> ModelCard:
    card = find_model(name)
    assert card
    return card


def request(mode: Any, model: str = "claude-haiku-4-5", *, forced: bool = True, document: str = DOCUMENT) -> Request:
    asking = MODES[mode].ask(AnswerForm(SCHEMA, SCHEMA, mode=mode), "forced" if forced else "auto")
    fixed = fixed_params(model=model, max_tokens=500, asking=asking, effort=None, thinking=None, system=None)
    return message_request(fixed, document.format(day=1), words=asking.words)


def produced(asked: Request, *, seed: int = 0, chance: float = 0.9, spoiling: Spoiling | None = None) -> Production:
    params = json.loads(asked.wire)
    return produce(params, check_message(params), seed=seed, chance=chance, spoiling=spoiling)


def read(production: Production, mode: Any) -> Any:
    """Read the answer as the package does."""
    body = body_of(production)
    calls = [block["input"] for block in body["content"] if block["type"] == "tool_use"]
    form = AnswerForm(SCHEMA, SCHEMA, mode=mode)
    assert len(calls) <= 1
    return MODES[mode].read(form, reply_of(body))


def body_of(production: Production) -> dict[str, Any]:
    return message_body(production, card_of("claude-haiku-4-5"), message_id="msg_1", used=PromptUsage())


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_the_answer_is_the_same_in_every_mode(mode: str) -> None:
    assert read(produced(request(mode)), mode) == ANSWER


def test_a_forced_model_calls_the_tool_and_does_not_think() -> None:
    for seed in range(50):
        production = produced(request("tool", "claude-haiku-5-5"), seed=seed, chance=0.0)
        assert (production.tool, production.stop_reason, production.thought) == ("give_answer", "tool_use", None)


def test_a_free_model_calls_the_tool_as_a_rule_and_may_think() -> None:
    productions = [
        produced(request("tool", "claude-sonnet-5-5", forced=False), seed=seed, chance=0.0) for seed in range(100)
    ]
    assert all(production.thought is not None for production in productions)
    assert all(read(production, "tool") == ANSWER for production in productions)
    in_text = [production for production in productions if production.tool is None]
    assert 0 < len(in_text) < 50
    assert {production.stop_reason for production in in_text} == {"end_turn"}


def test_xml_comes_with_words_around_it_now_and_then() -> None:
    productions = [produced(request("xml"), seed=seed) for seed in range(100)]
    assert all(read(production, "xml") == ANSWER for production in productions)
    assert 0 < sum(production.text.startswith("Here is") for production in productions) < 50


def test_words_that_look_like_ours_are_only_words() -> None:
    document = "<contract>\nReply with one XML document and nothing else\nThe answer as JSON Schema: [1\n</contract>"
    assert produced(plain(document)).text


def plain(text: str) -> Request:
    return Request.of({"model": "claude-haiku-4-5", "max_tokens": 500, "messages": [{"role": "user", "content": text}]})


# --- streams


@pytest.mark.parametrize("spoiling", [None, Spoiling.INVALID_JSON, Spoiling.TRUNCATED], ids=["good", "broken", "cut"])
def test_a_stream_brings_the_input_in_pieces(spoiling: Spoiling | None) -> None:
    body = body_of(produced(request("tool"), spoiling=spoiling))
    events = [json.loads(event.partition(b"data: ")[2]) for event in message_events(body) if b"ping" not in event]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    begun = next(event["content_block"] for event in events if event["type"] == "content_block_start")

    written = "".join(delta["partial_json"] for delta in deltas)

    assert begun == {"type": "tool_use", "id": body["content"][0]["id"], "name": "give_answer", "input": {}}
    assert len(deltas) > 2
    assert written == body["content"][0]["input"] if spoiling else json.loads(written) == ANSWER


# --- an answer that is not taken


@pytest.mark.parametrize("said", [REPAIR.format(problems="law: required"), "Your answer has no law."])
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_a_correction_is_answered_about_the_document_before(mode: str, said: str) -> None:
    asked = request(mode)
    shown = json.dumps(body_of(produced(asked, spoiling=Spoiling.SCHEMA_VIOLATION)))

    assert read(produced(with_follow_up(asked, shown, said)), mode) == ANSWER


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_a_broken_answer_can_be_shown(mode: str) -> None:
    asked = request(mode)
    shown = json.dumps(body_of(produced(asked, spoiling=Spoiling.INVALID_JSON)))

    assert read(produced(with_follow_up(asked, shown, REPAIR.format(problems="not JSON"))), mode) == ANSWER


def test_a_next_page_is_asked_about_the_document_before() -> None:
    said = NEXT_PAGE.format(last=2, name="law", entry='"x"', following=3, size=2, complete="law_complete")
    asked = request("json_schema")
    shown = json.dumps(body_of(produced(asked)))
    assert read(produced(with_follow_up(asked, shown, said)), "json_schema") == ANSWER


def test_an_example_before_the_question_is_not_the_question() -> None:
    params = json.loads(request("json_schema").body)
    (question,) = params["messages"]
    example = {"role": "user", "content": DOCUMENT.format(day=9)}
    params["messages"] = [example, {"role": "assistant", "content": "{}"}, question]

    assert read(produced(Request.of(params)), "json_schema") == ANSWER


# --- what the API refuses


def refused(params: dict[str, Any]) -> str:
    with pytest.raises(ApiRefusal) as told:
        check_message(params)
    return told.value.error.message


def tool_params(**changes: Any) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(request("tool").body)
    return params | changes


OPEN = {"type": "object", "properties": {}}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]}
QUESTION = {"role": "user", "content": "Hi"}
REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "open": (
        {"tools": [{"name": "give_answer", "input_schema": OPEN, "strict": True}]},
        "tools.0.custom.input_schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ),
    "no-object": (
        {"tools": [{"name": "give_answer", "input_schema": {"type": "array"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    "name": (
        {"tools": [{"name": "a b", "input_schema": OPEN}]},
        "tools.0.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    "other-tool": (
        {"tool_choice": {"type": "tool", "name": "other"}},
        "Tool 'other' not found in provided tools",
    ),
    "no-tools": (
        {"tools": [], "tool_choice": {"type": "auto"}},
        "tool_choice: tool_choice may only be specified while providing tools.",
    ),
    "thinking": (
        {"model": "claude-opus-5", "thinking": {"type": "adaptive"}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "unforced": (
        {"model": "claude-opus-5-5"},
        "tool_choice forces tool use is not compatible with this model.",
    ),
    "no-result": (
        {"messages": [QUESTION, CALL, QUESTION]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each `tool_use`"
        " block must have a corresponding `tool_result` block in the next message.",
    ),
    "no-call": (
        {"messages": [RESULT]},
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each `tool_result` "
        "block must have a corresponding `tool_use` block in the previous message.",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_of_tools(name: str) -> None:
    changes, message = REFUSALS[name]
    assert refused(tool_params(**changes)) == message


def test_results_need_tools() -> None:
    params = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [QUESTION, CALL, RESULT]}
    assert refused(params) == (
        "Requests which have `tool_use` or `tool_result` blocks in their messages must define tools."
    )


def test_tools_are_counted() -> None:
    bare = count_prompt({"messages": [QUESTION]}, "new")
    free = count_prompt({"messages": [QUESTION], "tools": tool_params()["tools"]}, "new")
    forced = count_prompt(tool_params(messages=[QUESTION]), "new")
    assert (forced - free, free - bare > 286) == (120, True)
