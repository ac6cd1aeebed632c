"""The Models API through the Anthropic client: where a model is in its life, and what it takes."""

import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, get_args

import httpx2

from batchrun.catalog.lifecycle import Lifecycle, ModelCapabilities, ModelLife
from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import ApiClient, answered_within, malformed, not_found
from batchrun.providers.anthropic.errors import is_missing
from batchrun.providers.anthropic.json_values import (
    EPOCH,
    count_in,
    fields_in,
    json_from,
    moment_in,
    request_id_in,
    word_in,
)

if TYPE_CHECKING:
    from batchrun.providers.anthropic.provider import SdkFactory

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}")
"""What a model's name must look like to be put into a URL; other platforms' names have dots, colons and at signs."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING = ("adaptive", "between_tools", "disabled", "enabled")


class AnthropicModels(ApiClient):
    """One call is one request, free of charge: nothing is sent twice."""

    def __init__(self, platform: "SdkFactory", *, timeout_s: float) -> None:
        super().__init__(platform, timeout_s=timeout_s, hears=(self._hear,))
        self.heard: Mapping[str, str] = {}
        """The headers of the last answer, which may be an error."""

    async def _hear(self, response: httpx2.Response) -> None:
        self.heard = response.headers

    async def takes_messages(self) -> bool:
        """Whether the address has the Messages API. The request is empty: no API answers it, so nothing is billed."""
        try:
            async with answered_within(self._timeout_s):
                response = await self._client.post("/v1/messages", content=b"{}", cast_to=httpx2.Response)
            json_from(response.content, response.headers)
        except AttemptError as error:
            return not is_missing(error.failure) and not self.is_page
        return True

    @property
    def is_page(self) -> bool:
        """Whether the last answer was a page for a browser."""
        return "text/html" in self.heard.get("content-type", "")

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
        capabilities=capabilities_from(fields_in(fields.get("capabilities"))),
    )


def capabilities_from(fields: Mapping[str, Any]) -> ModelCapabilities:
    """Read what a model takes, without trust. What has another form than expected is not known."""
    return ModelCapabilities(
        efforts=_levels(fields_in(fields.get("effort")), EFFORTS),
        thinking=_levels(fields_in(fields_in(fields.get("thinking")).get("types")), THINKING),
        structured_outputs=_supported(fields.get("structured_outputs")),
        batch=_supported(fields.get("batch")),
        pdf_input=_supported(fields.get("pdf_input")),
        image_input=_supported(fields.get("image_input")),
    )


def _levels(fields: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the names that are supported. Returns None if nothing is said of any of them."""
    told = [name for name in names if _supported(fields.get(name)) is not None]
    return tuple(name for name in told if _supported(fields[name])) if told else None


def _supported(value: Any) -> bool | None:
    supported = fields_in(value).get("supported")
    return supported if isinstance(supported, bool) else None


def _day(value: Any) -> date | None:
    """Read the day by UTC of a date; with the first day of 1970 the API says that the day is not known."""
    moment = moment_in(value)
    return moment.date() if moment and moment.date() != EPOCH.date() else None
