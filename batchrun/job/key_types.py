"""Types that several sections of the job file share."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticKnownError

from batchrun.escaping import escape_control
from batchrun.job.value_errors import matching, refusal, wrong_value

AUTO = "auto"
_TAG_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def auto_or_up_to(most: int, *words: str) -> PlainValidator:
    """Make the check of a number that may be left to us, or be one of some `words`."""
    known = (AUTO, *words)
    shown = ", ".join(f'"{word}"' for word in known)

    def check(value: object) -> int | str:
        if isinstance(value, str) and value in known:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_value(f"{shown} or a whole number from 1 to {most}")
        if value < 1:
            raise PydanticKnownError("greater_than_equal", {"ge": 1})
        if value > most:
            raise PydanticKnownError("less_than_equal", {"le": most})
        return value

    written = Annotated[int, Field(ge=1, le=most)] | Literal[known]  # type: ignore[valid-type]
    return PlainValidator(check, json_schema_input_type=written)


def distinct(words: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a word that is given twice."""
    repeated = next((word for number, word in enumerate(words) if word in words[:number]), None)
    if repeated is not None:
        raise refusal(f'"{repeated}" is there already', hint="name each once")
    return words


def _is_tag_value(text: str) -> bool:
    """Whether a text can be the value of a tag: what is shown of the text is the text itself."""
    return 0 < len(text) <= 100 and "=" not in text and escape_control(text) == text


def _tag_pair(text: str) -> str:
    name, _, value = text.partition("=")
    if not (_TAG_NAME.fullmatch(name) and _is_tag_value(value)):
        raise wrong_value(
            "name=value", hint='such as [budget.tags."team=legal"], for jobs with tags = { team = "legal" }'
        )
    return text


Positive = Annotated[int, Field(ge=1, le=10**12)]
Text = Annotated[str, AfterValidator(matching(re.compile(r"\S").search, "some text"))]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
ModelName = Annotated[
    str, AfterValidator(matching(re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,200}").fullmatch, "the name of a model"))
]
ModelNames = Annotated[tuple[ModelName, ...], Field(strict=False), AfterValidator(distinct)]
"""Models in the order in which they are tried."""
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled", "between_tools", "enabled"]
TierName = Literal["simple", "standard", "complex", "critical"]
FallbackReason = Literal["outage", "refused", "truncated", "budget"]
CacheMode = Literal["auto", "off", "5m", "1h"]
"""Whether the fixed beginning of the prompt is marked for the prompt cache: when that pays, never, or for how long."""
FieldNames = Annotated[tuple[Text, ...], Field(strict=False), AfterValidator(distinct)]
TagName = Annotated[
    str, AfterValidator(matching(_TAG_NAME.fullmatch, "1 to 40 of a-z, 0-9, _ and -, beginning with a letter"))
]
TagValue = Annotated[
    str, AfterValidator(matching(_is_tag_value, "1 to 100 characters without = and without invisible characters"))
]
TagPair = Annotated[str, AfterValidator(_tag_pair)]
"""A tag with its value, as `team=legal`."""
Share = Annotated[float, Field(ge=0, le=1)]
