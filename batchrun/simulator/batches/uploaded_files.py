"""The Files API of the simulated API: what is kept, for how long, and what a block means that names a file.

A file expires by the clock of the client, however fast the simulator's own clock is.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from batchrun.simulator.api_error import ApiError, ApiRefusal, invalid_request, not_found
from batchrun.simulator.batches.body import ParamsFile
from batchrun.simulator.faults.catalogue import BATCH_FAULTS, no_fault
from batchrun.simulator.faults.kinds import BatchFault, Call
from batchrun.simulator.faults.profiles import FaultChoice, draw

MOST_BYTES = 500_000_000
LEAST_LIFE_S, LONGEST_LIFE_S = 3_600, 7_776_000
_MEDIA_TYPES: Mapping[str, tuple[str, ...]] = {
    "document": ("application/pdf", "text/plain"),
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp"),
}

Params = Mapping[str, Any]


@dataclass(kw_only=True, eq=False)
class SimulatedFile:
    """A file that was uploaded. Times are seconds of a monotonic clock."""

    id: str
    name: str
    media_type: str
    place: range
    file: ParamsFile
    created_at: float
    expires_at: float | None
    purpose: str = ""  # in the OpenAI dialect alone
    deleted: bool = False

    @property
    def data(self) -> bytes:
        """The bytes, which are on disk."""
        return self.file.read(self.place)

    def as_json(self, epoch_s: float) -> dict[str, Any]:
        """Write the file as the API does."""
        return {
            "type": "file",
            "id": self.id,
            "filename": self.name,
            "mime_type": self.media_type,
            "size_bytes": len(self.place),
            "created_at": _written(epoch_s + self.created_at),
            "downloadable": False,
            "expires_at": None if self.expires_at is None else _written(epoch_s + self.expires_at),
        }


class SimulatedFiles:
    """All files, in the order of the uploads. Methods raise what the API refuses."""

    def __init__(self, choice: FaultChoice, *, seed: int, epoch_s: float) -> None:
        self.epoch_s = epoch_s
        self._choice, self._seed = choice, seed
        self._files: dict[str, SimulatedFile] = {}

    @cached_property
    def file(self) -> ParamsFile:
        """The file for the bytes of all files."""
        return ParamsFile()

    @property
    def all(self) -> Sequence[SimulatedFile]:
        """Every file that was ever uploaded, the oldest first."""
        return list(self._files.values())

    def meet(self, data: bytes) -> BatchFault:
        """Return the fault of an upload; raise its error if the fault has one."""
        chance = draw(b"upload" + data, seed=self._seed, seen=len(self._files)).fault
        fault = BATCH_FAULTS[self._choice.next_name(chance, Call.UPLOAD) or no_fault(Call.UPLOAD)]
        if isinstance(fault.effect, ApiError):
            raise ApiRefusal(fault.effect)
        return fault

    def upload(
        self, name: str, media_type: str, data: bytes, *, expires_in_s: int | None, now: float, purpose: str = ""
    ) -> SimulatedFile:
        """Keep a file."""
        digest = hashlib.blake2b(data + repr((self._seed, len(self._files))).encode(), digest_size=12).hexdigest()
        file = SimulatedFile(
            id=f"file{'-' if purpose else '_'}{digest}",
            name=name,
            media_type=media_type,
            place=self.file.append(data),
            file=self.file,
            created_at=now,
            expires_at=None if expires_in_s is None else now + expires_in_s,
            purpose=purpose,
        )
        self._files[file.id] = file
        return file

    def newest(self) -> list[SimulatedFile]:
        """List what was not deleted, the newest first; files of the OpenAI dialect are not listed."""
        return [file for file in reversed(self.all) if not file.deleted and not file.purpose]

    def delete(self, file_id: str) -> None:
        """Delete a file. What was accepted before still knows the file."""
        file = self._files.get(file_id)
        if file is None or file.deleted:
            raise not_found(f"File not found: {file_id}")
        file.deleted = True

    def resolved(self, params: Params, *, now: float | None) -> Params:
        """Put the bytes of files in the places of their ids. With no time, files that are gone are there, too."""
        if not any(True for _ in _named(params)):
            return params
        messages = [
            {**message, "content": [self._block(block, now) for block in message["content"]]}
            if isinstance(message, dict) and isinstance(message.get("content"), list)
            else message
            for message in params["messages"]
        ]
        return {**params, "messages": messages}

    def _block(self, block: Any, now: float | None) -> Any:
        if not _names_file(block):
            return block
        file = self.find(str(block["source"].get("file_id")), now)
        if file.media_type not in _MEDIA_TYPES.get(block.get("type"), ()):
            raise invalid_request(f"File type {file.media_type} is not supported in a {block.get('type')} block.")
        source = {"type": "base64", "media_type": file.media_type, "data": b64encode(file.data).decode()}
        return {**block, "source": source}

    def find(self, file_id: str, now: float | None) -> SimulatedFile:
        """Find a file that is there. With no time, files that are gone are there, too."""
        file = self._files.get(file_id)
        if file is None or (file.deleted and now is not None):
            raise not_found(f"File not found: {file_id}")
        if now is not None and file.expires_at is not None and now >= file.expires_at:
            raise ApiRefusal(ApiError(404, "not_found_error", f"File has expired: {file_id}", "file_expired"))
        return file


def _names_file(block: Any) -> bool:
    source = block.get("source") if isinstance(block, dict) else None
    return isinstance(source, dict) and source.get("type") == "file"


def _named(params: Params) -> Iterator[Any]:
    messages = params.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        yield from (block for block in (content if isinstance(content, list) else ()) if _names_file(block))


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
