"""What a request asks for, as the simulated model understands it: which message, in which form, by which schema."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from batchrun.answers.xml_words import FIRST_WORDS, SCHEMA_LINE
from batchrun.simulator.replies.document import has_document
from batchrun.simulator.requests.schema_rules import schema_problem
from batchrun.simulator.requests.token_count import text_blocks
from batchrun.simulator.requests.tool_rules import forces_tool

_FOLLOW_UP = re.compile(r"(?:this|your) (?:\w+ )?(?:answer|reply)\b", re.IGNORECASE)

Params = Mapping[str, Any]
Message = Mapping[str, Any]


class Asked(NamedTuple):
    """The form of the answer that is asked for."""

    form: Literal["json", "tool", "xml", "text"]
    schema: Mapping[str, Any] | None = None  # None for plain text
    tool: str = ""
    forced: bool = False


def asked_in(params: Params, prompt: str) -> tuple[Asked, str]:
    """Find what is asked for; also return the prompt without the words that ask for XML."""
    if tools := params.get("tools"):
        choice = params.get("tool_choice") or {}
        tool = next((tool for tool in tools if tool["name"] == choice.get("name")), tools[0])
        if choice.get("type") != "none":
            return Asked("tool", tool["input_schema"], tool["name"], forces_tool(params)), prompt
    if output_format := params.get("output_config", {}).get("format"):
        return Asked("json", output_format["schema"]), prompt
    question, _, words = prompt.rpartition(FIRST_WORDS)
    schema = _schema(words.rpartition(SCHEMA_LINE)[2])
    return (Asked("xml", schema), question) if schema else (Asked("text"), prompt)


def _schema(text: str) -> dict[str, Any] | None:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):  # words of a document that look like ours
        return None
    if not isinstance(schema, dict) or "properties" not in schema or schema_problem(text, strict=False):
        return None
    return schema


def question_in(messages: Sequence[Message]) -> Message:
    """Find the message with the question: the last of the user's that says nothing of the answer before it."""
    asking = [
        message
        for before, message in zip([None, *messages], messages, strict=False)
        if message["role"] == "user" and not (before and before["role"] == "assistant" and _is_follow_up(message))
    ]
    return asking[-1] if asking else messages[-1]


def _is_follow_up(message: Message) -> bool:
    blocks = text_blocks(message["content"])
    if any(block["type"] == "tool_result" and block.get("is_error") for block in blocks):
        return True
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    return bool(_FOLLOW_UP.match(text)) and not has_document(text)
