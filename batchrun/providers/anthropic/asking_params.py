"""An asking as parameters of the Messages API, and as words in the content of a user message."""

from typing import Any

from batchrun.answers.asking import Asking, StructuredAsking, ToolAsking, ToolChoice

TOOL_PARAMS = frozenset({"tools", "tool_choice"})
"""The parameters that only a request with a tool has."""
BEFORE_WORDS = "\n\n"
"""What stands between a document and the words behind the document."""


def output_format(asking: Asking) -> dict[str, Any]:
    """Return what of `output_config` asks for an answer."""
    if not isinstance(asking, StructuredAsking):
        return {}
    return {"format": {"type": "json_schema", "schema": asking.schema}}


def tool_params(asking: Asking) -> dict[str, Any]:
    """Return the parameters that ask for a call of a tool."""
    if not isinstance(asking, ToolAsking):
        return {}
    named = {"name": asking.name, "description": asking.description}
    return {
        "tools": [{**named, "input_schema": asking.schema, "strict": True}],
        "tool_choice": tool_choice_param(asking.name, asking.choice),
    }


def tool_choice_param(name: str, choice: ToolChoice) -> dict[str, Any]:
    """Return the parameter that says which tool is called; never more than one call."""
    whose = {"type": "tool", "name": name} if choice == "forced" else {"type": "auto"}
    return {**whose, "disable_parallel_tool_use": True}


def with_words(content: str | list[Any], words: str) -> str | list[Any]:
    """Put words at the end of a user message, behind its last text if no file or breakpoint stands behind the text."""
    if not words:
        return content
    if isinstance(content, str):
        return _with_end(content, words)
    *before, last = content
    if not isinstance(last, dict) or last.get("type") != "text" or "cache_control" in last:
        return [*content, {"type": "text", "text": words}]
    return [*before, {**last, "text": _with_end(last["text"], words)}]


def _with_end(text: str, words: str) -> str:
    return f"{text}{BEFORE_WORDS}{words}" if text.strip() else words


def without_words(content: str | list[Any], words: str) -> str | list[Any]:
    """Take the words off the end of a user message that `with_words` has put there."""
    if not words:
        return content
    if isinstance(content, str):
        return _without_end(content, words)
    *before, last = content
    text = _without_end(last["text"], words)
    return [*before, {**last, "text": text}] if text else before


def _without_end(text: str, words: str) -> str:
    assert text.endswith(words), "the message ends with other words"
    return text.removesuffix(words).removesuffix(BEFORE_WORDS)
