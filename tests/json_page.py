"""docs/json.md as a test reads the page: the fields of every event, with their types."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from command_line import REPOSITORY

PAGE = (REPOSITORY / "batchrun" / "docs" / "json.md").read_text("utf-8")
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "integer": (int,), "number": (int, float), "true or false": (bool,), "object": (dict,),
    "list": (list,), "null": (type(None),),
}  # fmt: skip


@dataclass(frozen=True)
class Documented:
    """The type of a field, as the page says it."""

    types: tuple[type, ...]
    always: bool

    @classmethod
    def of(cls, words: str) -> "Documented":
        types = words.removesuffix(", sometimes").replace("true or false", "bool").split(" or ")
        names = [one.replace("bool", "true or false") for one in types]
        return cls(tuple(kind for name in names for kind in TYPES[name]), not words.endswith("sometimes"))

    def takes(self, value: object) -> bool:
        return isinstance(value, self.types) and not (isinstance(value, bool) and bool not in self.types)


def fields_of(section: str) -> dict[str, Documented]:
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", section, re.MULTILINE)
    return {name: Documented.of(words) for names, words in rows for name in re.findall(r"`(\w+)`", names)}


COMMON, *SECTIONS_OF_PAGE = re.split(r"^## ", PAGE, flags=re.MULTILINE)
OF_ALL = fields_of(COMMON)
EVENTS = {text.split("\n")[0]: fields_of(text) for text in SECTIONS_OF_PAGE}
OF_NOTIFY = EVENTS.pop("What [notify] sends")


def breaches(event: dict[str, Any], *, more: Mapping[str, Documented] | None = None) -> Iterator[str]:
    """What an event has that the page does not promise, or lacks."""
    own = EVENTS[event["event"]]
    known = {**(more or {}), **own, **OF_ALL}
    for name, value in event.items():
        if name not in known:
            yield f"{event['event']}.{name} is not documented"
        elif not known[name].takes(value):
            yield f"{event['event']}.{name} is {value!r}"
    yield from (
        f"{event['event']}.{name} is missing" for name, one in known.items() if one.always and name not in event
    )
