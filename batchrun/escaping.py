"""Text that somebody else wrote (documents, replies, file names, the API's words), made inert wherever it is shown."""

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any
from unicodedata import category, combining, east_asian_width

_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
"""Control characters (line breaks and tabs too), invisible characters and the marks that turn the direction of writing,
lone halves of characters, which no file can hold, characters that mean nothing here or only in private, tags among
them, and the separators that Unicode treats as line breaks."""
SHOWN_COLUMNS = 100
"""How many columns of a path a person can use in a line that says more."""
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
"""Letters and marks that Unicode shows as nothing: fillers and variation selectors, in which a text can hide a text."""
_BEYOND_ASCII = re.compile("[^\x00-\x7e]+")
_EMOJI = re.compile("(?<=[0-9#*\u00a9\u00ae\u2000-\u33ff\U0001f000-\U0001faff])\ufe0f")
"""The one selector that ordinary texts have: behind a symbol it asks for the coloured picture, and hides nothing."""


def escape_control(text: object) -> str:
    """Return the text on one line, unable to command a terminal: each active character is written as an escape."""
    shown = str(text)
    if shown.isprintable() and not _UNSEEN.search(shown):  # nearly always, and found out much sooner
        return shown
    return "\ufe0f".join(map(_escape_all, _EMOJI.split(shown)))


def _escape_all(text: str) -> str:
    return "".join(map(_escaped_if_active, text))


def _escaped_if_active(character: str) -> str:
    return _escaped(character) if category(character) in _ACTIVE or _UNSEEN.match(character) else character


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def readable_json(value: Any, *, indent: int | None = None, default: Callable[[Any], object] = str) -> str:
    """Return a value as JSON that people can read: umlauts are umlauts, and what is active is escaped as in JSON.

    `default` makes values of what is no JSON.
    """
    text = json.dumps(value, ensure_ascii=False, default=default, indent=indent)
    return _BEYOND_ASCII.sub(_escaped_for_json, text)


def _escaped_for_json(found: re.Match[str]) -> str:
    if found[0].isprintable() and not _UNSEEN.search(found[0]):
        return found[0]
    return "".join(one if _escaped_if_active(one) == one else json.dumps(one)[1:-1] for one in found[0])


def shown_path(text: object, width: int = SHOWN_COLUMNS) -> str:
    """Return a path on one line, as `escape_control` does. A long path loses its middle: its ends tell the most."""
    shown = escape_control(text)
    if len(shown) <= width // 2 or columns_of(shown) <= width:
        return shown
    half = (width - 1) // 2
    return f"{_first(shown, width - 1 - half)}…{_first(shown[::-1], half)[::-1]}"


def _first(text: str, width: int) -> str:
    """Return as much of the beginning of a text as fits into so many columns."""
    ends = accumulate(map(columns_of, text[: width + 1]))
    return text[: bisect_right(list(ends), width)]


def columns_of(text: str) -> int:
    """Count the columns that a terminal needs for the text."""
    return sum(0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1 for character in text)


def well_formed(text: str) -> str:
    """Replace lone halves of characters (surrogates): JSON can write them, but no server takes them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
