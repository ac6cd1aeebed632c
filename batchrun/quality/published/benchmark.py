"""What every published benchmark has: documents, the answers that are expected, and scores by the benchmark's rule."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from batchrun.errors import UsageProblem
from batchrun.escaping import shown_path
from batchrun.file_system import TooLargeError, read_bounded

MOST_BYTES = 300_000_000
"""The largest file of a benchmark that is read. CUAD's has about 40 million bytes."""
RESAMPLES = 200
T = TypeVar("T")


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
    not_covered: str
    system: str
    """The system prompt, which is ours: the benchmarks leave the prompt open."""
    groups: Sequence[Group]
    score: Callable[[Sequence[Pair]], list[Score]]


def broken(path: Path, why: object) -> UsageProblem:
    """Make the problem of a file that is not in the published form."""
    return UsageProblem(f"{shown_path(path)}: {why}", hint="fetch the benchmark again, or see: batchrun docs bench")


def read_file(path: Path) -> bytes:
    """Read a file of a benchmark. Raises UsageProblem for a file that cannot be read, or is too large."""
    try:
        return read_bounded(path, most_bytes=MOST_BYTES)
    except (OSError, TooLargeError) as error:
        raise broken(path, getattr(error, "strerror", None) or error) from error


def decoded(data: bytes, path: Path) -> str:
    """Decode a file that has to be UTF-8. Raises UsageProblem."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(path, f"it is not UTF-8 (byte {error.start})") from error


def parsed(text: str, path: Path, place: str = "") -> Any:
    """Parse JSON, which has to be text that can be stored again. Raises UsageProblem."""
    try:
        found = json.loads(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise broken(path, f"{place}it is no JSON: {error}") from error
    return found


def distinct(cases: list[Case], path: Path) -> list[Case]:
    """Return the cases. Raises UsageProblem if there are none, or two have one id."""
    seen = set[str]()
    for case in cases:
        if case.doc_id in seen or not case.doc_id:
            raise broken(path, f"two documents are called {case.doc_id!r}" if case.doc_id else "a document has no name")
        seen.add(case.doc_id)
    if not cases:
        raise broken(path, "it has no documents")
    return cases


def ratio(part: float, whole: float) -> float | None:
    """Divide, or return None for a part of nothing."""
    return part / whole if whole else None


def resampled(rows: Sequence[T], metric: Callable[[Sequence[T]], float]) -> tuple[float, float]:
    """Return the 95% interval of a metric by 200 resamples of documents, cut as GEval cuts them.

    GEval (Data/Conduit/Bootstrap.hs) leaves out floor((0.05 + 0.0001) * 200 / 2) = 5 values at each end. The numbers of
    the resamples are the seeds, as in GEval; the generator is Python's, so that the last digits differ from GEval's.
    """
    draws = (random.Random(seed).choices(rows, k=len(rows)) for seed in range(1, RESAMPLES + 1))  # noqa: S311
    values = sorted(map(metric, draws))
    cut = int(0.0501 * RESAMPLES / 2)
    return values[cut], values[-1 - cut]
