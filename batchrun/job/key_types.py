"""Types that several sections of the job file share."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from batchrun.job.value_errors import matching, refusal


def distinct(words: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a word that is given twice."""
    repeated = next((word for number, word in enumerate(words) if word in words[:number]), None)
    if repeated is not None:
        raise refusal(f'"{repeated}" is there already', hint="name each once")
    return words


Positive = Annotated[int, Field(ge=1, le=10**12)]
Text = Annotated[str, AfterValidator(matching(str.strip, "some text"))]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
ModelName = Annotated[str, AfterValidator(matching(re.compile(r"\S+").fullmatch, "the name of a model"))]
ModelNames = Annotated[tuple[ModelName, ...], Field(strict=False), AfterValidator(distinct)]
"""Models in the order in which they are tried."""
TierName = Literal["simple", "standard", "complex", "critical"]
FallbackReason = Literal["outage", "refused", "truncated"]
CacheMode = Literal["auto", "off", "5m", "1h"]
"""Whether the fixed beginning of the prompt is marked for the prompt cache: when that pays, never, or for how long."""
FieldNames = Annotated[tuple[Text, ...], Field(strict=False), AfterValidator(distinct)]
Share = Annotated[float, Field(ge=0, le=1)]
