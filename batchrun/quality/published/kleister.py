"""Kleister-NDA: keys of non-disclosure agreements as `key=value` words, scored as GEval scores them.

Sources: applicaai/kleister-nda c2c7bf0 (README.md, config.txt); GEval (PrecisionRecall.hs, Common.hs, Bootstrap.hs).
"""

import lzma
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchrun.quality.published.benchmark import (
    MOST_BYTES,
    Benchmark,
    Case,
    Group,
    Pair,
    Score,
    broken,
    decoded,
    distinct,
    read_file,
    resampled,
)

NAME = "kleister-nda"
LOOKS = "Kleister-NDA: in.tsv.xz and expected.tsv, here or in dev-0/"
SPLIT = "dev-0"
MOST_DICTIONARY = 200_000_000
"""The most memory that the decompression may take."""
KEYS: Mapping[str, Any] = {
    "effective_date": {
        "type": ["string", "null"],
        "description": "The day on which the agreement becomes legally binding, as YYYY-MM-DD",
    },
    "jurisdiction": {
        "type": ["string", "null"],
        "description": "The state or country under whose law the agreement is, by its name alone, such as New York",
    },
    "party": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Each party to the agreement once, by its full name without a comma, such as Acme Inc.",
    },
    "term": {
        "type": ["string", "null"],
        "description": "How long the agreement lasts: the number in digits and the unit that the text uses,"
        " such as 11 months, 1 year or 2 years",
    },
}
_GAP = re.compile(r"[\s:]")
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\f": "\f", r"\\": "\\"}
Counts = tuple[int, int, int]
"""Words that match, words that are expected, words that are given."""


def looks_like(folder: Path) -> bool:
    """Whether the folder is the repository, or one of its splits."""
    return any((place / f"in.tsv{end}").is_file() for place in (folder, folder / SPLIT) for end in (".xz", ""))


def read(folder: Path) -> Benchmark:
    """Read a split; of the whole repository, dev-0. Raises UsageProblem."""
    split = folder if any(folder.glob("in.tsv*")) else folder / SPLIT
    packed, answers = split / "in.tsv.xz", split / "expected.tsv"
    if not answers.is_file():
        raise broken(
            answers, "it is not there. The answers of test-A are hidden: name dev-0 (83 documents) or train (254)"
        )
    inputs = lines(decoded(unpacked(packed) if packed.is_file() else read_file(split / "in.tsv"), packed))
    expected = lines(decoded(read_file(answers), answers))
    if len(inputs) != len(expected):
        raise broken(answers, f"it has {len(expected):,} lines, and the input has {len(inputs):,}")
    rows = [line.split("\t") for line in inputs]
    if odd := next((number for number, row in enumerate(rows, 1) if len(row) < 3), None):
        raise broken(packed, f"line {odd:,} has no columns for the file's name, the keys and the text")
    cases = [
        Case(row[0], line.split(), re.sub(r"\\[ntf\\]", lambda found: _ESCAPES[found[0]], row[-1]))
        for row, line in zip(rows, expected, strict=True)
    ]
    schema = {"type": "object", "properties": KEYS, "required": list(KEYS)}
    name = re.sub("[^a-z0-9]+", "-", split.name.lower())[:20]
    return Benchmark(
        title=f"Kleister-NDA {split.name}",
        rule=(
            "GEval's MultiLabel-F1 over key=value words, upper-cased, all documents together; the intervals are of 95%,"
            " by drawing the documents again 200 times. The text is the last column of in.tsv"
        ),
        not_covered="the official score is on test-A (203 documents), whose answers are hidden",
        system="You extract four facts from a non-disclosure agreement. A fact that is not stated is null.",
        groups=[Group(f"{NAME}-{name}", schema, distinct(cases, packed))],
        score=scores,
    )


def unpacked(path: Path) -> bytes:
    """Decompress a file within bounds of size and memory. Raises UsageProblem."""
    unpacker = lzma.LZMADecompressor(memlimit=MOST_DICTIONARY)
    try:
        data = unpacker.decompress(read_file(path), max_length=MOST_BYTES)
    except lzma.LZMAError as error:
        raise broken(path, f"it cannot be decompressed: {error}") from error
    if not unpacker.eof:
        raise broken(path, f"it ends too early, or has more than {MOST_BYTES:,} bytes")
    return data


def lines(text: str) -> list[str]:
    """Split at line feeds alone: the last line may lack one."""
    return text.removesuffix("\n").split("\n") if text else []


def words(answer: Mapping[str, Any] | None) -> list[str]:
    """Write an answer as `key=value` words, as in expected.tsv: spaces and colons become underscores."""
    return [f"{key}={_GAP.sub('_', value)}" for key, value in _values(answer or {}) if value]


def _values(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in KEYS:
        values = answer.get(key)
        yield from ((key, str(value).strip()) for value in (values if isinstance(values, list) else [values]) if value)


def scores(pairs: Sequence[Pair]) -> list[Score]:
    """Score documents by the metrics of config.txt. A document without an answer gives no words."""
    true = [(list(expected), words(answer)) for expected, answer in pairs]
    upper = [([word.upper() for word in expected], [word.upper() for word in given]) for expected, given in true]
    counted = [counts(*one) for one in upper]
    exact = [float(sorted(expected) == sorted(given)) for expected, given in upper]
    found = [
        Score("F1, upper case", f1(counted), resampled(counted, f1)),
        Score("precision, upper case", _over(*_sums(counted)[::2])),
        Score("recall, upper case", _over(*_sums(counted)[:2])),
        Score("F1, true case", f1(cased := [counts(*one) for one in true]), resampled(cased, f1)),
        Score("Mean-F1 (by document)", mean(each := [f1([one]) for one in counted]), resampled(each, mean)),
        Score("Accuracy (all words right)", mean(exact), resampled(exact, mean)),
    ]
    for key in KEYS:
        start = f"{key}=".upper()
        of_key = [counts(*([word for word in side if word.startswith(start)] for side in one)) for one in upper]
        found.append(Score(f"F1 {key}", f1(of_key)))
    return found


def counts(expected: Sequence[str], given: Sequence[str]) -> Counts:
    """Count a document. Where words match only if they are equal, the maximum matching is the common multiset."""
    return (Counter(expected) & Counter(given)).total(), len(expected), len(given)


def f1(counted: Sequence[Counts]) -> float:
    """Return F1 over all documents together; like GEval, a share of nothing is 1, and 0/0 in F1 itself is 0."""
    right, expected, given = _sums(counted)
    precision, recall = _over(right, given), _over(right, expected)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


def _sums(counted: Sequence[Counts]) -> Counts:
    right, expected, given = (sum(column) for column in zip(*counted, strict=True))
    return right, expected, given


def _over(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
