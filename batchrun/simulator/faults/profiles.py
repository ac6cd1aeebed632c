"""How often which fault happens: decided from the request's body, never from the moment.

The same body, seen the same number of times, always draws the same fault: a rehearsal is repeatable whatever the order
of arrival, and a retry gets a new draw.
"""

import hashlib
import struct
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from batchrun.simulator.faults.catalogue import call_of, check_script
from batchrun.simulator.faults.kinds import Call


class Profile(NamedTuple):
    """How often each fault happens.

    The rate of a fault of messages is a share of all messages; the rate of a fault of batches is a share of all calls
    of the fault's kind.
    """

    rates: Mapping[str, float]

    def fault_at(self, chance: float, call: Call | None = None) -> str | None:
        """Return the fault that a number in [0, 1) falls on: of messages, or of a call about batches."""
        for name, rate in self.rates.items():
            if call_of(name) is call:
                chance -= rate
                if chance < 0:
                    return name
        return None


class FaultChoice:
    """Chooses faults: those of the scripts come first, and each kind of call has a script of its own."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._scripts: Mapping[Call | None, deque[str]] = {call: deque() for call in (None, *Call)}

    def extend_script(self, names: Iterable[object]) -> int:
        """Apply faults to the next valid messages, or to the next calls, one each; return how many wait."""
        for name in check_script(names):
            self._scripts[call_of(name)].append(name)
        return sum(map(len, self._scripts.values()))

    def next_name(self, chance: float, call: Call | None = None) -> str | None:
        """Return the fault of the next message or call; without a script, `chance` in [0, 1) decides."""
        script = self._scripts[call]
        return script.popleft() if script else self.profile.fault_at(chance, call)


_BUSY = {
    "rate_limited": 0.02,
    "overloaded": 0.01,
    "invalid_json": 0.01,
    "refused": 0.002,
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
    "calm": Profile({}),
    "busy": Profile(_BUSY),
    "hostile": Profile(_HOSTILE),
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
