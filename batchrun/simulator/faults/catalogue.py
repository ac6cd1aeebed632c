"""What can go wrong, by the names that profiles, scripts and the books use."""

from collections.abc import Iterable, Mapping

from batchrun.errors import UsageProblem
from batchrun.simulator.api_error import TOO_LARGE, ApiError, invalid_request, not_found, unauthenticated
from batchrun.simulator.faults.kinds import BatchFault, Call, Failure, Fate, Fault, HtmlPage, Listing, Spoiling, Wire

OK = "ok"  # in a script: no fault


def _rate_limit(message: str, code: str | None = None) -> ApiError:
    return ApiError(429, "rate_limit_error", message, code)


_INTERNAL = ApiError(500, "api_error", "Internal server error")
_OVERLOADED = ApiError(529, "overloaded_error", "Overloaded")
_RATE_LIMITED = _rate_limit("This request would exceed your account's rate limit. Please try again later.")
_RAMP = "This request would exceed your organization's acceleration limit."
_REACHED = "You have reached your"
_REGAIN = "You will regain access on 2026-12-01 at 00:00 UTC."
_THRESHOLD = "your organization has crossed its monthly API usage threshold, set based on your organization's API tier."
_CONTRACT = "Your organization has reached its contract spend limit."
_BALANCE = "Your credit balance is too low to access the Anthropic API."
_PLANS = "Please go to Plans & Billing to upgrade or purchase credits."
_NO_CALL = ApiError(405, "invalid_request_error", "Method Not Allowed")
_DENIED = not_found("Not Found").error
_FULL = ApiError(400, "invalid_request_error", "The storage of your organization is full.", "storage_quota_exceeded")
_PERMISSION = "Your API key does not have permission to use the specified resource."

FAILURES: Mapping[str, Failure] = {
    # Busy times: the same request works later.
    "rate_limited": _RATE_LIMITED,
    "rate_limited_http_date": _RATE_LIMITED,
    "rate_limited_without_retry_after": _rate_limit("Rate limited"),
    "ramp_limit": _rate_limit(_RAMP, "ramp_limit_exceeded"),
    "overloaded": _OVERLOADED,
    "server_error": _INTERNAL,
    "gateway_timeout": ApiError(504, "timeout_error", "Request timed out"),
    "request_timeout": ApiError(408, "timeout_error", "Request timed out"),
    "conflict": ApiError(409, "conflict_error", "The request conflicts with another request."),
    "bad_gateway": HtmlPage(502, "Bad gateway"),
    "unavailable": HtmlPage(503, "Service temporarily unavailable"),
    # Money: no request works until somebody acts.
    "spend_limit": _rate_limit(f"{_REACHED} API usage limits: {_THRESHOLD} {_REGAIN}", "enforced_spend_limit_reached"),
    "contract_spend_limit": _rate_limit(_CONTRACT, "contract_spend_limit_reached"),
    "usage_limit": invalid_request(f"{_REACHED} specified API usage limits. {_REGAIN}").error,
    "workspace_usage_limit": invalid_request(f"{_REACHED} specified workspace API usage limits. {_REGAIN}").error,
    "billing": ApiError(402, "billing_error", f"{_BALANCE} {_PLANS}"),
    # The job is wrong: no request of it works.
    "authentication": unauthenticated("API key is invalid.").error,
    "permission": ApiError(403, "permission_error", _PERMISSION),
    "unknown_model": not_found("model: simulated-unknown-model").error,
    # The request is wrong.
    "invalid_request": invalid_request("messages.0: Input does not match the expected shape.").error,
    "request_too_large": TOO_LARGE,
    # The connection breaks.
    "overloaded_in_stream": Wire.OVERLOADED_MIDWAY,
    "reset_before": Wire.RESET_BEFORE,
    "reset_after": Wire.RESET_AFTER,
    "hang": Wire.HANG,
}
FAULTS: Mapping[str, Fault] = {**FAILURES, **{spoiling.name.lower(): spoiling for spoiling in Spoiling}}
"""The faults of `/v1/messages`."""

WITH_RETRY_AFTER = ("rate_limited", "rate_limited_http_date", "ramp_limit")
"""The faults whose answer says how long to wait."""
RETRY_AFTER_DATE = "rate_limited_http_date"  # this fault's answer names a date instead of seconds


def no_fault(call: Call) -> str:
    """Return the name that lets one call of a script pass."""
    return f"batch_{call.value}_ok"


def spoiled(spoiling: Spoiling) -> str:
    """Return the name of a reply within a batch that is no good."""
    return f"batch_request_{spoiling.name.lower()}"


BATCH_FAULTS: Mapping[str, BatchFault] = {
    **{no_fault(call): BatchFault(call) for call in Call},
    # Creating fails, and there is no batch.
    "batch_hang": BatchFault(Call.CREATE, Wire.HANG, created=False),
    "batch_reset_before": BatchFault(Call.CREATE, Wire.RESET_BEFORE, created=False),
    "batch_overloaded": BatchFault(Call.CREATE, _OVERLOADED, created=False),
    "batch_rate_limited": BatchFault(Call.CREATE, _RATE_LIMITED, created=False),
    # Creating seems to fail, but the batch is there.
    "batch_hang_after": BatchFault(Call.CREATE, Wire.HANG),
    "batch_reset_after": BatchFault(Call.CREATE, Wire.RESET_AFTER),
    "batch_error_after": BatchFault(Call.CREATE, _INTERNAL),
    # The batch is created and has a hard life.
    "batch_never_ends": BatchFault(Call.CREATE, Fate.NEVER_ENDS),
    "batch_archived": BatchFault(Call.CREATE, Fate.ARCHIVED),
    # Later calls.
    **{f"batch_{call.value}_error": BatchFault(call, _INTERNAL) for call in (Call.POLL, Call.LIST, Call.CANCEL)},
    # The API denies what there is, and the list does not show what there is.
    **{
        f"batch_{call.value}_denied": BatchFault(call, _DENIED)
        for call in Call
        if call not in {Call.CREATE, Call.REQUEST}
    },
    "batch_list_missing": BatchFault(Call.LIST, _NO_CALL),
    "batch_list_empty": BatchFault(Call.LIST, Listing.EMPTY),
    "batch_list_stale": BatchFault(Call.LIST, Listing.STALE),
    "batch_results_cut": BatchFault(Call.RESULTS, Wire.RESET_AFTER),
    "batch_results_error": BatchFault(Call.RESULTS, _INTERNAL),
    # Uploads of files; the last two seem to fail, but the file is there.
    "batch_upload_error": BatchFault(Call.UPLOAD, _INTERNAL),
    "batch_upload_full": BatchFault(Call.UPLOAD, _FULL),
    "batch_upload_rate_limited": BatchFault(Call.UPLOAD, _RATE_LIMITED),
    "batch_upload_reset": BatchFault(Call.UPLOAD, Wire.RESET_AFTER),
    "batch_upload_hang": BatchFault(Call.UPLOAD, Wire.HANG),
    # Requests within a batch.
    "batch_request_errored": BatchFault(Call.REQUEST, _INTERNAL),
    "batch_request_overloaded": BatchFault(Call.REQUEST, _OVERLOADED),
    "batch_request_expired": BatchFault(Call.REQUEST, Fate.EXPIRED),
    **{spoiled(spoiling): BatchFault(Call.REQUEST, spoiling) for spoiling in Spoiling},
}
"""The faults of batches. Every call has a name for nothing at all too: `batch_create_ok`."""


def call_of(name: str) -> Call | None:
    """Return the kind of call that a fault happens to, or None if the fault is one of messages."""
    return BATCH_FAULTS[name].call if name in BATCH_FAULTS else None


def check_script(names: Iterable[object]) -> tuple[str, ...]:
    """Return the faults of a script, or refuse and list the names there are."""
    script = tuple(str(name) for name in names)
    known = (OK, *FAULTS, *BATCH_FAULTS)
    unknown = sorted({name for name in script if name not in known})
    if unknown:
        raise UsageProblem(f"unknown fault in the script: {', '.join(unknown)}", hint=f"known are: {', '.join(known)}")
    return script
