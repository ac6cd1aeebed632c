"""The Models API through the Anthropic client: where a model is in its life, and how much it takes."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, get_args

import httpx2

from batchrun.catalog.lifecycle import Lifecycle, ModelLife
from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import answered_within, client_for, malformed
from batchrun.providers.anthropic.message_parsing import json_from, request_id_in
from batchrun.reply import Cause, Failure

CONNECTIONS = 4
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}")
"""What a model's name must look like to be put into a URL; other platforms' names have dots, colons and at signs."""
MOST_TOKENS = 2**40


class AnthropicModels:
    """One call is one request, free of charge: nothing is sent twice, and no redirect is followed."""

    def __init__(self, *, timeout_s: float, base_url: str | None = None, api_key: str | None = None):
        self._timeout_s = timeout_s
        self._client = client_for(timeout_s=timeout_s, connections=CONNECTIONS, base_url=base_url, api_key=api_key)

    async def life(self, name: str) -> ModelLife:
        """Ask for one model, by its id or an alias. Raises AttemptError; status 404 means that there is none."""
        if not PLAIN_NAME.fullmatch(name):
            # Nobody is asked: in a URL it could be the address of something else.
            words = f"no model has the name {escape_control(name)[:100]}"
            raise AttemptError(Failure(cause=Cause.STATUS, status=404, error_type="not_found_error", message=words))
        async with answered_within(self._timeout_s):
            answer = await self._client.get(
                f"/v1/models/{name}", cast_to=httpx2.Response, options={"follow_redirects": False}
            )
        return life_from(answer.content, answer.headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def life_from(body: bytes, headers: Mapping[str, str]) -> ModelLife:
    """Read an answer with status 200, without trust. Raises AttemptError when it is no model."""
    told = json_from(body, request_id_in(headers))
    if not isinstance(told, dict) or not isinstance(told.get("id"), str):
        raise malformed("the answer is no model", request_id_in(headers))
    lifecycle: Lifecycle | None = next((word for word in get_args(Lifecycle) if word == told.get("lifecycle")), None)
    return ModelLife(
        name=escape_control(told["id"])[:200],
        lifecycle=lifecycle,
        deprecated=_day(told.get("deprecated_at")),
        retires=_day(told.get("retires_at")),
        max_input_tokens=_count(told.get("max_input_tokens")),
        max_output_tokens=_count(told.get("max_tokens")),
    )


def _day(told: Any) -> date | None:
    """The day by UTC of a date in RFC 3339; the epoch is the API's way to say that it is not known."""
    try:
        moment = datetime.fromisoformat(told)
        day = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).date()
    except (TypeError, ValueError, OverflowError):
        return None
    return day if day > date(1970, 1, 1) else None


def _count(told: Any) -> int | None:
    return told if type(told) is int and 0 < told < MOST_TOKENS else None
