"""What boto3 raises, as failures: whether a call was sent, refused, or may have been carried out all the same."""

from dataclasses import replace

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as UnconnectedError
from botocore.parsers import ResponseParserError

from batchrun.escaping import escape_control
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, no_credentials
from batchrun.providers.anthropic.cloud_errors import CloudError
from batchrun.providers.anthropic.errors import is_answer_lost
from batchrun.providers.anthropic.json_values import count_in, fields_in, word_in
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.reply import Cause, Failure

SLOW_DOWN = frozenset({"SlowDown", "TooManyRequestsException", "RequestLimitExceeded", "Throttling"})
"""The names of S3 and of gateways for what Bedrock calls a ThrottlingException."""
CONFLICTS = frozenset({"ConflictException"})
"""Bedrock gives a conflict the status 400, though it is neither a yes nor a no."""
CREDENTIALS = ("Credential", "Token", "SSO", "Login", "Profile", "Metadata")
"""What is in the names of the errors of the chain of credentials."""


def aws_failure(error: Exception, *, timeout_s: float) -> Failure | None:  # noqa: PLR0911 - a table
    """Make the failure of a call through boto3. Returns None for an error of another origin: a bug."""
    words = escape_control(str(error)[:LONGEST_MESSAGE])[:LONGEST_MESSAGE]
    match error:
        case ClientError():
            return _refusal(error)
        case SSLError():
            is_trust = "CERTIFICATE_VERIFY_FAILED" in words
            return Failure(cause=Cause.MISCONFIGURED if is_trust else Cause.DROPPED, message=words)
        case UnconnectedError():  # none of these comes after the first byte of a request
            return Failure(cause=Cause.UNREACHABLE, message=words)
        case ReadTimeoutError():
            return Failure(cause=Cause.TIMEOUT, message=f"no answer within {timeout_s:g} s")
        case HTTPClientError() | IncompleteReadError():
            return Failure(cause=Cause.DROPPED, message=f"the connection broke: {words}")
        case ResponseParserError():
            return Failure(cause=Cause.MALFORMED, message=words)
        case BotoCoreError():  # of the settings, or of the arguments: nothing was sent
            is_of_credentials = any(part in type(error).__name__ for part in CREDENTIALS)
            return Failure(cause=Cause.CREDENTIALS, message=words) if is_of_credentials else misconfigured(words)
        case _:
            return no_credentials(error)


def misconfigured(words: str) -> Failure:
    """Make the failure of a setting that keeps every call from being sent."""
    return Failure(cause=Cause.MISCONFIGURED, message=words)


def _refusal(error: ClientError) -> Failure:
    told, answer = fields_in(error.response.get("Error")), fields_in(error.response.get("ResponseMetadata"))
    code, message, status = word_in(told.get("Code")), told.get("Message"), count_in(answer.get("HTTPStatusCode"))
    error_type = "rate_limit_error" if code in SLOW_DOWN else CloudError(code).error_type
    words = message if isinstance(message, str) and message else f"HTTP {status}: {code}"
    failure = Failure(
        cause=Cause.STATUS,
        status=409 if code in CONFLICTS else status,
        error_type=error_type,
        error_code=code,
        message=escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE],
        retry_after_s=retry_after_s(fields_in(answer.get("HTTPHeaders"))),
        api_request_id=word_in(answer.get("RequestId")),
    )
    return replace(failure, in_doubt=is_answer_lost(failure))
