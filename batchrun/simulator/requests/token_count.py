"""Token counts of the simulated models: the simulator's own, so that nobody is right by sharing a tokenizer with it.

Characters are counted by class and weighted. The weights follow measured characters per token of Claude's
tokenizers (English prose 3.3 and CSV of numbers 1.8 on the newer one) and the overheads follow recorded usage:
7 tokens around a message, and a system prompt that grows with the schema.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from batchrun.simulator.requests.model_cards import Tokenizer
from batchrun.simulator.requests.native_files import file_in
from batchrun.simulator.requests.tool_rules import forces_tool

_MESSAGE_OVERHEAD = 7
_FURTHER_MESSAGE_OVERHEAD = 4
_SCHEMA_PROMPT: Mapping[Tokenizer, int] = {"old": 84, "new": 115}
_SCHEMA_WEIGHT = 1.57  # the schema is sent to the model together with the rules to follow it
_TOOL_PROMPT: Mapping[Tokenizer, tuple[int, int]] = {"old": (497, 589), "new": (286, 406)}  # free to choose, or forced
_TOOL_WEIGHT = 1.1

_MARKS: Mapping[Tokenizer, float] = {"old": 0.5, "new": 0.7}
_ASCII_WEIGHTS: tuple[tuple[bytes, Mapping[Tokenizer, float]], ...] = (
    (b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", {"old": 0.24, "new": 0.345}),
    (b"0123456789", {"old": 0.5, "new": 0.55}),
    (b" \t\r", {"old": 0.0, "new": 0.0}),
)
_OTHER_WEIGHTS: tuple[tuple[bytes, Mapping[Tokenizer, float]], ...] = (
    (bytes(range(0xC2, 0xCE)), {"old": 0.9, "new": 1.3}),  # Latin letters with accents
    (bytes(range(0xCE, 0xD6)), {"old": 0.37, "new": 0.37}),  # Greek and Cyrillic
    (bytes(range(0xD6, 0xE1)), {"old": 0.7, "new": 0.7}),  # Semitic and Indic scripts
    (bytes(range(0xE3, 0xF5)), {"old": 1.0, "new": 1.0}),  # wide characters; 0xE1 and 0xE2 begin signs
    (bytes(range(0x80, 0xC0)), {"old": 0.0, "new": 0.0}),  # what follows the first byte of a character
)
"""Tokens per character by the first byte of its UTF-8 form. Whatever is in no class is a mark."""


def count_text(text: str, tokenizer: Tokenizer) -> int:
    """Count the tokens of a text, at least one unless the text is empty."""
    if not text:
        return 0
    rest, tokens = text.encode(), 0.0
    for members, weights in _ASCII_WEIGHTS if text.isascii() else _ASCII_WEIGHTS + _OTHER_WEIGHTS:
        size = len(rest)
        rest = rest.translate(None, members)
        tokens += weights[tokenizer] * (size - len(rest))
    return max(1, round(tokens + _MARKS[tokenizer] * len(rest)))


class PromptPart(NamedTuple):
    """One part of a prompt: the tools, the schema, or a block of the system prompt or of a message."""

    content: Any  # without its cache breakpoint
    tokens: int
    mark: Mapping[str, Any] | None = None  # the `cache_control` of the part


def count_prompt(params: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    """Count the input tokens of valid Messages parameters: every part of the prompt, and what is put around them."""
    return around(params) + sum(part.tokens for part in prompt_parts(params, tokenizer))


def around(params: Mapping[str, Any]) -> int:
    """Count what is put around the messages."""
    return _MESSAGE_OVERHEAD + _FURTHER_MESSAGE_OVERHEAD * (len(params["messages"]) - 1)


def prompt_parts(params: Mapping[str, Any], tokenizer: Tokenizer) -> Iterator[PromptPart]:
    """Take valid parameters apart, in the order of the prompt: tools and schema are part of the system prompt."""
    if tools := params.get("tools"):
        prompt = _TOOL_PROMPT[tokenizer][forces_tool(params)]
        yield PromptPart(tools, prompt + sum(round(_TOOL_WEIGHT * _count_json(tool, tokenizer)) for tool in tools))
    output_format = (params.get("output_config") or {}).get("format")
    if output_format:
        schema = round(_SCHEMA_WEIGHT * _count_json(output_format["schema"], tokenizer))
        yield PromptPart(output_format, _SCHEMA_PROMPT[tokenizer] + schema)
    yield from _blocks(params.get("system") or "", tokenizer)
    for message in params["messages"]:
        yield PromptPart(message["role"], 0)
        yield from _blocks(message["content"], tokenizer)


def _blocks(content: str | list[dict[str, Any]], tokenizer: Tokenizer) -> Iterator[PromptPart]:
    for block in text_blocks(content):
        bare = {name: value for name, value in block.items() if name != "cache_control"}
        yield PromptPart(bare, _count_block(bare, tokenizer), block.get("cache_control"))


def _count_block(block: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    if block["type"] == "text":
        return count_text(block["text"], tokenizer)
    if seen := file_in(block):
        return seen.image_tokens(tokenizer) + count_text(seen.text, tokenizer)
    return _count_json(block, tokenizer)


def text_blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the blocks of a message or a system prompt, which may be a text alone."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _count_json(tree: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    return count_text(json.dumps(tree, ensure_ascii=False, separators=(",", ":")), tokenizer)
