"""The JSON of the Messages API: every body that is sent is put together here, or taken apart to send a variant.

The Messages body is the canonical request of the whole program, and request ids are hashes of its bytes: a change of
one byte makes every document of every job new work. Planning, strategy and execution use this module, so this module
imports neither the SDK nor anything else that is slow to load.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from batchrun.answers.asking import Asking, ToolChoice
from batchrun.document import NativeFile
from batchrun.escaping import well_formed
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.providers.anthropic.asking_params import (
    BEFORE_WORDS,
    TOOL_PARAMS,
    output_format,
    tool_choice_param,
    tool_params,
    with_words,
    without_words,
)
from batchrun.request import Request, Ttl

INLINE_FILE = re.compile(rb'"source":\{"type":"base64","media_type":"[^"]*","data":"')
"""How a file begins in a body. The quotes of texts are escaped, so no text looks like a file."""
_NAME_OF_CALL = re.compile(r"[A-Za-z0-9_-]{1,128}")
NOTHING_SAID = "(nothing)"
"""What stands for an empty reply in a conversation: the API refuses a message without content."""
TOOLS = b'"tools":[{"name":'
"""How the tools of a request begin in a body."""
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
    turns: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Build the parameters that all messages of a job share: all but the document's message.

    `turns` are user messages that come before that message, each with the answer.
    """
    output = output_format(asking)
    if effort is not None:
        output["effort"] = effort
    params: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    if output:
        params["output_config"] = output
    if system is not None:
        params["system"] = system
    if thinking is not None:
        params["thinking"] = {"type": thinking} | ({"budget_tokens": budget_tokens} if budget_tokens else {})
    if turns:
        params["messages"] = [
            {"role": role, "content": text}
            for turn in turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
    return params | tool_params(asking)


def without_asking(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a job's messages share, without the form of the answers."""
    output = {name: value for name, value in fixed.get("output_config", {}).items() if name != "format"}
    rest = {name: value for name, value in fixed.items() if name not in TOOL_PARAMS}
    return {**rest, "output_config": output}


def message_request(
    fixed: Mapping[str, Any], content: str | list[Any], *, max_tokens: int | None = None, words: str = ""
) -> Request:
    """Make the request with this user message, and these words at the message's end.

    `max_tokens` takes the place of the fixed one.
    """
    message = {"role": "user", "content": with_words(content, words)}
    params = {**fixed, "messages": [*fixed.get("messages", ()), message]}
    return Request.of(params if max_tokens is None else {**params, "max_tokens": max_tokens})


def with_asking(request: Request, old: Asking, new: Asking) -> Request:
    """Ask for something else about the same document, in the place of what the request asks.

    The request keeps its id.
    """
    params = json.loads(request.wire)
    message = params["messages"][_document_message(request)]
    message["content"] = with_words(without_words(message["content"], old.words), new.words)
    rest = without_asking(params)
    rest["output_config"] = output_format(new) | rest["output_config"]
    asked = {name: value for name, value in rest.items() if name != "output_config" or value}
    return replace(request, marked=Request.of(asked | tool_params(new)).body)


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
    provider_type: str = "",
) -> Request:
    """Make the same request to another model, without the parameters that the other model does not take.

    `tool_choice` is that of the other model, if the request has a tool, and `provider_type` that of its provider, where
    the model's name does not tell the type.
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
        params["tool_choice"] = tool_choice_param(params["tools"][0]["name"], tool_choice)
    return replace(Request.of(params), votes=request.votes, provider_type=provider_type)


def at_provider(body: bytes, engine_name: str, there: str) -> bytes:
    """Put the name that a model has at its provider into a body, in the place of the model's engine name.

    The model is the first parameter of every body, which is ASCII as a whole or not.
    """
    for ascii_only in (False, True):
        head, named = (
            b'{"model":%s' % json.dumps(name, ensure_ascii=ascii_only).encode() for name in (engine_name, there)
        )
        if body.startswith(head):
            return named + body.removeprefix(head)
    raise ValueError("the body begins with another model")


def has_tool(request: Request) -> bool:
    """Whether a request has a tool. The quotes of texts are escaped, so no text looks like a tool."""
    return TOOLS in request.body


def with_cache_breakpoint(request: Request, cache_breakpoint: CacheBreakpoint | None) -> Request:
    """Mark a request for the prompt cache, if there is a breakpoint; the request keeps its id."""
    if cache_breakpoint is None:
        return request
    params = json.loads(request.wire)
    turns, ttl = cache_breakpoint.turns, cache_breakpoint.ttl
    if cache_breakpoint.opening:
        message = params["messages"][turns]
        content = message["content"]
        if isinstance(content, str):
            message["content"] = _marked_content(content, cache_breakpoint)
        else:
            message["content"] = _marked_blocks(content, cache_breakpoint)
    elif turns:
        answer = params["messages"][turns - 1]
        answer["content"] = [_marked_block(answer["content"], ttl)]
    else:
        params["system"] = [_marked_block(params["system"], ttl)]
    return replace(request, marked=Request.of(params).body)


def with_document_breakpoint(request: Request, words: str, ttl: Ttl) -> Request:
    """Mark the end of the document, before the words that ask, for the prompt cache; the request keeps its id.

    Where no words ask, everything up to the end of the message is marked.

    The model reads the same text as without the mark. A document without text gets no mark: the API refuses blank
    blocks.
    """
    params = json.loads(request.wire)
    message = params["messages"][_document_message(request)]
    message["content"] = _marked_before(message["content"], words, ttl)
    return replace(request, marked=Request.of(params).body)


def _marked_before(content: str | list[Any], words: str, ttl: Ttl) -> str | list[Any]:
    *before, last = [_text_block(content)] if isinstance(content, str) else content
    if not words:
        return [*before, last | _mark(ttl) if "text" in last else _mark(ttl) | last]
    document = last["text"].removesuffix(words).removesuffix(BEFORE_WORDS)
    if document.strip():
        return [*before, last | _marked_block(document, ttl), _text_block(last["text"][len(document) :])]
    if not before:
        return content
    *others, file = before
    return [*others, _mark(ttl) | file, last]


def _document_message(request: Request) -> int:
    """Return which message has the document: the last one of the request, behind which a conversation may follow."""
    return len(json.loads(request.body)["messages"]) - 1


def with_max_tokens(request: Request, max_tokens: int) -> Request:
    """Let the answer to a request have other `max_tokens`; the request keeps its id."""
    params = json.loads(request.wire) | {"max_tokens": max_tokens}
    return replace(request, marked=Request.of(params).body, max_tokens=max_tokens)


def with_follow_up(request: Request, shown: str, said: str, *, is_error: bool = True) -> Request:
    """Continue a conversation behind a request: the reply that is shown, and what is said behind it.

    `shown` is the body of the reply. Calls are left out that the API does not take again. A tool's input is answered as
    the result of the tool, which is an error unless the reply was good. The request keeps its id.
    """
    try:
        content = json.loads(well_formed(json.dumps(json.loads(shown)["content"], ensure_ascii=False)))
        marked = _continued(request, content or (), said, is_error=is_error)
    except RecursionError:  # a reply may be nested so deeply that it can be read here and not there
        marked = _continued(request, (), said, is_error=is_error)
    return replace(request, marked=marked, added_bytes=max(0, len(marked) - len(request.wire)))


def _continued(request: Request, content: Iterable[Mapping[str, Any]], said: str, *, is_error: bool) -> bytes:
    params = json.loads(request.wire)
    blocks = _shown_blocks(content, has_tools="tools" in params)
    uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
    answer: str | list[object] = said
    if uses:
        mark = {"is_error": True} if is_error else {}
        results = [{"type": "tool_result", "tool_use_id": use, **mark, "content": said} for use in uses[:1]]
        others = [{"type": "tool_result", "tool_use_id": use, "content": NOTHING_SAID} for use in uses[1:]]
        answer = [*results, *others]
    params["messages"] += [
        {"role": "assistant", "content": blocks or NOTHING_SAID},
        {"role": "user", "content": answer},
    ]
    return Request.of(params).body


def _shown_blocks(blocks: Iterable[Mapping[str, Any]], *, has_tools: bool) -> list[dict[str, Any]]:
    """Return the blocks of a reply that the API takes again.

    Thinking is taken in front of calls alone, and has to stand there unchanged. Without a call thinking is left out.
    """
    ids = set[str]()
    taken = [block for one in blocks if (block := _taken_again(one, ids, has_tools=has_tools))]
    return taken if ids else [block for block in taken if block["type"] == "text"]


def _taken_again(block: Mapping[str, Any], ids: set[str], *, has_tools: bool) -> dict[str, Any] | None:
    """Return a block as the API takes the block again; None if the API does not. No two calls have the same id."""
    match block:
        case {"type": "text", "text": str(text)} if text.strip():
            return _text_block(text)
        case {"type": "thinking", "thinking": str(), "signature": str(signature)} if signature:
            return dict(block)
        case {"type": "redacted_thinking", "data": str()}:
            return dict(block)
        case {"type": "tool_use", "id": str(use), "name": str(name)} if has_tools and use not in ids:
            if not (_NAME_OF_CALL.fullmatch(use) and _NAME_OF_CALL.fullmatch(name)):
                return None
            ids.add(use)
            given = block.get("input")
            taken = given if isinstance(given, dict) else {"INVALID_JSON": given}
            return {"type": "tool_use", "id": use, "name": name, "input": taken}
        case _:
            return None


def _marked_content(content: str, cache_breakpoint: CacheBreakpoint) -> list[dict[str, Any]] | str:
    """Cut the user message in two blocks. The API refuses a blank block, so a document without text gets no block."""
    opening, ttl = cache_breakpoint.opening, cache_breakpoint.ttl
    rest = content[len(opening) :]
    if not rest:
        return [_marked_block(content, ttl)]
    return [_marked_block(opening, ttl), _text_block(rest)] if rest.strip() else content


def _marked_blocks(content: list[dict[str, Any]], cache_breakpoint: CacheBreakpoint) -> list[dict[str, Any]]:
    """Cut the text before a file in two blocks. The text begins with the opening, and may end there."""
    marked = _marked_content(content[0]["text"], cache_breakpoint)
    first = [_marked_block(cache_breakpoint.opening, cache_breakpoint.ttl)] if isinstance(marked, str) else marked
    return [*first, *content[1:]]


def _marked_block(text: str, ttl: Ttl) -> dict[str, Any]:
    return _text_block(text) | _mark(ttl)


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _mark(ttl: Ttl) -> dict[str, Any]:
    return {"cache_control": {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}}


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
    contents = [message["content"] for message in params["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block.get("source", {}).get("type") == "base64"]


def count_body(request: Request) -> bytes:
    """Build the body that asks for the number of tokens of a request; `max_tokens` may not be in such a body."""
    params = json.loads(request.body)
    del params["max_tokens"]
    return json.dumps(params, separators=(",", ":")).encode()


def batch_member(request: Request, *, nonce: str) -> bytes:
    """Build one member of a batch: the request as it is sent, under its name in the batch."""
    return b'{"custom_id":"%s-%s","params":%s}' % (nonce.encode(), request.request_id.encode(), request.wire)


async def batch_around(members: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the body that creates a batch with these members, in parts. The last part is the end of the body."""
    before = BATCH_HEAD
    async for member in members:
        yield before + member
        before = BATCH_SEPARATOR
    yield BATCH_TAIL


def batch_size(member_sizes: Sequence[int]) -> int:
    """Count the bytes of a batch's body with members of these sizes."""
    return len(BATCH_HEAD) + sum(member_sizes) + len(BATCH_SEPARATOR) * max(0, len(member_sizes) - 1) + len(BATCH_TAIL)


def member_name(custom_id: str) -> tuple[str, str]:
    """Take apart a member's name in its batch: the batch's nonce, and the request's id.

    A name of another form than `batch_member` gives has no nonce, and the whole of it stands for the id.
    """
    nonce, hyphen, request_id = custom_id.partition("-")
    return (nonce, request_id) if nonce and hyphen else ("", custom_id)
