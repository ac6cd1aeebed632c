"""What holders and the lease service say to each other, as JSON. Both sides check whatever they are told."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from batchrun.budget.caps import Cap
from batchrun.store.ledger.leases import Holder, Lease

MOST_BYTES = 1_000_000
"""The longest message that is read."""
LEASE_S, MARGIN_S = 3_600.0, 60.0
"""How long requests may be begun on a grant, from the question on, and how much earlier a holder stops."""
_Leases = Annotated[tuple[Lease, ...], Field(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a holder has, and what it needs."""

    holder: Holder
    host: Annotated[str, Field(max_length=300)]
    leases: _Leases


@dataclass(frozen=True, slots=True)
class Answer:
    """What the holder has now."""

    lease_s: Annotated[float, Field(ge=0, le=86_400)]
    leases: _Leases


STATEMENT, ANSWER, CAPS = TypeAdapter(Statement), TypeAdapter(Answer), TypeAdapter(tuple[Cap, ...])
