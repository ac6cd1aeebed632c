"""An error as the API says it: status, type, message, and the machine-readable code that some errors carry."""

from functools import partial
from typing import Any, NamedTuple


class ApiError(NamedTuple):
    """One error of the API."""

    status: int
    type: str
    message: str
    error_code: str | None = None

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the JSON body, keys in the API's order."""
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.error_code is not None:
            error["details"] = {"error_code": self.error_code}
        return {"type": "error", "error": error, "request_id": request_id}


class ApiRefusal(Exception):
    """The API answers a call with an error, and may say how long to wait."""

    def __init__(self, error: ApiError, *, retry_after_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error, self.retry_after_s = error, retry_after_s


def _refusal(status: int, error_type: str, message: str) -> ApiRefusal:
    return ApiRefusal(ApiError(status, error_type, message))


invalid_request = partial(_refusal, 400, "invalid_request_error")
unauthenticated = partial(_refusal, 401, "authentication_error")
not_found = partial(_refusal, 404, "not_found_error")
TOO_LARGE = ApiError(413, "request_too_large", "Request exceeds the maximum size")
