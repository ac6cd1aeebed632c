"""What all responses of the OpenAI dialect have in common: headers, limits and errors."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from batchrun.simulator.api_error import ApiError
from batchrun.simulator.http.responses import Headers, Responses
from batchrun.simulator.replies.message_json import to_json
from batchrun.simulator.usage.rate_limits import Levels

_MONEY = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
_TYPES = {429: "rate_limit_error", 503: "service_unavailable_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: "server_is_overloaded"}
_TOO_LONG = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum")
_QUOTA = "You exceeded your current quota, please check your plan and billing details."


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

    def limits(self, levels: Levels, *, epoch_s: float, now: float) -> Iterator[tuple[str, str]]:
        """Write the limits: those of input stand for all tokens, as output is the smaller part and limited apart."""
        del epoch_s  # times are told as waits
        for name, level in (("requests", levels["requests"]), ("tokens", levels["input tokens"])):
            yield f"x-ratelimit-limit-{name}", str(level.per_minute)
            yield f"x-ratelimit-remaining-{name}", str(int(level.left))
            yield f"x-ratelimit-reset-{name}", _written(max(0.0, level.full_at - now))


def told_error(error: ApiError) -> tuple[int, dict[str, Any]]:
    """Say an error in this dialect: its status and body."""
    status, message, param = error.status, error.message, None
    if status == 402 or error.error_code in _MONEY or "usage limits" in message:
        return 429, _error(_QUOTA, "insufficient_quota", None, "insufficient_quota")
    status = 503 if status == 529 else status
    kind, code = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"), _CODES.get(status)
    if status == 404 and message.startswith("model: "):
        name = message.removeprefix("model: ")
        message, code = f"The model `{name}` does not exist or you do not have access to it.", "model_not_found"
    elif long := _TOO_LONG.search(message):
        message = (
            f"This model's maximum context length is {long[2]} tokens. However, your messages resulted in {long[1]}."
        )
        param, code = "messages", "context_length_exceeded"
    elif status == 429:
        kind = "requests" if "requests per minute" in message else "tokens"
        message = f"Rate limit reached: {message.partition(' (org')[0]}"
    elif status == 400 and ": " in message:
        param, _, rest = message.partition(": ")
        code = "unknown_parameter" if rest.startswith("Extra inputs") else code
    return status, _error(message, kind, param, code)


def _error(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _written(seconds: float) -> str:
    """Write a wait as this API does: `120ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
