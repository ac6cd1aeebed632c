"""Times at which nothing is answered as it should be, and other clients of the same key: what a run has to live with.

All times count from the first request, in simulated seconds.
"""

from typing import Literal, NamedTuple

Kind = Literal["overloaded", "unavailable", "reset", "hang"]  # a 529, a page with 503, a broken connection, silence


class Outage(NamedTuple):
    """A window in which every valid message meets the same fault. What was let in before is answered."""

    from_s: float
    until_s: float
    kind: Kind = "overloaded"
    model: str | None = None  # whose requests are struck; None means all models

    @property
    def fault(self) -> str:
        """The name of the fault that every request meets."""
        return "reset_before" if self.kind == "reset" else self.kind

    def strikes(self, elapsed_s: float, model: str) -> bool:
        """Return whether a request for the model meets the outage."""
        return self.from_s <= elapsed_s < self.until_s and self.model in {None, model}


class OtherClient(NamedTuple):
    """Someone else on the same key, who takes a share of each limit all the time, as far as it is there."""

    share: float  # of what comes back in a minute: 0 to below 1
    from_s: float = 0.0


NOBODY = OtherClient(share=0.0)
