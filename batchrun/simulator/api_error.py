"""An error as the API says it: status, type, message, and the machine-readable code some carry."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ApiError:
    """One refusal of the API."""

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


def invalid_request(message: str) -> ApiError:
    """Make a 400: the request can never work as it is."""
    return ApiError(400, "invalid_request_error", message)


def not_found(message: str) -> ApiError:
    """Make a 404: an unknown model or path."""
    return ApiError(404, "not_found_error", message)


def unauthenticated(message: str) -> ApiError:
    """Make a 401: no key, or not a valid one."""
    return ApiError(401, "authentication_error", message)


TOO_LARGE = ApiError(413, "request_too_large", "Request exceeds the maximum size")
