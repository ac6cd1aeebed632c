"""How often which fault happens: decided from the request's body, never from the moment.

The same body, seen the same number of times, always draws the same fault: a rehearsal is repeatable whatever the order
of arrival, and a retry gets a new draw.
"""

import hashlib
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from batchrun.simulator.faults.catalogue import BATCH_FAULTS
from batchrun.simulator.faults.kinds import Call


class Profile(NamedTuple):
    """How often each fault happens, as a share of all requests; those of batches, of all calls of their kind."""

    name: str
    rates: Mapping[str, float]
    batch_rates: Mapping[str, float] = MappingProxyType({})

    def fault_at(self, chance: float, call: Call | None = None) -> str | None:
        """Return the fault that a number in [0, 1) falls on: of messages, or of a call about batches."""
        batch_rates = {name: rate for name, rate in self.batch_rates.items() if BATCH_FAULTS[name].call is call}
        for name, rate in (batch_rates if call else self.rates).items():
            chance -= rate
            if chance < 0:
                return name
        return None


_BUSY = {"rate_limited": 0.02, "overloaded": 0.01, "invalid_json": 0.01, "refused": 0.002}
_BUSY_BATCHES = {
    **dict.fromkeys(("batch_overloaded", "batch_poll_error"), 0.02),
    "batch_request_overloaded": 0.003,
    "batch_request_expired": 0.005,
}
_HOSTILE = {
    **_BUSY,
    **dict.fromkeys(("server_error", "bad_gateway", "overloaded_in_stream", "rate_limited_http_date"), 0.01),
    "ramp_limit": 0.005,
    **dict.fromkeys(("reset_before", "reset_after"), 0.01),
    "hang": 0.005,
    **dict.fromkeys(("truncated", "empty", "schema_violation"), 0.01),
    "thinking_first": 0.05,
}
_HOSTILE_BATCHES = {
    **_BUSY_BATCHES,
    "batch_rate_limited": 0.03,
    "batch_hang": 0.01,
    "batch_reset_before": 0.03,
    "batch_reset_after": 0.06,
    "batch_error_after": 0.02,
    **dict.fromkeys(("batch_list_error", "batch_cancel_error"), 0.03),
    "batch_results_cut": 0.15,
    "batch_request_errored": 0.02,
    "batch_request_expired": 0.04,
}

PROFILES: Mapping[str, Profile] = {
    "calm": Profile("calm", {}),
    "busy": Profile("busy", _BUSY, _BUSY_BATCHES),
    "hostile": Profile("hostile", _HOSTILE, _HOSTILE_BATCHES),
}


class Draw(NamedTuple):
    """The chances of one request, each a number in [0, 1)."""

    fault: float
    first_token: float
    pace: float
    thinking: float


def draw(facts: bytes, *, seed: int, seen: int) -> Draw:
    """Draw the chances that the facts decide, such as the digest of a body, when they were seen `seen` times before."""
    digest = hashlib.blake2b(facts + struct.pack("<qq", seed, seen), digest_size=32).digest()
    return Draw(*((number >> 11) / 2**53 for number in struct.unpack("<4Q", digest)))
