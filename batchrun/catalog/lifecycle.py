"""Where a model is in its life, as the Models API tells it."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Lifecycle = Literal["active", "deprecated", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLife:
    """One model as the Models API tells of it, with days by UTC; None where the API does not say."""

    name: str
    """The API's own id; what was asked for may be an alias of it."""
    lifecycle: Lifecycle | None
    """`deprecated`: still answers who has used it, and is closed to others. `retired`: answers nobody."""
    deprecated: date | None
    retires: date | None
    """As scheduled now; a past day of a deprecated model means that it is overdue, not that it has happened."""
    max_input_tokens: int | None
    max_output_tokens: int | None
