"""What the error types, codes and words of the API mean. No other module knows them.

Statuses are decided in `execution/retry_policy.py`; a code or a type says more than the status it comes with.
"""

from batchrun.escaping import escape_control
from batchrun.reply import Cause, Failure

STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that the same error has as the answer of a call; a line of results has only the type."""
SPEND_STOP_CODES = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached", "organization_on_hold"})
# A limit the customer set has no code; the start of the message is the only sign (Anthropic docs, rate limits).
SPEND_STOP_MESSAGES = ("you have reached your specified", "your credit balance is too low")
RAMP_LIMIT = "ramp_limit_exceeded"
ACCOUNT_CODES = ("workspace_", "organization_", "cmek_")
"""How the codes begin by which the settings of a workspace, an organisation or its encryption key refuse a request."""
OUTCOME_UNKNOWN = "change_outcome_unknown"


def is_spend_stop(failure: Failure) -> bool:
    """Whether the account may not spend: by code where there is one, else by status, else by how the message begins."""
    if failure.error_code is not None:
        return failure.error_code in SPEND_STOP_CODES or failure.status == 402
    return failure.status == 402 or (
        failure.status in {400, 403} and failure.message.lower().startswith(SPEND_STOP_MESSAGES)
    )


def is_account_refusal(failure: Failure) -> bool:
    """Whether the account's settings refuse the request, as they would any other; a spend stop is another matter."""
    return (
        failure.status in {400, 403}
        and (failure.error_code or "").startswith(ACCOUNT_CODES)
        and not is_spend_stop(failure)
    )


def is_outcome_unknown(failure: Failure) -> bool:
    """Whether the API itself says that it does not know what became of the call."""
    return failure.error_code == OUTCOME_UNKNOWN


def is_ramp_limit(failure: Failure) -> bool:
    """Whether the API refuses how fast the usage grows, and not how large the usage is."""
    return failure.error_code == RAMP_LIMIT


def is_overloaded(failure: Failure) -> bool:
    """Whether the API did not get to the request; inside a stream that has begun, the type alone says so."""
    return failure.error_type == "overloaded_error"


def is_proxy_refusal(failure: Failure) -> bool:
    """Whether a proxy on the way asks for a user and a password."""
    return failure.status == 407


def is_proxy_down(status: int) -> bool:
    """Whether a proxy that refuses to connect may connect later. Any other refusal is of its settings, or of ours."""
    return status in {408, 429} or status >= 500


def is_not_found(failure: Failure) -> bool:
    """Whether the API does not know the model, the batch or the endpoint that was named."""
    return failure.status == 404


def is_unknown_model(failure: Failure, name: str) -> bool:
    """Whether the API does not know the model. A gateway that lacks the Models API names the path, if anything."""
    return (
        is_not_found(failure)
        and failure.error_type == "not_found_error"
        and escape_control(name)[:100] in failure.message
    )


def is_missing(failure: Failure) -> bool:
    """Whether the address lacks what was asked for, as a gateway may lack the free services of the API."""
    lacks = failure.status in {404, 405, 501} and failure.error_code is None
    return lacks or failure.cause is Cause.MALFORMED
