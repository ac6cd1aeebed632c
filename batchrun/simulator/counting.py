"""Token counts of the simulated models: the simulator's own, so that nobody is right by sharing a tokenizer with it.

Characters are counted by class and weighted. The weights follow measured characters per token of Claude's
tokenizers (English prose 3.3 and CSV of numbers 1.8 on the newer one) and the overheads follow recorded usage:
7 tokens around a message, and a system prompt that grows with the schema.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.simulator.models import Tokenizer

_MESSAGE_OVERHEAD = 7
_FURTHER_MESSAGE_OVERHEAD = 4
_IMAGE_TOKENS = 1_568
_PDF_BYTES_PER_TOKEN = 30
_SCHEMA_WEIGHT = 1.57  # the schema is sent to the model together with the rules to follow it

_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_BLANKS = b" \t\r"
_LATIN_LEADS = bytes(range(0xC2, 0xCE))
_GREEK_CYRILLIC_LEADS = bytes(range(0xCE, 0xD6))
_SEMITIC_LEADS = bytes(range(0xD6, 0xE0))
_INDIC_LEADS = b"\xe0"
_MARK_LEADS = b"\xe1\xe2"
_WIDE_LEADS = bytes(range(0xE3, 0xF5))
_TRAILS = bytes(range(0x80, 0xC0))


@dataclass(frozen=True, slots=True)
class _Weights:
    """Tokens per character of a class; other scripts cost the same with both tokenizers."""

    letter: float
    digit: float
    mark: float
    accented: float
    schema_prompt: int


_WEIGHTS: Mapping[Tokenizer, _Weights] = {
    "old": _Weights(letter=0.24, digit=0.5, mark=0.5, accented=0.9, schema_prompt=84),
    "new": _Weights(letter=0.345, digit=0.55, mark=0.7, accented=1.3, schema_prompt=115),
}


def count_text(text: str, tokenizer: Tokenizer) -> int:
    """Count the tokens of a text, at least one unless it is empty."""
    if not text:
        return 0
    raw = text.encode()
    weights = _WEIGHTS[tokenizer]
    letters, digits = _count(raw, _LETTERS), _count(raw, _DIGITS)
    tokens = weights.letter * letters + weights.digit * digits
    marks = len(raw) - letters - digits - _count(raw, _BLANKS)
    if not text.isascii():
        marks -= _count(raw, _LATIN_LEADS + _GREEK_CYRILLIC_LEADS + _SEMITIC_LEADS + _INDIC_LEADS + _WIDE_LEADS)
        marks -= _count(raw, _TRAILS)
        tokens += _other_scripts(raw, weights.accented)
    return max(1, round(tokens + weights.mark * marks))


def _other_scripts(raw: bytes, accented: float) -> float:
    """Count the tokens of the non-ASCII characters, told apart by the first byte of their UTF-8 form."""
    return (
        accented * _count(raw, _LATIN_LEADS)
        + 0.37 * _count(raw, _GREEK_CYRILLIC_LEADS)
        + 0.7 * _count(raw, _SEMITIC_LEADS + _INDIC_LEADS)
        + 1.0 * _count(raw, _WIDE_LEADS)
    )


def _count(raw: bytes, wanted: bytes) -> int:
    return len(raw) - len(raw.translate(None, wanted))


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a prompt: a tool, the schema, or a block of the system prompt or of a message."""

    content: Any
    """Without its mark."""
    tokens: int
    mark: Mapping[str, Any] | None = None
    """Its `cache_control`."""


def count_prompt(params: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    """Count the input tokens of valid Messages parameters: system, messages, schema, and what is put around them."""
    return around(params) + sum(piece.tokens for piece in pieces(params, tokenizer))


def around(params: Mapping[str, Any]) -> int:
    """Count what is put around the messages."""
    return _MESSAGE_OVERHEAD + _FURTHER_MESSAGE_OVERHEAD * (len(params["messages"]) - 1)


def pieces(params: Mapping[str, Any], tokenizer: Tokenizer) -> Iterator[Piece]:
    """Take valid parameters apart, in the order of the prompt: the schema is part of its system prompt."""
    for tool in params.get("tools") or ():
        yield _piece(tool, _count_tree(_unmarked(tool), tokenizer))
    output_format = (params.get("output_config") or {}).get("format")
    if output_format:
        schema = _count_tree(output_format["schema"], tokenizer)
        yield Piece(output_format, _WEIGHTS[tokenizer].schema_prompt + round(_SCHEMA_WEIGHT * schema))
    yield from _blocks(params.get("system") or "", tokenizer)
    for message in params["messages"]:
        yield Piece(message["role"], 0)
        yield from _blocks(message["content"], tokenizer)


def _blocks(content: str | list[dict[str, Any]], tokenizer: Tokenizer) -> Iterator[Piece]:
    if isinstance(content, str):
        yield Piece({"type": "text", "text": content}, count_text(content, tokenizer))
        return
    for block in content:
        yield _piece(block, _count_block(_unmarked(block), tokenizer))


def _piece(block: Mapping[str, Any], tokens: int) -> Piece:
    return Piece(_unmarked(block), tokens, block.get("cache_control"))


def _unmarked(block: Mapping[str, Any]) -> Mapping[str, Any]:
    if "cache_control" not in block:
        return block
    return {name: value for name, value in block.items() if name != "cache_control"}


def _count_block(block: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    if block["type"] == "text":
        return count_text(block["text"], tokenizer)
    if block["type"] == "image":
        return _IMAGE_TOKENS
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "base64":
        return len(str(source.get("data"))) // _PDF_BYTES_PER_TOKEN
    return _count_tree(block, tokenizer)


def _count_tree(tree: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    return count_text(json.dumps(tree, ensure_ascii=False, separators=(",", ":")), tokenizer)
