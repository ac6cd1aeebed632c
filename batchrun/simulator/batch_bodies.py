"""What a create call of a Message Batch brings: its requests, or the first thing that is wrong with the body."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from batchrun.simulator.api_error import ApiError, invalid_request
from batchrun.simulator.batch_answers import Verdict, examine
from batchrun.simulator.json_scanner import JsonScanner
from batchrun.simulator.spool import Spool

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LONGEST_CUSTOM_ID = 64
_NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """One request of a batch; its parameters stay where the body is."""

    custom_id: str
    start: int
    length: int
    sha256: bytes
    """Of the parameters' bytes as they were sent."""
    verdict: Verdict


class _Wrong(Exception):
    """The body is JSON, but not a batch."""


def read_requests(body: Spool, *, most: int) -> list[SentRequest] | ApiError:
    """Read the body of a create call; takes seconds when it is large."""
    try:
        return _Reading(body, most).requests()
    except _Wrong as wrong:
        return invalid_request(str(wrong))
    except (ValueError, RecursionError) as error:
        return invalid_request(f"The request body is not valid JSON: {error}")


class _Reading:
    """One body while it is read."""

    def __init__(self, body: Spool, most: int) -> None:
        self._body, self._most = body, most
        self._scanner = JsonScanner(body)
        self._custom_ids: set[str] = set()

    def requests(self) -> list[SentRequest]:
        self._object_comes("")
        found: list[SentRequest] | None = None
        for name in self._scanner.members():
            if name != "requests":
                raise _Wrong(f"{name}: Extra inputs are not permitted")
            found = list(self._listed())
        if self._scanner.peek():
            raise ValueError(f"Extra data: char {self._scanner.offset}")
        if found is None:
            raise _Wrong("requests: Field required")
        if not found:
            raise _Wrong("requests: List should have at least 1 item after validation, not 0")
        if len(found) > self._most:
            raise _Wrong(f"requests: List should have at most {self._most} items after validation, not {len(found)}")
        return found

    def _listed(self) -> Iterator[SentRequest]:
        if self._scanner.peek() != "[":
            self._scanner.value()
            raise _Wrong("requests: Input should be a valid list")
        for index in self._scanner.elements():
            yield self._request(f"requests.{index}")

    def _request(self, where: str) -> SentRequest:
        self._object_comes(where)
        custom_id, extent = None, None
        for name in self._scanner.members():
            if name == "custom_id":
                custom_id = self._custom_id(where)
            elif name == "params":
                extent = self._params(where)
            else:
                raise _Wrong(f"{where}.{name}: Extra inputs are not permitted")
        if custom_id is None:
            raise _Wrong(f"{where}.custom_id: Field required")
        if extent is None:
            raise _Wrong(f"{where}.params: Field required")
        raw = self._body.read(extent.start, len(extent))
        return SentRequest(
            custom_id=custom_id,
            start=extent.start,
            length=len(extent),
            sha256=hashlib.sha256(raw).digest(),
            verdict=examine(raw),
        )

    def _custom_id(self, where: str) -> str:
        custom_id = self._scanner.value()
        if not isinstance(custom_id, str):
            raise _Wrong(f"{where}.custom_id: Input should be a valid string")
        if len(custom_id) > _LONGEST_CUSTOM_ID:
            raise _Wrong(f"{where}.custom_id: String should have at most {_LONGEST_CUSTOM_ID} characters")
        if not _CUSTOM_ID.fullmatch(custom_id):
            raise _Wrong(f"{where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
        if custom_id in self._custom_ids:
            raise _Wrong(f"requests: custom_id's must be unique within a batch. Duplicate custom_id found: {custom_id}")
        self._custom_ids.add(custom_id)
        return custom_id

    def _params(self, where: str) -> range:
        self._object_comes(f"{where}.params")
        start = self._scanner.offset
        self._scanner.value()
        return range(start, self._scanner.offset)

    def _object_comes(self, where: str) -> None:
        if self._scanner.peek() != "{":
            self._scanner.value()
            raise _Wrong(f"{where}: {_NO_OBJECT}" if where else _NO_OBJECT)
