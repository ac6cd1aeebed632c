"""Bytes that are written once and read in pieces: a small body in memory, a large one in a file without a name."""

import threading
import weakref
from tempfile import SpooledTemporaryFile

_MOST_IN_MEMORY = 8 * 1024**2


class Spool:
    """A body of a create call; read by several threads, each piece by itself."""

    def __init__(self) -> None:
        self.size = 0
        self._lock = threading.Lock()
        self._file = SpooledTemporaryFile(max_size=_MOST_IN_MEMORY)  # noqa: SIM115  closed with its spool
        weakref.finalize(self, self._file.close)

    def __repr__(self) -> str:
        return f"Spool({self.size:,} bytes)"

    def append(self, piece: bytes) -> None:
        """Add to the end."""
        with self._lock:
            self._file.seek(self.size)
            self._file.write(piece)
            self.size += len(piece)

    def read(self, start: int, length: int) -> bytes:
        """Return what was written there, less at the end."""
        with self._lock:
            self._file.seek(start)
            return self._file.read(length)
