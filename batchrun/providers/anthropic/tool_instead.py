"""A tool in the place of a JSON Schema, for servers that hold no answer to a schema.

The request names the schema in `output_config`, and the server is sent a tool whose input has that schema. The call of
the tool becomes the text that the schema would have brought. An answer that is shown again in a conversation stays
that text: a server takes the text of an assistant beside tools, and takes no call without the thinking before the call.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from batchrun.answers.asking import ToolAsking, ToolChoice
from batchrun.answers.modes import TOOL_DESCRIPTION, TOOL_NAME
from batchrun.catalog.price_table import PriceTable, load_prices
from batchrun.providers.anthropic.asking_params import tool_params
from batchrun.request import Request


def asks_by_schema(params: Mapping[str, Any]) -> bool:
    """Whether the parameters of a request hold the answer to a JSON Schema."""
    return "format" in params.get("output_config", {})


def asked_by_tool(params: Mapping[str, Any], choice: ToolChoice, *, strict: bool = False) -> dict[str, Any]:
    """Return the parameters with a tool in the place of the schema, if there is a schema.

    No tool is held to its schema unless `strict`: strict tools are a part of structured outputs, and Google's policy
    switches both off at once (docs.cloud.google.com, "Structured outputs with Anthropic Claude models").
    """
    asked = dict(params)
    if asks_by_schema(params):
        output = dict(asked.pop("output_config"))
        schema = output.pop("format")["schema"]
        asked |= {"output_config": output} if output else {}
        asked |= tool_params(ToolAsking(TOOL_NAME, TOOL_DESCRIPTION, schema, choice))
    if not strict and "tools" in asked:
        asked["tools"] = [{key: value for key, value in tool.items() if key != "strict"} for tool in asked["tools"]]
    return asked


def request_by_tool(request: Request, choice: Callable[[str | None], ToolChoice]) -> Request:
    """Return the request as `asked_by_tool` has it; `choice` says how a request with such `thinking` may ask."""

    def by_tool(body: bytes) -> bytes:
        params = json.loads(body)
        return Request.of(asked_by_tool(params, choice(params.get("thinking", {}).get("type")))).body

    return replace(request, body=by_tool(request.body), marked=request.marked and by_tool(request.marked))


def choice_for(row_name: str) -> Callable[[str | None], ToolChoice]:
    """Return how the model of a row in our table of prices may be asked. An unknown model is never forced."""
    row = _table().prices.get(row_name)
    return row.tool_choice if row else lambda _: "auto"


@cache
def _table() -> PriceTable:
    return load_prices(today=datetime.now(UTC).date())


def answered_in_text(message: Any) -> Any:
    """Return a message with a text in the place of each call, and without the texts beside the calls.

    The input of a call that was cut is text already. A message without a call, or of no usable form, stays as it is.
    """
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list) or not any(map(_is_call, content)):
        return message
    try:
        blocks = [_text(block) if _is_call(block) else block for block in content if not _is_text(block)]
    except RecursionError:
        return message
    ended = {"stop_reason": "end_turn"} if message.get("stop_reason") == "tool_use" else {}
    return {**message, "content": blocks, **ended}


def _is_call(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_use"


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text"


def _text(call: Mapping[str, Any]) -> dict[str, Any]:
    given = call.get("input")
    return {"type": "text", "text": given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)}
