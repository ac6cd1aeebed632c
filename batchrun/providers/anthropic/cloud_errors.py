"""Errors in the words of the clouds: Amazon's `{"message": …}` beside a header, Google's `{"error": {"status": …}}`.

Sources: the service model of `bedrock-runtime` in botocore 1.44, and Amazon's page "Common errors".
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

TYPES = {
    "ThrottlingException": "rate_limit_error",
    "ServiceQuotaExceededException": "rate_limit_error",
    "ModelNotReadyException": "overloaded_error",
    "ServiceUnavailableException": "overloaded_error",
    "InternalServerException": "api_error",
    "ModelErrorException": "api_error",
    "ModelStreamErrorException": "api_error",
    "ModelTimeoutException": "timeout_error",
    "ValidationException": "invalid_request_error",
    "AccessDeniedException": "permission_error",
    "ResourceNotFoundException": "not_found_error",
    "ExpiredTokenException": "authentication_error",
    "UnrecognizedClientException": "authentication_error",
    "InvalidSignatureException": "authentication_error",
    "IncompleteSignatureException": "authentication_error",
    "MissingAuthenticationTokenException": "authentication_error",
}
"""The types that the API of Anthropic has for Amazon's errors. The status of Google's says as much."""


class CloudError(NamedTuple):
    """An error as a cloud tells it; None stands for what it does not tell."""

    code: str | None = None
    message: str | None = None

    @property
    def error_type(self) -> str | None:
        """The type that the API of Anthropic has for the error."""
        return TYPES.get(self.code or "")


def cloud_error(body: Any, headers: Mapping[str, str]) -> CloudError:
    """Read the body of an error, without trust. Google may wrap it in a list, and Amazon names it in a header."""
    match body[0] if isinstance(body, list) and body else body:
        case {"error": {"status": str(code), "message": str(message)}}:
            return CloudError(code, message)
        case {"message": str(message)} | {"Message": str(message)}:
            return CloudError(headers.get("x-amzn-errortype", "").partition(":")[0] or None, message)
    return CloudError()


def stream_error(exception_type: str, payload: Any) -> dict[str, Any]:
    """Return an error inside Amazon's event stream as the same event of the API of Anthropic."""
    told = cloud_error(payload, {"x-amzn-errortype": exception_type[:1].upper() + exception_type[1:]})
    error = {"type": told.error_type, "message": told.message or "", "details": {"error_code": told.code}}
    return {"type": "error", "error": error}
