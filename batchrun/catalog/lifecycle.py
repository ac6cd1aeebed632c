"""Where a model is in its life and what it takes, according to the Models API."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Lifecycle = Literal["active", "deprecated", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCapabilities:
    """What requests a model takes, according to the Models API; None where the API does not say."""

    efforts: tuple[str, ...] | None = None
    thinking: tuple[str, ...] | None = None
    """The values of `thinking` that the model accepts."""
    structured_outputs: bool | None = None
    batch: bool | None = None
    pdf_input: bool | None = None
    image_input: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLife:
    """One model according to the Models API, with days in UTC; None where the API does not say."""

    name: str
    """The API's own id; the name that was asked for may be an alias."""
    lifecycle: Lifecycle | None
    """A `deprecated` model still answers those who have used it, and nobody else. A `retired` model answers nobody."""
    deprecated: date | None
    retires: date | None
    """The day as scheduled now. A past day of a deprecated model means that its retirement is overdue."""
    max_input_tokens: int | None
    max_output_tokens: int | None
    capabilities: ModelCapabilities = ModelCapabilities()
