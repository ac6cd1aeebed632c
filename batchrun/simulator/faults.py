"""What can go wrong, by name, and how often it does: decided from the request's body, never from the moment.

The same body, seen the same number of times, always draws the same fault: a rehearsal is repeatable whatever the order
of arrival, and a retry gets a new draw.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from batchrun.errors import UsageProblem
from batchrun.simulator.api_error import (
    TOO_LARGE,
    ApiError,
    invalid_request,
    not_found,
    unauthenticated,
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The API answers with an error; nothing is produced or billed."""

    error: ApiError
    retry_after: Literal["seconds", "date"] | None = None


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Something in front of the API answers with a page."""

    status: int
    title: str


class Wire(Enum):
    """The connection misbehaves."""

    RESET_BEFORE = "cut before anything was produced: not billed"
    RESET_AFTER = "cut when the answer was produced and billed, before a byte of it was sent"
    HANG = "no answer until the client gives up: not billed"
    OVERLOADED_MIDWAY = "an error event within a stream that began with 200; without a stream the same as overloaded"


class Spoiling(Enum):
    """The API answers with 200 and bills, but the answer is no good."""

    INVALID_JSON = "text that is not JSON"
    SCHEMA_VIOLATION = "JSON that does not follow the schema"
    TRUNCATED = "stop_reason max_tokens in the middle of the answer"
    REFUSED = "stop_reason refusal and no content"
    EMPTY = "no content"
    WINDOW_EXCEEDED = "stop_reason model_context_window_exceeded"
    THINKING_FIRST = "a good answer behind a thinking block, whatever the model"


Fault = Rejection | HtmlPage | Wire | Spoiling

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
"""Every fault by the name that profiles, scripts and the books use."""

OK = "ok"
"""In a script: no fault."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How often each fault happens, as a share of all requests."""

    name: str
    rates: Mapping[str, float]

    def fault_at(self, chance: float) -> str | None:
        """Return the fault that a number in [0, 1) falls on."""
        for name, rate in self.rates.items():
            chance -= rate
            if chance < 0:
                return name
        return None


_BUSY = {"rate_limited": 0.02, "overloaded": 0.01, "invalid_json": 0.01, "refused": 0.002}

PROFILES: Mapping[str, Profile] = {
    "calm": Profile("calm", {}),
    "busy": Profile("busy", _BUSY),
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
    digest = hashlib.blake2b(body_sha + struct.pack("<qq", seed, seen), digest_size=32).digest()
    return Draw(*((number >> 11) / 2**53 for number in struct.unpack("<4Q", digest)))


def check_script(names: Iterable[object]) -> tuple[str, ...]:
    """Return the faults of a script, or refuse and list the names there are."""
    script = tuple(str(name) for name in names)
    unknown = sorted({name for name in script if name != OK and name not in FAULTS})
    if unknown:
        raise UsageProblem(
            f"unknown fault in the script: {', '.join(unknown)}", hint=f"known are: {', '.join((OK, *FAULTS))}"
        )
    return script
