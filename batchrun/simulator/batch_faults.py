"""What can go wrong with Message Batches, by name. Every call has a name for nothing at all too: `batch_create_ok`."""

from collections.abc import Mapping

from batchrun.simulator.api_error import ApiError
from batchrun.simulator.fault_kinds import BatchFault, Call, Spoiling

_INTERNAL = ApiError(500, "api_error", "Internal server error")
_OVERLOADED = ApiError(529, "overloaded_error", "Overloaded")
_RATE_LIMITED = ApiError(
    429, "rate_limit_error", "This request would exceed your account's rate limit. Please try again later."
)


def no_fault(call: Call) -> str:
    """Return the name that lets one call of a script pass."""
    return f"batch_{call.value}_ok"


def spoiled(spoiling: Spoiling) -> str:
    """Return the name of an answer of a batch that is no good."""
    return f"batch_request_{spoiling.name.lower()}"


BATCH_FAULTS: Mapping[str, BatchFault] = {
    **{no_fault(call): BatchFault(call=call) for call in Call},
    # Creating fails, and there is no batch.
    "batch_hang": BatchFault(call=Call.CREATE, cut="hang", created=False),
    "batch_reset_before": BatchFault(call=Call.CREATE, cut="reset", created=False),
    "batch_overloaded": BatchFault(call=Call.CREATE, error=_OVERLOADED, created=False),
    "batch_rate_limited": BatchFault(call=Call.CREATE, error=_RATE_LIMITED, created=False),
    # Creating seems to fail, but the batch is there.
    "batch_hang_after": BatchFault(call=Call.CREATE, cut="hang"),
    "batch_reset_after": BatchFault(call=Call.CREATE, cut="reset"),
    "batch_error_after": BatchFault(call=Call.CREATE, error=_INTERNAL),
    # The batch is created and has a hard life.
    "batch_never_ends": BatchFault(call=Call.CREATE, never_ends=True),
    "batch_archived": BatchFault(call=Call.CREATE, archived=True),
    # Later calls.
    "batch_poll_error": BatchFault(call=Call.POLL, error=_INTERNAL),
    "batch_list_error": BatchFault(call=Call.LIST, error=_INTERNAL),
    "batch_cancel_error": BatchFault(call=Call.CANCEL, error=_INTERNAL),
    "batch_results_cut": BatchFault(call=Call.RESULTS, cut="reset"),
    "batch_results_error": BatchFault(call=Call.RESULTS, error=_INTERNAL),
    # Requests within a batch.
    "batch_request_errored": BatchFault(call=Call.REQUEST, error=_INTERNAL),
    "batch_request_overloaded": BatchFault(call=Call.REQUEST, error=_OVERLOADED),
    "batch_request_expired": BatchFault(call=Call.REQUEST, expires=True),
    **{spoiled(spoiling): BatchFault(call=Call.REQUEST, spoiling=spoiling) for spoiling in Spoiling},
}
"""Every fault of batches by the name that profiles, scripts and the books use."""
