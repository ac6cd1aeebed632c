"""Kleister-NDA: facts of non-disclosure agreements as `key=value` words, scored as GEval scores them.

Sources: applicaai/kleister-nda c2c7bf0 (README.md, config.txt); GEval (PrecisionRecall.hs, Common.hs, Bootstrap.hs).
"""

import lzma
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from batchrun.escaping import escape_control
from batchrun.quality.published.benchmark import MOST_BYTES, Benchmark, Case, Group, LabelFile, Pair, Score, f1

LOOKS = "Kleister-NDA: in.tsv.xz and expected.tsv, in the folder or in dev-0/"
MOST_MEMORY = 200_000_000
"""The most bytes of memory that the decompression may take."""
RESAMPLES = 200
_TEXT, _OR_NULL = {"type": "string"}, {"type": ["string", "null"]}
KEYS: Mapping[str, Any] = {
    "effective_date": {**_OR_NULL, "description": "The day from which the agreement is binding, as YYYY-MM-DD"},
    "jurisdiction": {**_OR_NULL, "description": "The state or country whose law governs, such as New York"},
    "party": {"type": "array", "items": _TEXT, "description": "Each party by its name, without a comma: Acme Inc."},
    "term": {**_OR_NULL, "description": "How long it lasts, the number in digits, in the unit of the text: 11 months"},
}
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\f": "\f", r"\\": "\\"}
_GAP = re.compile(r"[\s:]")
Counts = tuple[int, int, int]
"""Words of a document that match, that are expected, and that are given."""


def read(folder: Path) -> Benchmark | None:
    """Read a split; of the whole repository, dev-0. Returns None without such a file. Raises UsageProblem."""
    split = next((place for place in (folder, folder / "dev-0") if (place / "in.tsv.xz").is_file()), None)
    if split is None:
        return None
    inputs, labels = LabelFile(split / "in.tsv.xz"), LabelFile(split / "expected.tsv")
    if not labels.path.is_file():
        raise labels.broken(
            "it is not there. The answers of test-A are hidden: take dev-0 (83 documents) or train (254)"
        )
    rows = [line.split("\t") for line in lines(inputs.text(unpacked(inputs)))]
    expected = lines(labels.text())
    if len(rows) != len(expected):
        raise labels.broken(f"it has {len(expected):,} lines, and in.tsv.xz has {len(rows):,}")
    if odd := next((number for number, row in enumerate(rows, 1) if len(row) < 3), None):
        raise inputs.broken(f"line {odd:,} has no columns for the file's name, the keys and the text")
    cases = [
        Case(row[0], line.split(), re.sub(r"\\[ntf\\]", lambda found: _ESCAPES[found[0]], row[-1]))
        for row, line in zip(rows, expected, strict=True)
    ]
    schema = {"type": "object", "properties": KEYS, "required": list(KEYS)}
    name = f"kleister-nda-{re.sub('[^a-z0-9]+', '-', split.name.lower())[:20]}"
    return Benchmark(
        title=f"Kleister-NDA {escape_control(split.name)}",
        rule=(
            "GEval's MultiLabel-F1 over key=value words, upper-cased, all documents together; the intervals are of 95%,"
            " by drawing the documents again 200 times. The text is the last column of in.tsv.xz"
        ),
        note="the official score is on test-A (203 documents), whose answers are hidden",
        system="You extract four facts from a non-disclosure agreement. A fact that is not stated is null.",
        groups=[Group(name, schema, inputs.distinct(cases))],
        score=scores,
    )


def unpacked(file: LabelFile) -> bytes:
    """Decompress a file within bounds of size and memory. Raises UsageProblem."""
    unpacker = lzma.LZMADecompressor(memlimit=MOST_MEMORY)
    try:
        data = unpacker.decompress(file.content(), max_length=MOST_BYTES)
    except lzma.LZMAError as error:
        raise file.broken(f"it cannot be decompressed: {error}") from error
    if not unpacker.eof:
        raise file.broken(f"it ends too early, or has more than {MOST_BYTES:,} bytes")
    return data


def lines(text: str) -> list[str]:
    """Split at line feeds alone: the last line may lack one."""
    return text.removesuffix("\n").split("\n") if text else []


def words(answer: Mapping[str, Any]) -> list[str]:
    """Write an answer as `key=value` words, as in expected.tsv: spaces and colons become underscores."""
    given = [(key, answer[key] if isinstance(answer.get(key), list) else [answer.get(key)]) for key in KEYS]
    texts = [(key, str(value).strip()) for key, values in given for value in values if value is not None]
    return [f"{key}={_GAP.sub('_', text)}" for key, text in texts if text]


def scores(pairs: Sequence[Pair]) -> list[Score]:
    """Score documents by the metrics of config.txt. A document without an answer gives no words."""
    true = [(list[str](expected), words(answer or {})) for expected, answer in pairs]
    upper = [([word.upper() for word in expected], [word.upper() for word in given]) for expected, given in true]
    counted = [counts(*one) for one in upper]
    metrics: list[tuple[str, Callable[[Sequence[Counts]], float], list[Counts]]] = [
        ("F1, upper case", micro_f1, counted),
        ("precision, upper case", precision, counted),
        ("recall, upper case", recall, counted),
        ("F1, true case", micro_f1, [counts(*one) for one in true]),
        ("Mean-F1 (by document)", mean_f1, counted),
        ("Accuracy (all words right)", accuracy, counted),
    ]
    for start in (f"{key}=".upper() for key in KEYS):
        of_key = [[[word for word in side if word.startswith(start)] for side in one] for one in upper]
        metrics.append((f"F1 {start[:-1].lower()}", micro_f1, [counts(*one) for one in of_key]))
    return [Score(name, metric(rows), resampled(rows, metric)) for name, metric, rows in metrics]


def counts(expected: Sequence[str], given: Sequence[str]) -> Counts:
    """Count a document. As words match only if they are equal, the maximum matching is the common multiset."""
    return (Counter(expected) & Counter(given)).total(), len(expected), len(given)


def share(rows: Sequence[Counts], side: int) -> float:
    """Return the share of a side's words that match, where `side` is an index of `Counts`.

    Like GEval, a share of nothing is 1.
    """
    whole = sum(row[side] for row in rows)
    return sum(row[0] for row in rows) / whole if whole else 1.0


recall, precision = partial(share, side=1), partial(share, side=2)


def micro_f1(rows: Sequence[Counts]) -> float:
    """Return the F1 of all documents together."""
    return f1(precision(rows), recall(rows))


def mean_f1(rows: Sequence[Counts]) -> float:
    """Return the mean of the F1 of each document."""
    return sum(micro_f1([row]) for row in rows) / len(rows)


def accuracy(rows: Sequence[Counts]) -> float:
    """Return the share of documents with exactly the expected words."""
    return sum(len(set(row)) == 1 for row in rows) / len(rows)


def resampled(rows: Sequence[Counts], metric: Callable[[Sequence[Counts]], float]) -> tuple[float, float]:
    """Return the 95% interval of a metric over resampled documents, cut as GEval cuts: 5 of 200 values at each end.

    The seeds are 1 to 200, as in GEval. The generator is Python's, so that the last digits differ from GEval's.
    """
    draws = (random.Random(seed).choices(rows, k=len(rows)) for seed in range(1, RESAMPLES + 1))  # noqa: S311
    values = sorted(map(metric, draws))
    cut = int(0.0501 * RESAMPLES / 2)
    return values[cut], values[-1 - cut]
