"""A weigher over documents whose names say what their reading does to the process; children import it from here."""

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrun.documents import GivenUp, Guard, Shard


def read(name: str) -> str:
    """Read a document, in the way that its name says."""
    match name.partition(" ")[0]:
        case "abort":
            os.abort()
        case "crash":
            ctypes.string_at(0)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleeps" | "slow" as pace:
            time.sleep({"sleeps": 60, "slow": 0.03}[pace])
        case "busy":
            while True:
                pass
        case "hungry":
            return f"{len(bytearray(4_000_000_000))}"
        case "keys":
            return f"{sorted(name for name in os.environ if name.startswith('ANTHROPIC_'))}"
        case "fails":
            raise ValueError("a fault of the reader")
    return f"text of {name}"


@dataclass(frozen=True)
class Weigher:
    """Reads the names of a shard."""

    def weigh(self, shard: Shard, counts: bool, guard: Guard) -> list[str]:
        names: Sequence[str] = shard.place  # type: ignore[assignment]
        return [self._read(name, guard) for name in names]

    def prepare(self, wanted: Sequence[str], guard: Guard) -> list[str]:
        return [self._read(name, guard) for name in wanted]

    def _read(self, name: str, guard: Guard) -> str:
        if name.startswith("plain"):
            return f"text of {name}"
        try:
            with guard(name):
                return read(name)
        except GivenUp as given_up:
            return f"given up: {given_up}"
        except MemoryError:
            return "too much memory"

    def file_of(self, wanted: str) -> str:
        return wanted

    def halved(self, some: Any, reason: str) -> list[Any]:
        if isinstance(some, Shard):
            return [replace(some, place=half) for half in self.halved(some.place, reason)]
        middle = len(some) // 2
        return [some[:middle], some[middle:]] if middle else [[f"plain, because {reason}"]]

    def joined(self, found: Sequence[Any]) -> Any:
        return [one for part in found for one in part]


def variables_of(_: Guard) -> dict[str, str]:
    """The environment that a call is made in."""
    return dict(os.environ)


def process_of(_: Guard) -> int:
    """The process that a call is made in."""
    return os.getpid()
