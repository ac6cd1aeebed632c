"""What a create call of a Message Batch brings: its requests, or the first thing that is wrong with the body."""

import hashlib
import os
import threading
import weakref
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from batchrun.simulator.api_error import ApiError, ApiRefusal, invalid_request
from batchrun.simulator.dialect import MESSAGES, Dialect
from batchrun.simulator.replies.message_json import to_json
from batchrun.simulator.requests import parameters
from batchrun.simulator.requests.parameters import NO_OBJECT, Params, StrictForm
from batchrun.simulator.usage.prompt_cache import NO_PROMPT, SizedPrompt


class ParamsFile:
    """The parameters of all requests in batches, or the bytes of all uploads, in one file without a name.

    Several threads may use the file.
    """

    def __init__(self) -> None:
        self._size = 0
        self._appending = threading.Lock()
        self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - it is closed with this object
        weakref.finalize(self, self._file.close)

    def append(self, raw: bytes) -> range:
        """Add to the end; return the place."""
        with self._appending:
            self._file.write(raw)
            self._size += len(raw)
            return range(self._size - len(raw), self._size)

    def read(self, place: range) -> bytes:
        """Return what was written there."""
        return os.pread(self._file.fileno(), len(place), place.start)


class SentRequest(NamedTuple):
    """One request of a batch, and what processing the request will find; its parameters are in a file."""

    custom_id: str
    place: range
    sha256: bytes  # that of the same body sent to `/v1/messages`, if written as the SDK writes it
    model: str | None = None
    prompt: SizedPrompt = NO_PROMPT
    error: ApiError | None = None  # why the request cannot be answered


class _ListedRequest(StrictForm):
    custom_id: Annotated[str, Field(max_length=64, pattern="^[a-zA-Z0-9_-]{1,64}$")]
    params: dict[str, Any]


class _BatchForm(StrictForm):
    requests: Annotated[list[_ListedRequest], Field(min_length=1)]


Resolve = Callable[[Params], Params]
"""Puts the bytes of uploaded files in the places of their ids. Raises ApiRefusal."""


def sent_request(
    custom_id: str,
    raw: bytes,
    place: range,
    resolve: Resolve,
    *,
    params: Params | None = None,
    dialect: Dialect = MESSAGES,
) -> SentRequest:
    """Check the parameters of a request. The API does so when it processes a request, not when it creates the batch."""
    sent = SentRequest(custom_id=custom_id, place=place, sha256=hashlib.sha256(raw).digest())
    try:
        params = dialect.read(raw) if params is None else params
        whole = resolve(params)
        if whole is not params:
            params, sent = whole, sent._replace(sha256=hashlib.sha256(to_json(whole)).digest())
        if params.get("stream") is True:
            raise invalid_request('"stream=True" is not supported in the Message Batches API')
        if "speed" in params:
            raise invalid_request('"speed" is not supported in the Message Batches API')
        card = parameters.check_message(params, find=dialect.find)
        if params["max_tokens"] < 1:  # allowed by /v1/messages
            raise invalid_request("max_tokens: must be greater than or equal to 1")
        prompt = dialect.sized(params, card)
    except ApiRefusal as refusal:
        return sent._replace(error=refusal.error)
    return sent._replace(model=card.id, prompt=prompt)


def read_requests(
    body: bytes, file: ParamsFile, *, most: int, resolve: Resolve = lambda params: params
) -> list[SentRequest]:
    """Read the body of a create call, and keep the parameters in the file; takes seconds when the body is large."""
    listed = parameters.parse(body)
    parameters.check_form(listed, _BatchForm, NO_OBJECT)
    if len(listed["requests"]) > most:
        items = len(listed["requests"])
        raise invalid_request(f"requests: List should have at most {most} items after validation, not {items}")
    sent: dict[str, SentRequest] = {}
    for custom_id, params in ((one["custom_id"], one["params"]) for one in listed["requests"]):
        if custom_id in sent:
            message = f"custom_id's must be unique within a batch. Duplicate custom_id found: {custom_id}"
            raise invalid_request(f"requests: {message}")
        raw = to_json(params)
        sent[custom_id] = sent_request(custom_id, raw, file.append(raw), resolve, params=params)
    return list(sent.values())
