"""The JSON of a reply: numbers as they are written, each name once, and no half of a character."""

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

_SHOWN_CHARACTERS = 80
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\r?\n(.*)\r?\n[ \t]*```\s*", re.DOTALL | re.IGNORECASE)
_FENCE_BEGINS = re.compile(r"```[A-Za-z0-9]{0,20}\s*+")
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]++|\\.?)*+"?|[\[{,]\s*+,)|,(?=\s*+[\]}])', re.DOTALL)
"""Strings, and commas without a value before them, are matched by the group, so that they stay."""


class UnusableError(ValueError):
    """The text of a reply is not JSON, or has a value that no column can hold."""


def parsed(text: str) -> Any:
    """Parse the JSON of a reply. Numbers are int and Decimal, as they are written. Raises UnusableError."""
    if not text.strip():
        raise UnusableError("the reply has no text")
    fenced = _FENCE.fullmatch(text)
    body, begins = (fenced[1], fenced.start(1)) if fenced else (text, 0)
    try:
        value = _DECODER.decode(body)
    except json.JSONDecodeError as error:
        place, near = begins + error.pos, body[error.pos : error.pos + _SHOWN_CHARACTERS]
        found = shown(near) if near else "the end"
        raise UnusableError(
            f"not JSON: {error.msg.lower().removesuffix(' at')} at character {place}, found {found}"
        ) from error
    if not text.isascii() or "\\u" in text:
        refuse_half_characters(value)
    return value


def without_stray_marks(text: str) -> str:
    """Take code fences off the ends of a reply, whole or halved, and commas from before closing brackets."""
    body = text.strip().removesuffix("```").rstrip()
    begins = _FENCE_BEGINS.match(body)
    return _TRAILING_COMMA.sub(r"\1", body[begins.end() :] if begins else body)


def refuse_half_characters(value: Any) -> None:
    """Refuse a value with a lone surrogate in one of its texts. Raises UnusableError."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise UnusableError("the reply holds half a surrogate pair, which is no character") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in fields if times[name] > 1)
        raise UnusableError(f"{shown(twice)} appears twice")
    return fields


def exact(digits: str) -> int | Decimal:
    """Read a number as it is written. What the number becomes depends on the field, which is not known yet."""
    if not isfinite(float(digits)):
        raise UnusableError(f"{cut(digits)} is too large a number")
    try:
        return int(digits) if digits.lstrip("-").isdecimal() else Decimal(digits)
    except InvalidOperation:
        raise UnusableError(f"{cut(digits)} has too large an exponent") from None


def _no_constant(name: str) -> float:
    raise UnusableError(f"not JSON: {name} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_int=exact, parse_float=exact, parse_constant=_no_constant
)


def shown(value: object) -> str:
    """Quote a value of a reply, cut to some length, with control characters escaped."""
    return repr(cut(value)) if isinstance(value, str) else cut(json.dumps(value))


def cut(text: str, most: int = _SHOWN_CHARACTERS) -> str:
    """Cut a text to so many characters, the mark of the cut among them."""
    return text if len(text) <= most else text[: most - 1] + "…"
