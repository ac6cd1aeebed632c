"""The JSON of the Messages API: every body that is sent is put together here, or taken apart to send a variant.

The Messages body is the canonical request of the whole program, and request ids are hashes of its bytes: a change of
one byte makes every document of every job new work. Planning, strategy and execution use this module, so this module
imports neither the SDK nor anything else that is slow to load.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from batchrun.answers.asking import Asking, StructuredAsking, ToolAsking, ToolChoice
from batchrun.document import NativeFile
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.request import Request, Ttl

INLINE_FILE = re.compile(rb'"source":\{"type":"base64","media_type":"[^"]*","data":"')
"""How a file begins in a body. The quotes of texts are escaped, so no text looks like a file."""
NOTHING_SAID = "(nothing)"
"""What stands for an empty reply in a conversation: the API refuses a message without content."""
TOOLS = b'"tools":[{"name":'
"""How the tools of a request begin in a body."""
BEFORE_WORDS = "\n\n"
"""What stands between a document and the words behind the document."""
BATCH_HEAD, BATCH_SEPARATOR, BATCH_TAIL = b'{"requests":[', b",", b"]}"
"""What stands before, between and behind the members in the body that creates a batch."""


def fixed_params(
    *,
    model: str,
    max_tokens: int,
    asking: Asking,
    effort: str | None,
    thinking: str | None,
    budget_tokens: int | None = None,
    system: str | None,
) -> dict[str, Any]:
    """Build the parameters that all messages of a job share: all but the user message."""
    output = _output_format(asking)
    if effort is not None:
        output["effort"] = effort
    params: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    if output:
        params["output_config"] = output
    if system is not None:
        params["system"] = system
    if thinking is not None:
        params["thinking"] = {"type": thinking} | ({"budget_tokens": budget_tokens} if budget_tokens else {})
    return params | _tool_params(asking)


def _output_format(asking: Asking) -> dict[str, Any]:
    if not isinstance(asking, StructuredAsking):
        return {}
    return {"format": {"type": "json_schema", "schema": asking.schema}}


def _tool_params(asking: Asking) -> dict[str, Any]:
    if not isinstance(asking, ToolAsking):
        return {}
    named = {"name": asking.name, "description": asking.description}
    return {
        "tools": [{**named, "input_schema": asking.schema, "strict": True}],
        "tool_choice": _tool_choice(asking.name, asking.choice),
    }


def _tool_choice(name: str, choice: ToolChoice) -> dict[str, Any]:
    whose = {"type": "tool", "name": name} if choice == "forced" else {"type": "auto"}
    return {**whose, "disable_parallel_tool_use": True}


def without_asking(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a job's messages share, without the form of the answers."""
    output = {name: value for name, value in fixed.get("output_config", {}).items() if name != "format"}
    rest = {name: value for name, value in fixed.items() if name not in {"tools", "tool_choice"}}
    return {**rest, "output_config": output}


def message_request(
    fixed: Mapping[str, Any], content: str | list[Any], *, max_tokens: int | None = None, words: str = ""
) -> Request:
    """Make the request with this user message, and these words at the message's end.

    `max_tokens` takes the place of the fixed one.
    """
    params = {**fixed, "messages": [{"role": "user", "content": _with_words(content, words)}]}
    return Request.of(params if max_tokens is None else {**params, "max_tokens": max_tokens})


def _with_words(content: str | list[Any], words: str) -> str | list[Any]:
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


def _without_words(content: str | list[Any], words: str) -> str | list[Any]:
    """Take the words off the end of a user message that `_with_words` has put there."""
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


def with_asking(request: Request, old: Asking, new: Asking) -> Request:
    """Ask for something else about the same document; the request keeps its id.

    `old` is what the request asks for. Marks for the prompt cache stay, since a request is marked before.
    """
    params = json.loads(request.wire)
    output = {name: value for name, value in params.pop("output_config", {}).items() if name != "format"}
    rest = {name: value for name, value in params.items() if name not in {"tools", "tool_choice"}}
    message = next(message for message in reversed(params["messages"]) if message["role"] == "user")
    message["content"] = _with_words(_without_words(message["content"], old.words), new.words)
    if output := _output_format(new) | output:
        rest["output_config"] = output
    return replace(request, marked=Request.of(rest | _tool_params(new)).body)


def content_around(file: NativeFile, before: str, behind: str) -> list[Any]:
    """Build the content of a user message with a file between two texts. The API refuses blank texts."""
    source = {"type": "base64", "media_type": file.media_type, "data": b64encode(file.data).decode("ascii")}
    block = {"type": "image" if file.pages is None else "document", "source": source}
    first, last = ([{"type": "text", "text": text}] if text.strip() else [] for text in (before, behind))
    return [*first, block, *last]


def request_to_model(
    request: Request,
    *,
    model: str,
    max_tokens: int,
    takes_effort: bool,
    takes_thinking: bool,
    tool_choice: ToolChoice = "forced",
) -> Request:
    """Make the same request to another model, without the parameters that the other model does not take.

    `tool_choice` is that of the other model, if the request has a tool.
    """
    params = json.loads(request.body)
    params["model"], params["max_tokens"] = model, max_tokens
    if not takes_effort:
        params.get("output_config", {}).pop("effort", None)
    if not takes_thinking:
        params.pop("thinking", None)
    if params.get("output_config") == {}:
        del params["output_config"]
    if "tools" in params:
        params["tool_choice"] = _tool_choice(params["tools"][0]["name"], tool_choice)
    return Request.of(params)


def has_tool(request: Request) -> bool:
    """Whether a request has a tool. The quotes of texts are escaped, so no text looks like a tool."""
    return TOOLS in request.body


def with_cache_breakpoint(request: Request, cache_breakpoint: CacheBreakpoint | None) -> Request:
    """Mark a request for the prompt cache, if there is a breakpoint; the request keeps its id."""
    if cache_breakpoint is None:
        return request
    params = json.loads(request.wire)
    if cache_breakpoint.opening:
        message = params["messages"][_document_message(request)]
        content = message["content"]
        if isinstance(content, str):
            message["content"] = _marked_content(content, cache_breakpoint)
        else:
            message["content"] = _marked_blocks(content, cache_breakpoint)
    else:
        params["system"] = [_marked_block(params["system"], cache_breakpoint.ttl)]
    return replace(request, marked=Request.of(params).body)


def _document_message(request: Request) -> int:
    """Return which message has the document: the last one of the request, behind which a conversation may follow."""
    return len(json.loads(request.body)["messages"]) - 1


def with_max_tokens(request: Request, max_tokens: int) -> Request:
    """Let the answer to a request have other `max_tokens`; the request keeps its id."""
    params = json.loads(request.wire) | {"max_tokens": max_tokens}
    return replace(request, marked=Request.of(params).body, max_tokens=max_tokens)


def with_follow_up(request: Request, shown: str, said: str) -> Request:
    """Continue a conversation behind a request: the reply that is shown, and what is said behind it.

    `shown` is the body of the reply. Thinking is left out, as the API allows where no tool follows. A tool's input is
    answered as the result of the tool. The request keeps its id.
    """
    params = json.loads(request.wire)
    blocks = [block for block in json.loads(shown)["content"] or () if _is_shown(block)]
    uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
    answer: str | list[object] = said
    if uses:
        results = [{"type": "tool_result", "tool_use_id": use, "is_error": True, "content": said} for use in uses[:1]]
        others = [{"type": "tool_result", "tool_use_id": use, "content": NOTHING_SAID} for use in uses[1:]]
        answer = [*results, *others]
    params["messages"] += [
        {"role": "assistant", "content": blocks or NOTHING_SAID},
        {"role": "user", "content": answer},
    ]
    return replace(request, marked=Request.of(params).body)


def _is_shown(block: Mapping[str, Any]) -> bool:
    return block["type"] == "tool_use" or (block["type"] == "text" and bool(block["text"].strip()))


def _marked_content(content: str, cache_breakpoint: CacheBreakpoint) -> list[dict[str, Any]] | str:
    """Cut the user message in two blocks. The API refuses a blank block, so a document without text gets no block."""
    opening, ttl = cache_breakpoint.opening, cache_breakpoint.ttl
    rest = content[len(opening) :]
    if not rest:
        return [_marked_block(content, ttl)]
    return [_marked_block(opening, ttl), {"type": "text", "text": rest}] if rest.strip() else content


def _marked_blocks(content: list[dict[str, Any]], cache_breakpoint: CacheBreakpoint) -> list[dict[str, Any]]:
    """Cut the text before a file in two blocks. The text begins with the opening, and may end there."""
    marked = _marked_content(content[0]["text"], cache_breakpoint)
    first = [_marked_block(cache_breakpoint.opening, cache_breakpoint.ttl)] if isinstance(marked, str) else marked
    return [*first, *content[1:]]


def _marked_block(text: str, ttl: Ttl) -> dict[str, Any]:
    control = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    return {"type": "text", "text": text, "cache_control": control}


def file_size(body: bytes) -> int:
    """Count the bytes that a file takes in a body. Returns 0 for a body without a file."""
    found = INLINE_FILE.search(body)
    return body.index(b'"', found.end()) - found.end() if found else 0


def file_in(request: Request) -> NativeFile:
    """Take the file out of a request that has one."""
    (block,) = _file_blocks(json.loads(request.body))
    return NativeFile(block["source"]["media_type"], b64decode(block["source"]["data"]))


def with_file_id(request: Request, file_id: str) -> Request:
    """Name an uploaded file in the place of the request's file; the request keeps its id."""
    params = json.loads(request.wire)
    for block in _file_blocks(params):
        block["source"] = {"type": "file", "file_id": file_id}
    return replace(request, marked=Request.of(params).body)


def _file_blocks(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    (message,) = params["messages"]
    return [block for block in message["content"] if block.get("source", {}).get("type") == "base64"]


def count_body(request: Request) -> bytes:
    """Build the body that asks for the number of tokens of a request; `max_tokens` may not be in such a body."""
    params = json.loads(request.body)
    del params["max_tokens"]
    return json.dumps(params, separators=(",", ":")).encode()


def batch_member(request: Request, *, nonce: str) -> bytes:
    """Build one member of a batch: the request as it is sent, under its name in the batch."""
    return b'{"custom_id":"%s-%s","params":%s}' % (nonce.encode(), request.request_id.encode(), request.wire)


def batch_size(member_sizes: Sequence[int]) -> int:
    """Count the bytes of a batch's body with members of these sizes."""
    return len(BATCH_HEAD) + sum(member_sizes) + len(BATCH_SEPARATOR) * max(0, len(member_sizes) - 1) + len(BATCH_TAIL)


def member_name(custom_id: str) -> tuple[str, str]:
    """Take apart a member's name in its batch: the batch's nonce, and the request's id.

    A name of another form than `batch_member` gives has no nonce, and the whole of it stands for the id.
    """
    nonce, hyphen, request_id = custom_id.partition("-")
    return (nonce, request_id) if nonce and hyphen else ("", custom_id)
