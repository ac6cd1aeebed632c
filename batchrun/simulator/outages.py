"""Times at which nothing is answered as it should be, and other clients of the same key: what a run has to live with.

All of it counts from the first request, in simulated seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["overloaded", "unavailable", "reset", "hang"]

FAULT_OF: Mapping[Kind, str] = {
    "overloaded": "overloaded",
    "unavailable": "unavailable",
    "reset": "reset_before",
    "hang": "hang",
}
"""Kinds of outages by the fault that every request meets: a 529, a page with 503, a broken connection, silence."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A window in which every valid message meets the same fault. What was let in before is answered."""

    from_s: float
    until_s: float
    kind: Kind = "overloaded"
    model: str | None = None
    """Only requests that name it; None: all."""

    def strikes(self, elapsed_s: float, model: str) -> bool:
        """Whether a request for the model meets it."""
        return self.from_s <= elapsed_s < self.until_s and self.model in {None, model}


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherClient:
    """Someone else on the same key, who takes a share of each limit all the time, as far as it is there."""

    share: float
    """Of what comes back in a minute: 0 to below 1."""
    from_s: float = 0.0
