"""What all responses of the OpenAI dialect have in common: headers, limits and errors."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from batchrun.simulator.api_error import ApiError
from batchrun.simulator.http.responses import Headers, Responses
from batchrun.simulator.replies.message_json import to_json
from batchrun.simulator.usage.rate_limits import Levels

_QUOTA = (429, "insufficient_quota", "insufficient_quota")
_BY_WORDS: Mapping[str, tuple[int, str, str]] = {
    r"^model: ": (404, "invalid_request_error", "model_not_found"),
    r"prompt is too long": (400, "invalid_request_error", "context_length_exceeded"),
    r"Extra inputs": (400, "invalid_request_error", "unknown_parameter"),
    r"usage limits|spend limit|credit balance": _QUOTA,
    r"requests per minute": (429, "requests", "rate_limit_exceeded"),
}
_BY_STATUS: Mapping[int, tuple[int, str, str | None]] = {
    401: (401, "invalid_request_error", "invalid_api_key"),
    402: _QUOTA,
    429: (429, "tokens", "rate_limit_exceeded"),
    529: (503, "service_unavailable_error", "server_is_overloaded"),
}


class OpenAIResponses(Responses):
    """Makes the responses of one server in the OpenAI dialect."""

    def headers(self) -> Headers:
        """Make the headers that every response has."""
        return {"x-request-id": super().headers()["request-id"], "server": "batchrun-simulator"}

    def error(self, error: ApiError, extra: Mapping[str, str] | None = None) -> web.Response:
        """Answer with an error."""
        status, told = told_error(error)
        headers = self.headers() | dict(extra or {})
        return web.Response(status=status, body=to_json(told), headers=headers, content_type="application/json")

    def limits(self, levels: Levels, *, epoch_s: float) -> Iterator[tuple[str, str]]:
        """Write the limits: those of input stand for all tokens, as output is the smaller part and limited apart."""
        del epoch_s  # times are told as waits
        for name, level in (("requests", levels["requests"]), ("tokens", levels["input tokens"])):
            yield f"x-ratelimit-limit-{name}", str(level.per_minute)
            yield f"x-ratelimit-remaining-{name}", str(int(level.left))
            yield f"x-ratelimit-reset-{name}", f"{max(0.0, level.full_at - time.monotonic()):.3f}s"


def told_error(error: ApiError) -> tuple[int, dict[str, Any]]:
    """Say an error in this dialect: its status and body."""
    other = (error.status, "server_error" if error.status >= 500 else "invalid_request_error", None)
    worded = (told for words, told in _BY_WORDS.items() if re.search(words, error.message))
    status, kind, code = next(worded, _BY_STATUS.get(error.status, other))
    return status, {"error": {"message": error.message, "type": kind, "param": None, "code": code}}
