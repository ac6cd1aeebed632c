"""What the API refuses about marks for the prompt cache, in its words."""

from collections.abc import Iterator, Mapping
from typing import Any

_MOST_MARKS = 4
_TTLS = ("5m", "1h")
_UNMARKABLE = {"thinking", "redacted_thinking"}

Params = Mapping[str, Any]


def cache_problems(params: Params) -> Iterator[str]:
    """Say what is wrong with the marks of parameters that are otherwise well-formed."""
    marks = list(_marks(params))
    for where, kind, mark in marks:
        yield from _one_mark(where, kind, mark)
    if len(marks) > _MOST_MARKS:
        yield f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {len(marks)}."
    yield from _longest_first(marks)


def _marks(params: Params) -> Iterator[tuple[str, str, Any]]:
    """Find every mark: where it is, the type of its block, and the mark; in the order of the prompt."""
    for index, tool in enumerate(params.get("tools") or ()):
        if isinstance(tool, dict) and tool.get("cache_control") is not None:
            yield f"tools.{index}", "tool", tool["cache_control"]
    places = [("system", params.get("system"))]
    places += [(f"messages.{index}.content", message["content"]) for index, message in enumerate(params["messages"])]
    for where, content in places:
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if block.get("cache_control") is not None:
                yield f"{where}.{index}", block["type"], block["cache_control"]
    if params.get("cache_control") is not None:
        yield "", "top level", params["cache_control"]


def _one_mark(where: str, kind: str, mark: object) -> Iterator[str]:
    path = f"{where}.cache_control" if where else "cache_control"
    if kind in _UNMARKABLE:
        yield f"{path}: Extra inputs are not permitted"
    elif not isinstance(mark, dict):
        yield f"{path}: Input should be a valid dictionary or object to extract fields from"
    elif mark.get("type") != "ephemeral":
        tag = mark.get("type")
        yield f"{path}: Input tag '{tag}' found using 'type' does not match any of the expected tags: 'ephemeral'"
    elif mark.get("ttl", "5m") not in _TTLS:
        yield f"{path}.ephemeral.ttl: Input should be '5m' or '1h'"
    else:
        for name in mark.keys() - {"type", "ttl"}:
            yield f"{path}.ephemeral.{name}: Extra inputs are not permitted"


def _longest_first(marks: list[tuple[str, str, Any]]) -> Iterator[str]:
    short = False
    for where, _, mark in marks:
        ttl = mark.get("ttl", "5m") if isinstance(mark, dict) else "5m"
        if ttl == "1h" and short:
            path = f"{where}.cache_control.ttl" if where else "cache_control.ttl"
            yield (
                f"{path}: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that "
                "blocks are processed in the following order: `tools`, `system`, `messages`."
            )
        short = short or ttl == "5m"
