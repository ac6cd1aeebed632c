"""The latest thing that a process made with much work, kept because the next call may well need the same thing again.

Documents are sent a few at a time, and all the parts of a file come one after the other: the file is read once.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Latest(Generic[K, V]):
    """Keeps one value, with its key. Threads may share it: at worst, a value is made twice."""

    def __init__(self, *, keeps: Callable[[V], bool]) -> None:
        self._keeps = keeps
        self._kept: tuple[K, V] | None = None

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value that was kept for this key, or else make the value, and keep it if that is worth while."""
        kept = self._kept
        if kept and kept[0] == key:
            return kept[1]
        self._kept = kept = None  # two large values at once would need twice the memory
        value = make()
        if self._keeps(value):
            self._kept = key, value
        return value
