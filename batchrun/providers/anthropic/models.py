"""The Models API through the Anthropic client: where a model is in its life, and how much it takes."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, get_args

from batchrun.catalog.lifecycle import Lifecycle, ModelLife
from batchrun.escaping import escape_control
from batchrun.providers.anthropic.client import ApiClient, malformed, not_found
from batchrun.providers.anthropic.json_values import (
    EPOCH,
    count_in,
    fields_in,
    json_from,
    moment_in,
    request_id_in,
    word_in,
)

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}")
"""What a model's name must look like to be put into a URL; other platforms' names have dots, colons and at signs."""


class AnthropicModels(ApiClient):
    """One call is one request, free of charge: nothing is sent twice."""

    async def life(self, name: str) -> ModelLife:
        """Ask for one model, by its id or an alias. Raises AttemptError, with status 404 when there is none."""
        if not PLAIN_NAME.fullmatch(name):
            raise not_found(f"no model has the name {escape_control(name)[:100]}")
        answer = await self._get(f"/v1/models/{name}")
        return life_from(answer.content, answer.headers)


def life_from(body: bytes, headers: Mapping[str, str]) -> ModelLife:
    """Read an answer with status 200, without trust. Raises AttemptError when the answer is no model."""
    fields = fields_in(json_from(body, headers))
    name = word_in(fields.get("id"))
    if name is None:
        raise malformed("the answer is no model", request_id_in(headers))
    lifecycle: Lifecycle | None = next((word for word in get_args(Lifecycle) if word == fields.get("lifecycle")), None)
    return ModelLife(
        name=name,
        lifecycle=lifecycle,
        deprecated=_day(fields.get("deprecated_at")),
        retires=_day(fields.get("retires_at")),
        max_input_tokens=count_in(fields.get("max_input_tokens")) or None,
        max_output_tokens=count_in(fields.get("max_tokens")) or None,
    )


def _day(value: Any) -> date | None:
    """Read the day by UTC of a date; with the first day of 1970 the API says that the day is not known."""
    moment = moment_in(value)
    return moment.date() if moment and moment.date() != EPOCH.date() else None
