"""What every published benchmark has: documents, the answers that are expected, and scores by the benchmark's rule."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.answers.json_text import refuse_half_characters
from batchrun.errors import UsageProblem
from batchrun.escaping import shown_path
from batchrun.file_system import TooLargeError, read_bounded

MOST_BYTES = 300_000_000
"""The largest file of a benchmark that is read. CUAD's has about 40 million bytes."""


@dataclass(frozen=True, slots=True)
class Case:
    """A document of a benchmark, and what the benchmark expects of the answer in the benchmark's own form."""

    doc_id: str
    """The id for the job. Of a document without `text`, the path of its file below the folder of the benchmark."""
    expected: Any
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that one job asks about: the answers to all of them have one JSON Schema."""

    name: str
    schema: Mapping[str, Any]
    cases: list[Case]


@dataclass(frozen=True, slots=True)
class Score:
    """A number of a benchmark, with its 95% interval if the benchmark has a rule for one."""

    name: str
    value: float | None
    """None where the benchmark's rule divides by zero."""
    interval: tuple[float, float] | None = None


Pair = tuple[Any, Mapping[str, Any] | None]
"""What is expected of a document, and the answer; None for a document that has no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark as a folder has it. The first of its scores is the one that is published."""

    title: str
    rule: str
    """The rule of the scores, in a sentence that can stand beside them."""
    note: str
    """What the scores do not cover, in sentences that can stand beside them."""
    system: str
    """The system prompt, which is ours: the benchmarks leave the prompt open."""
    groups: Sequence[Group]
    score: Callable[[Sequence[Pair]], list[Score]]


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file of a benchmark, which may be broken: every method raises UsageProblem for what is not in its form."""

    path: Path

    def broken(self, why: object) -> UsageProblem:
        """Make the problem of the file."""
        return UsageProblem(f"{shown_path(self.path)}: {why}", hint="fetch it again, or see: batchrun docs bench")

    def content(self) -> bytes:
        """Read the file, up to a bound."""
        try:
            return read_bounded(self.path, most_bytes=MOST_BYTES)
        except (OSError, TooLargeError) as error:
            raise self.broken(getattr(error, "strerror", None) or error) from error

    def text(self, content: bytes | None = None) -> str:
        """Decode the file, or what was packed in the file."""
        try:
            return (self.content() if content is None else content).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.broken(f"it is not UTF-8 (byte {error.start:,})") from error

    def parsed(self, text: str, place: str = "") -> Any:
        """Parse JSON of the file. The file's texts may hold no half of a character, which nothing can store."""
        try:
            found = json.loads(text)
            if "\\u" in text:
                refuse_half_characters(found)
        except (ValueError, RecursionError) as error:
            raise self.broken(f"{place}it is no JSON: {error}") from error
        return found

    def distinct(self, cases: list[Case]) -> list[Case]:
        """Return the cases, of which there is one at least, each with an id of its own."""
        times = Counter(case.doc_id for case in cases)
        if not cases:
            raise self.broken("it has no documents")
        if twice := next((doc_id for doc_id in times if times[doc_id] > 1), None):
            raise self.broken(f"two documents are called {twice!r}")
        return cases


def f1(precision: float, recall: float) -> float:
    """Return the harmonic mean of precision and recall; 0 if both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def ratio(part: float, whole: float) -> float | None:
    """Divide, or return None for a part of nothing."""
    return part / whole if whole else None
