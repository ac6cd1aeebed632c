"""What holders and the lease service say to each other, as JSON. Both sides check whatever they are told."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from batchrun.budget.caps import Cap, Of, Origin, Per
from batchrun.store.ledger.leases import Holder, Lease, Quantity

MOST_BYTES = 1_000_000
"""The longest message that is read."""
LEASE_S = 3_600.0
"""How long requests may be begun on a grant, from the holder's last question on."""
MARGIN_S = 60.0
"""How much earlier a holder stops, whose clock may be put right meanwhile."""
_Text = Annotated[str, Field(max_length=500)]
_Leases = Annotated[tuple[Lease, ...], Field(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a holder has and needs."""

    holder: Holder
    host: _Text
    leases: _Leases


@dataclass(frozen=True, slots=True)
class Answer:
    """What the holder has now, of the caps that the service keeps."""

    lease_s: Annotated[float, Field(ge=0, le=86_400)]
    leases: _Leases


@dataclass(frozen=True, slots=True)
class SharedCap:
    """A cap that the service keeps, with what it has left in the present day or month."""

    per: Per
    of: Of
    key: _Text
    limit: Quantity
    left: Quantity
    model: _Text | None = None
    tag: _Text | None = None

    @property
    def cap(self) -> Cap:
        """The cap, for the ledger of a holder."""
        return Cap(self.per, self.limit, self.key, Origin.LEASES, self.model, self.of, self.tag, self.left)


STATEMENT, ANSWER = TypeAdapter(Statement), TypeAdapter(Answer)
CAPS = TypeAdapter(Annotated[tuple[SharedCap, ...], Field(max_length=1000)])
