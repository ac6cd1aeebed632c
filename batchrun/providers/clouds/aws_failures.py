"""What boto3 raises, as failures: whether a call was sent, refused, or may have been carried out all the same."""

from dataclasses import replace
from traceback import walk_tb

import botocore.exceptions as boto
from botocore.parsers import ResponseParserError

from batchrun.escaping import escape_control
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, no_credentials
from batchrun.providers.anthropic.cloud_errors import CloudError
from batchrun.providers.anthropic.errors import is_answer_lost
from batchrun.providers.anthropic.json_values import count_in, fields_in, word_in
from batchrun.reply import Cause, Failure

BAD_KEYS = frozenset(
    {"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}
)
"""The codes by which S3 refuses credentials or our clock (Amazon S3 API Reference, "Error responses")."""


def aws_failure(error: Exception) -> Failure | None:
    """Make the failure of a call through boto3. Returns None for an error of another origin: a bug."""
    if isinstance(error, boto.ClientError):
        return _refusal(error)
    if (cause := Cause.MALFORMED if _is_of_the_parser(error) else _cause(error)) is None:
        return no_credentials(error)
    return Failure(cause=cause, message=escape_control(str(error)[:LONGEST_MESSAGE])[:LONGEST_MESSAGE])


def _cause(error: Exception) -> Cause | None:  # noqa: PLR0911 - a table
    """Return why a call brought no answer. Returns None if that is not of the call itself."""
    match error:
        case boto.ParamValidationError() | boto.EndpointProviderError() | boto.InvalidRegionError():
            return Cause.MISCONFIGURED
        case boto.SSLError():
            return Cause.MISCONFIGURED if "CERTIFICATE_VERIFY_FAILED" in str(error) else Cause.DROPPED
        case boto.ConnectionError():  # none of these comes after the first byte of a request
            return Cause.UNREACHABLE
        case boto.ReadTimeoutError():
            return Cause.TIMEOUT
        case boto.HTTPClientError() | boto.IncompleteReadError():
            return Cause.DROPPED
        case ResponseParserError() | boto.PaginationError():
            return Cause.MALFORMED
    return None


def _is_of_the_parser(error: Exception) -> bool:
    """Whether botocore broke at an answer: its parser raises whatever an answer of another form leads to."""
    return any(frame.f_globals["__name__"] == "botocore.parsers" for frame, _ in walk_tb(error.__traceback__))


def _refusal(error: boto.ClientError) -> Failure:
    told, answer = fields_in(error.response.get("Error")), fields_in(error.response.get("ResponseMetadata"))
    code, message, status = word_in(told.get("Code")), told.get("Message"), count_in(answer.get("HTTPStatusCode"))
    words = message if isinstance(message, str) and message else f"HTTP {status}: {code}"
    failure = Failure(
        cause=Cause.STATUS,
        status=409 if code == "ConflictException" else status,  # Bedrock gives 400, and a conflict is no clear no
        error_type="authentication_error" if code in BAD_KEYS else CloudError(code).error_type,
        error_code=code,
        message=escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE],
        api_request_id=word_in(answer.get("RequestId")),
    )
    return replace(failure, in_doubt=is_answer_lost(failure))
