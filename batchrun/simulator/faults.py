"""What can go wrong, by name, and how often it does: decided from the request's body, never from the moment.

The same body, seen the same number of times, always draws the same fault: a rehearsal is repeatable whatever the order
of arrival, and a retry gets a new draw.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from batchrun.errors import UsageProblem
from batchrun.simulator.api_error import (
    TOO_LARGE,
    ApiError,
    invalid_request,
    not_found,
    unauthenticated,
)
from batchrun.simulator.batch_faults import BATCH_FAULTS
from batchrun.simulator.fault_kinds import Call, Fault, HtmlPage, Rejection, Spoiling, Wire

_RATE = "rate_limit_error"

FAULTS: Mapping[str, Fault] = {
    # Busy times: the same request works later.
    "rate_limited": Rejection(
        ApiError(429, _RATE, "This request would exceed your account's rate limit. Please try again later."),
        "seconds",
    ),
    "rate_limited_http_date": Rejection(
        ApiError(429, _RATE, "This request would exceed your account's rate limit. Please try again later."),
        "date",
    ),
    "rate_limited_without_retry_after": Rejection(ApiError(429, _RATE, "Rate limited")),
    "ramp_limit": Rejection(
        ApiError(
            429, _RATE, "This request would exceed your organization's acceleration limit.", "ramp_limit_exceeded"
        ),
        "seconds",
    ),
    "overloaded": Rejection(ApiError(529, "overloaded_error", "Overloaded")),
    "overloaded_in_stream": Wire.OVERLOADED_MIDWAY,
    "server_error": Rejection(ApiError(500, "api_error", "Internal server error")),
    "bad_gateway": HtmlPage(502, "Bad gateway"),
    "unavailable": HtmlPage(503, "Service temporarily unavailable"),
    "gateway_timeout": Rejection(ApiError(504, "timeout_error", "Request timed out")),
    "request_timeout": Rejection(ApiError(408, "timeout_error", "Request timed out")),
    "conflict": Rejection(ApiError(409, "conflict_error", "The request conflicts with another request.")),
    # Money: no request works until somebody acts.
    "spend_limit": Rejection(
        ApiError(
            429,
            _RATE,
            "You have reached your API usage limits: your organization has crossed its monthly API usage threshold, "
            "set based on your organization's API tier. You will regain access on 2026-12-01 at 00:00 UTC.",
            "enforced_spend_limit_reached",
        )
    ),
    "contract_spend_limit": Rejection(
        ApiError(429, _RATE, "Your organization has reached its contract spend limit.", "contract_spend_limit_reached")
    ),
    "usage_limit": Rejection(
        invalid_request(
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
        )
    ),
    "workspace_usage_limit": Rejection(
        invalid_request(
            "You have reached your specified workspace API usage limits. "
            "You will regain access on 2026-12-01 at 00:00 UTC."
        )
    ),
    "billing": Rejection(
        ApiError(
            402,
            "billing_error",
            "Your credit balance is too low to access the Anthropic API. "
            "Please go to Plans & Billing to upgrade or purchase credits.",
        )
    ),
    # The job is wrong: no request of it works.
    "authentication": Rejection(unauthenticated("API key is invalid.")),
    "permission": Rejection(
        ApiError(403, "permission_error", "Your API key does not have permission to use the specified resource.")
    ),
    "unknown_model": Rejection(not_found("model: simulated-unknown-model")),
    # The request is wrong.
    "invalid_request": Rejection(invalid_request("messages.0: Input does not match the expected shape.")),
    "request_too_large": Rejection(TOO_LARGE),
    # The connection.
    "reset_before": Wire.RESET_BEFORE,
    "reset_after": Wire.RESET_AFTER,
    "hang": Wire.HANG,
    # The answer.
    "invalid_json": Spoiling.INVALID_JSON,
    "schema_violation": Spoiling.SCHEMA_VIOLATION,
    "truncated": Spoiling.TRUNCATED,
    "refused": Spoiling.REFUSED,
    "empty": Spoiling.EMPTY,
    "window_exceeded": Spoiling.WINDOW_EXCEEDED,
    "thinking_first": Spoiling.THINKING_FIRST,
}
"""Every fault of `/v1/messages` by the name that profiles, scripts and the books use."""

OK = "ok"
"""In a script: no fault."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How often each fault happens, as a share of all requests; those of batches, of all calls of their kind."""

    name: str
    rates: Mapping[str, float]
    batch_rates: Mapping[str, float] = field(default_factory=dict)

    def fault_at(self, chance: float) -> str | None:
        """Return the fault that a number in [0, 1) falls on."""
        return _fault_at(self.rates, chance)

    def batch_fault_at(self, call: Call, chance: float) -> str | None:
        """Return the fault of batches that a number in [0, 1) falls on."""
        rates = {name: rate for name, rate in self.batch_rates.items() if BATCH_FAULTS[name].call is call}
        return _fault_at(rates, chance)


def _fault_at(rates: Mapping[str, float], chance: float) -> str | None:
    for name, rate in rates.items():
        chance -= rate
        if chance < 0:
            return name
    return None


_BUSY = {"rate_limited": 0.02, "overloaded": 0.01, "invalid_json": 0.01, "refused": 0.002}
_BUSY_BATCHES = {
    "batch_overloaded": 0.02,
    "batch_poll_error": 0.02,
    "batch_request_overloaded": 0.003,
    "batch_request_expired": 0.005,
}

PROFILES: Mapping[str, Profile] = {
    "calm": Profile("calm", {}),
    "busy": Profile("busy", _BUSY, _BUSY_BATCHES),
    "hostile": Profile(
        "hostile",
        {
            **_BUSY,
            "server_error": 0.01,
            "bad_gateway": 0.01,
            "overloaded_in_stream": 0.01,
            "rate_limited_http_date": 0.01,
            "ramp_limit": 0.005,
            "reset_before": 0.01,
            "reset_after": 0.01,
            "hang": 0.005,
            "truncated": 0.01,
            "empty": 0.01,
            "schema_violation": 0.01,
            "thinking_first": 0.05,
        },
        {
            **_BUSY_BATCHES,
            "batch_rate_limited": 0.03,
            "batch_hang": 0.01,
            "batch_reset_before": 0.03,
            "batch_reset_after": 0.06,
            "batch_error_after": 0.02,
            "batch_list_error": 0.03,
            "batch_cancel_error": 0.03,
            "batch_results_cut": 0.15,
            "batch_request_errored": 0.02,
            "batch_request_expired": 0.04,
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Draw:
    """The chances of one request, each a number in [0, 1)."""

    fault: float
    first_token: float
    pace: float
    thinking: float


def draw(body_sha: bytes, *, seed: int, seen: int) -> Draw:
    """Draw the chances of a body that was seen this many times before."""
    return Draw(*four_chances(body_sha, seed=seed, seen=seen))


def four_chances(facts: bytes, *, seed: int, seen: int) -> tuple[float, float, float, float]:
    """Draw four numbers in [0, 1) that the facts decide."""
    digest = hashlib.blake2b(facts + struct.pack("<qq", seed, seen), digest_size=32).digest()
    one, two, three, four = ((number >> 11) / 2**53 for number in struct.unpack("<4Q", digest))
    return one, two, three, four


def check_script(names: Iterable[object]) -> tuple[str, ...]:
    """Return the faults of a script, or refuse and list the names there are."""
    script = tuple(str(name) for name in names)
    known = (OK, *FAULTS, *BATCH_FAULTS)
    unknown = sorted({name for name in script if name not in known})
    if unknown:
        raise UsageProblem(f"unknown fault in the script: {', '.join(unknown)}", hint=f"known are: {', '.join(known)}")
    return script
