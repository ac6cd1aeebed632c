"""The Files API through the Anthropic client, one call at a time."""

from collections.abc import Mapping
from typing import Any

import httpx2

from batchrun.batch import EXPIRES_AFTER_S
from batchrun.escaping import escape_control
from batchrun.providers import UploadedFile
from batchrun.providers.anthropic.batch_parsing import PLAIN_ID
from batchrun.providers.anthropic.batches import SLOWEST_UPLOAD
from batchrun.providers.anthropic.client import ApiClient, answered_within, malformed, not_found, timeout_for
from batchrun.providers.anthropic.json_values import fields_in, json_from, moment_in, request_id_in, word_in

PATH = "/v1/files"
KEPT_S = int(3 * EXPIRES_AFTER_S)
"""How long the API keeps a file that nobody deletes. It takes an hour at least, and 90 days at most."""
DELETE_S = 30.0
"""The most time for a deletion, for which nobody should wait long: the file expires anyway."""
PAGE = 1_000
"""The most files on one page of the list, which is the most that the API gives."""


class AnthropicFiles(ApiClient):
    """One call is one request, free of charge: nothing is sent twice."""

    @property
    def address(self) -> str:
        """The base URL."""
        return str(self._client.base_url)

    async def upload(self, name: str, media_type: str, data: bytes) -> UploadedFile:
        """Upload a file under a name, once. Raises AttemptError."""
        within_s = self._timeout_s + len(data) / SLOWEST_UPLOAD
        async with answered_within(within_s):
            answer = await self._client.files.with_raw_response.upload(
                file=(name, data, media_type), expires_in_seconds=KEPT_S, timeout=timeout_for(within_s)
            )
            body = await answer.read()
        return file_from(json_from(body, answer.headers), answer.headers)

    async def find(self, name: str) -> UploadedFile | None:
        """Look for a file among those that were uploaded last. Raises AttemptError."""
        answer = await self._get(PATH, {"limit": PAGE})
        listed = fields_in(json_from(answer.content, answer.headers)).get("data")
        if not isinstance(listed, list):
            raise malformed("the answer is no list of files", request_id_in(answer.headers))
        named = [one for one in listed[:PAGE] if fields_in(one).get("filename") == name]
        return file_from(named[0], answer.headers) if named else None

    async def delete(self, file_id: str) -> None:
        """Delete a file. Raises AttemptError."""
        if not PLAIN_ID.fullmatch(file_id):
            raise not_found(f"no file has the id {escape_control(file_id)[:100]}")
        async with answered_within(min(self._timeout_s, DELETE_S)):
            await self._client.delete(f"{PATH}/{file_id}", cast_to=httpx2.Response)


def file_from(value: Any, headers: Mapping[str, str]) -> UploadedFile:
    """Read what the API says of a file, without trust. Raises AttemptError when the answer is no file."""
    fields = fields_in(value)
    file_id, name, expires_at = fields.get("id"), word_in(fields.get("filename")), moment_in(fields.get("expires_at"))
    if not (isinstance(file_id, str) and PLAIN_ID.fullmatch(file_id)):
        raise malformed("the answer is no file: it has no id", request_id_in(headers))
    if name is None or expires_at is None:
        raise malformed(f"the answer is no file: {file_id} has no name, or never expires", request_id_in(headers))
    return UploadedFile(file_id, name, expires_at.timestamp())
