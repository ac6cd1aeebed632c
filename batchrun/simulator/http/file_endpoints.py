"""The paths of the Files API over HTTP."""

import asyncio
import time
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

from aiohttp import web
from aiohttp.web_request import FileField
from pydantic import Field, TypeAdapter, ValidationError

from batchrun.simulator.api_error import TOO_LARGE, ApiRefusal, invalid_request
from batchrun.simulator.batches.uploaded_files import (
    LEAST_LIFE_S,
    LONGEST_LIFE_S,
    MOST_BYTES,
    SimulatedFile,
    SimulatedFiles,
)
from batchrun.simulator.faults.kinds import Wire
from batchrun.simulator.http.responses import Responses, check_access

_PATH = "/v1/files"
_LONGEST_PAGE = 1000
_FORM = 10_000  # bytes of a form around its file


class FileEndpoints:
    """The files of one simulator behind HTTP."""

    def __init__(self, files: SimulatedFiles, responses: Responses) -> None:
        self._files, self._responses = files, responses

    def routes(self) -> Iterable[web.RouteDef]:
        """List the paths of one dialect alone."""
        return web.get(_PATH, self._list), web.delete(_PATH + "/{file}", self._delete)

    async def upload(self, request: web.Request) -> web.Response:
        """Keep what a client sends."""
        check_access(request)
        form = await _form(request)
        self._check(form)
        fault = self._files.meet(form.data)
        kept = self._files.upload(**form._asdict(), now=time.monotonic())
        if isinstance(fault.effect, Wire):
            return await self._responses.cut(request, hangs=fault.effect is Wire.HANG)
        return self._responses.json(self._written(kept))

    def _check(self, form: "Upload") -> None:
        """Refuse an upload, in a dialect that does."""

    def _written(self, file: SimulatedFile) -> dict[str, Any]:
        return file.as_json(self._files.epoch_s)

    async def _list(self, request: web.Request) -> web.Response:
        check_access(request)
        limit = whole_number("limit", request.query.get("limit", "20"), least=1, most=_LONGEST_PAGE)
        start = whole_number(
            "page", request.query.get("page", "page_0").removeprefix("page_"), least=0, most=MOST_BYTES
        )
        newest = self._files.newest()
        more = f"page_{start + limit}" if len(newest) > start + limit else None
        listed = [self._written(file) for file in newest[start : start + limit]]
        return self._responses.json({"data": listed, "next_page": more})

    async def _delete(self, request: web.Request) -> web.Response:
        check_access(request)
        file_id = request.match_info["file"]
        self._files.delete(file_id)
        return self._responses.json({"id": file_id, "type": "file_deleted"})


class Upload(NamedTuple):
    """What an upload brings."""

    name: str
    media_type: str
    data: bytes
    expires_in_s: int | None
    purpose: str  # empty in the Messages dialect


async def _form(request: web.Request) -> Upload:
    """Read the form of an upload, up to the size that the API takes."""
    try:
        form = await request.clone(client_max_size=MOST_BYTES + _FORM).post()
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiRefusal(TOO_LARGE) from error
    except (ConnectionResetError, web.RequestPayloadError, ValueError) as error:
        raise invalid_request("The request body could not be read") from error
    file, life = form.get("file"), form.get("expires_in_seconds")
    if not isinstance(file, FileField):
        raise invalid_request("file: Field required")
    with file.file:
        data = await asyncio.to_thread(file.file.read)
    if len(data) > MOST_BYTES:
        raise ApiRefusal(TOO_LARGE)
    expires_in_s = None
    if life is not None:
        expires_in_s = whole_number("expires_in_seconds", str(life), least=LEAST_LIFE_S, most=LONGEST_LIFE_S)
    name, purpose = file.filename.rpartition("/")[2] or "unnamed", form.get("purpose")
    return Upload(name, file.content_type, data, expires_in_s, purpose if isinstance(purpose, str) else "")


def whole_number(name: str, text: str, *, least: int, most: int) -> int:
    """Read a number that a client sent as text; refuse any other."""
    try:
        return TypeAdapter(Annotated[int, Field(ge=least, le=most)]).validate_python(text)
    except ValidationError as error:
        raise invalid_request(f"{name}: {error.errors()[0]['msg']}") from error
