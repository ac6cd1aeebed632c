"""What the error types, codes and words of the API mean. No other module knows them.

Statuses are decided in `execution/retry_policy.py`; a code or a type says more than the status it comes with.
"""

import re

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
SPEND_STOPS = frozenset({
    "enforced_spend_limit_reached", "contract_spend_limit_reached", "organization_on_hold",
    # The rest is documented by gateways and by the APIs that they imitate: LiteLLM, LangWatch, Glean, OpenAI.
    "budget_exceeded", "key_budget_exceeded", "spend_limit_exceeded", "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded", "credit_balance_exhausted", "insufficient_quota", "billing_hard_limit_reached",
    "billing_not_active",
})  # fmt: skip
"""The types and codes by which the API or a gateway refuses to spend, whatever the status is."""
SPEND_STOP_STATUSES = frozenset({402, 412})
"""402 is the API's own; Portkey answers 412 when a budget is used up."""
# These have neither type nor code, in some versions at least, and the start of the message is the only sign.
SPEND_STOP_MESSAGES = (
    "you have reached your specified", "your credit balance is too low",  # a limit that the customer has set
    "budget has been exceeded!", "exceededbudget:", "exceeded budget for", "max budget limit reached",
    "no deployments available - crossed budget",  # LiteLLM, these five
    "key limit exceeded (",  # OpenRouter
)  # fmt: skip
GATEWAY_PREFIX = re.compile(
    r"(?:(?:litellm\.)?\w{1,60}(?:error|exception)(?:: | - )|authentication error, )*"
    r'(?:b?\'?\{"type": ?"error", ?"error": ?\{"type": ?"\w{1,60}", ?"message": ?")?'
)
"""What LiteLLM puts before a message, its own or the API's."""
DOCUMENT_MESSAGES = (
    "prompt is too long", "input length and `max_tokens` exceed",
    "input is too long for requested model",  # Bedrock
    "this model's maximum context length is",  # OpenAI, vLLM, llama-cpp-python
)  # fmt: skip
"""How messages of status 400 begin that speak of the length of this one request."""
DOCUMENT_NAMES = frozenset({"context_length_exceeded", "exceed_context_size_error", "image_dimensions_too_large"})
"""The types and codes of the same: OpenAI's, and llama.cpp's. The last code is the API's own for too many pixels."""
LITELLM_TOO_LONG = "litellm.contextwindowexceedederror: "
CONTENT_MESSAGES = ("output blocked by content filtering", "content policy violation")
CONTENT_TYPES = frozenset(
    {"content_filter", "content_policy_violation", "contentpolicyviolationerror", "invalid_prompt"}
)
"""How the API, OpenAI and gateways say that they do not like the words of this one request."""
MODEL_FAILURES = frozenset({"ModelErrorException", "ModelStreamErrorException"})
RAMP_LIMIT = "ramp_limit_exceeded"
FILE_EXPIRED = "file_expired"
NO_FILE = re.compile(r"(messages\.\S+ )?files? (not found|has expired)")
FILE_ID = re.compile(r"\bfile_[A-Za-z0-9]{16,}")
"""What messages have in them that speak of an uploaded file."""
ACCOUNT_CODES = ("workspace_", "organization_", "cmek_")
"""How the codes begin by which the settings of a workspace, an organisation or its encryption key refuse a request."""
OUTCOME_UNKNOWN = "change_outcome_unknown"
LOST_ANSWERS = frozenset({408, 502, 504, 520, 524})
"""The statuses by which a gateway, or the API itself, says that it took a request and brings no answer to it.

The last two are a content delivery network's. A 503 and a 529 say that the request was not taken.
"""


def is_spend_stop(failure: Failure) -> bool:
    """Whether the account may not spend: by type, code or status; without a code also by how the message begins.

    Only the beginning counts, because a message may quote the document.
    """
    if _names(failure) & SPEND_STOPS or failure.status in SPEND_STOP_STATUSES:
        return True
    return failure.error_code is None and _is_refusal(failure) and _said(failure).startswith(SPEND_STOP_MESSAGES)


def is_too_long(failure: Failure) -> bool:
    """Whether the API refuses the length of the one request, by a status that says less."""
    return _is_refusal(failure) and (
        bool(_names(failure) & DOCUMENT_NAMES)
        or _said(failure).startswith(DOCUMENT_MESSAGES)
        or failure.message.lower().startswith(LITELLM_TOO_LONG)
    )


def is_of_content(failure: Failure) -> bool:
    """Whether the words of the one request are refused, and not the request's form or its sender."""
    return bool(_names(failure) & CONTENT_TYPES) or _said(failure).startswith(CONTENT_MESSAGES)


def _names(failure: Failure) -> set[str]:
    return {name.lower() for name in (failure.error_type, failure.error_code) if name}


def _is_refusal(failure: Failure) -> bool:
    return failure.status is not None and 400 <= failure.status < 500


def _said(failure: Failure) -> str:
    """Return the message in small letters, without what a gateway puts in front."""
    message = failure.message.lower()
    prefix = GATEWAY_PREFIX.match(message)
    return message[prefix.end() :] if prefix else message


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


def is_answer_lost(failure: Failure) -> bool:
    """Whether the request was taken, and may have been answered and billed all the same."""
    return is_outcome_unknown(failure) or (failure.status in LOST_ANSWERS and not is_overloaded(failure))


def is_bad_key(failure: Failure) -> bool:
    """Whether the credentials are refused. Amazon says so with the status 403."""
    return failure.error_type == "authentication_error"


def is_model_failure(failure: Failure) -> bool:
    """Whether the model failed at a request that was taken. Amazon says so with the status 424."""
    return failure.error_code in MODEL_FAILURES


def is_rate_limit(failure: Failure) -> bool:
    """Whether the API asks to be asked later. Amazon says so of a used-up quota with the status 400."""
    return failure.error_type == "rate_limit_error"


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


def is_file_gone(failure: Failure) -> bool:
    """Whether an uploaded file that a request names has expired, was deleted, or is of another workspace."""
    if failure.error_code == FILE_EXPIRED:
        return True
    return failure.status in {400, 404} and bool(NO_FILE.match(_said(failure)) or FILE_ID.search(failure.message))


def is_unknown_model(failure: Failure, name: str) -> bool:
    """Whether the API does not know the model. A gateway that lacks the Models API names the path, if anything."""
    return (
        is_not_found(failure)
        and failure.error_type == "not_found_error"
        and escape_control(name)[:100] in failure.message
    )


def is_absence(failure: Failure) -> bool:
    """Whether the API denies that there is such a thing, or such a call. After a good answer this is doubt."""
    return failure.status in {404, 405, 410, 501}


def is_missing(failure: Failure) -> bool:
    """Whether the address lacks what was asked for, as a gateway may lack the free services of the API."""
    return (is_absence(failure) and failure.error_code is None) or failure.cause is Cause.MALFORMED
