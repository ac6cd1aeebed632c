"""Finds API keys, which never belong in a job file, and keeps them out of everything shown."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from batchrun.job.toml_positions import KeyPath, Span

_NAMED = r"(?:api[_-]?key|auth[_-]?token|secret)"
NAMES_A_VARIABLE = "api_key_env"
"""The key that names the variable which has the key, and has none itself."""
_NAME = re.compile(_NAMED, re.IGNORECASE)
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
"""What the name of such a variable looks like: no key has capital letters only."""
_NAME_AT_PROVIDER = re.compile(r"authorization|cookie|api[_-]?key|token|secret|password|credential", re.IGNORECASE)
"""What the keys and headers of a provider have in their names that carry credentials."""
_PROVIDERS = {"provider", "providers"}
_OF_EXAMPLE = (("output",), ("columns",))
_API_KEY = re.compile(r"sk-ant-[\w-]+")
_ASSIGNED = re.compile(rf"{_NAMED}[\w\"'-]*[ \t]*[=:][ \t]*(?P<value>[^\n]*)", re.IGNORECASE)


def find_credentials(values: Any, *, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the place of each value that is, or is named like, an API key. Fields and columns may have any name."""
    if isinstance(values, dict):
        for name, value in values.items():
            if not isinstance(value, dict) and not _has_any_names(path) and _is_of_a_key(path, str(name), value):
                yield (*path, name)
            else:
                yield from find_credentials(value, path=(*path, name))
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from find_credentials(value, path=(*path, number))
    elif isinstance(values, str) and values.strip().startswith("sk-ant-"):
        yield path


def is_at_provider(path: KeyPath) -> bool:
    """Whether a place is in [provider] or [providers]."""
    return bool(path) and path[0] in _PROVIDERS


def _is_of_a_key(path: KeyPath, name: str, value: object) -> bool:
    if not is_at_provider(path):
        return _NAME.search(name) is not None
    if name == NAMES_A_VARIABLE:
        return isinstance(value, str) and VARIABLE.fullmatch(value) is None
    has_password = name == "base_url" and re.search("@|key=|token=", str(value)) is not None
    return has_password or _NAME_AT_PROVIDER.search(name) is not None


def _has_any_names(path: KeyPath) -> bool:
    """Whether a person chose the names of a table: of fields, of an example's answer, of columns, of models."""
    if is_at_provider(path):
        return path[-1] == "models"
    return path[:2] == ("output", "fields") or (path[:2] == ("prompt", "example") and path[3:4] in _OF_EXAMPLE)


def masked(text: str, spans: Iterable[Span] = ()) -> str:
    """Star out these places of the text and everything like an API key; the length of the text stays the same."""
    for span in [*spans, *(Span(*found.span()) for found in _API_KEY.finditer(text))]:
        stars = re.sub(r"[^\n]", "*", text[span.start : span.end])
        text = text[: span.start] + stars + text[span.end :]
    return text


def masked_unread(text: str) -> str:
    """Star out whatever is assigned to a name like a key, in a text that could not be read as TOML."""
    return masked(text, [Span(*found.span("value")) for found in _ASSIGNED.finditer(text)])
