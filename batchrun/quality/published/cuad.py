"""CUAD: passages of contracts in 41 categories, scored as the benchmark's evaluate.py compares lists of passages.

Source: TheAtticusProject/cuad 6667285 and 67faa0e (evaluate.py).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchrun.quality.published.benchmark import Benchmark, Case, Group, LabelFile, Pair, Score, f1, ratio

FILES = ("test.json", "CUADv1.json", "CUAD_v1.json")
LOOKS = f"CUAD: {', '.join(FILES)} in SQuAD form, in the folder or in data/"
SAME = 0.5
"""The least Jaccard index of two passages that match."""


def read(folder: Path) -> Benchmark | None:
    """Read the contracts and the passages. Returns None without such a file. Raises UsageProblem."""
    paths = (place / name for place in (folder, folder / "data") for name in FILES)
    path = next(filter(Path.is_file, paths), None)
    if path is None:
        return None
    file, asked = LabelFile(path), dict[str, str]()
    found = file.parsed(file.text())
    try:
        parts = ((contract["title"], part) for contract in found["data"] for part in contract["paragraphs"])
        cases = file.distinct([_case(title.strip(), part, asked) for title, part in parts])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise file.broken(f"it is not in SQuAD form ({type(error).__name__}: {error})") from error
    properties = {
        field: {"type": "array", "items": {"type": "string"}, "description": question}
        for field, question in asked.items()
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Benchmark(
        title=f"CUAD {path.name}",
        rule=(
            "as evaluate.py counts, all questions together: passages match at a Jaccard index of their words of 0.5,"
            " for Parties also if the expected one is contained; hits and misses are of expected passages, strays of"
            " given ones, not one to one"
        ),
        note="CUAD's headline, AUPR and precision at 80% recall, needs a confidence for each passage: it is left out",
        system=(
            "You review a contract. For each category, quote word for word every passage that belongs to the category,"
            " in whole sentences where the category asks for a clause. A category without a passage is an empty list."
        ),
        groups=[Group("cuad", schema, cases)],
        score=scores,
    )


def _case(title: str, part: Mapping[str, Any], asked: dict[str, str]) -> Case:
    """Make the case of a contract, and note what its questions are."""
    expected = list[tuple[str, bool, list[str]]]()
    for question in part["qas"]:
        name = question["id"]
        field = re.sub(r"[^a-z0-9]+", "_", name.rpartition("__")[2].lower()).strip("_")
        asked.setdefault(field, str(question["question"]).rpartition("Details:")[2].strip())
        texts = [answer["text"] for answer in question["answers"]]
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError(f"an answer to {name} is no text")
        expected.append((field, "Parties" in name, texts))
    return Case(title, expected, str(part["context"]))


def scores(pairs: Sequence[Pair]) -> list[Score]:
    """Score all questions together. A document without an answer gives no passages."""
    hits = misses = strays = 0
    for expected, answer in pairs:
        for field, is_parties, passages in expected:
            given = _passages((answer or {}).get(field))
            found = [[matches(passage, one, is_parties=is_parties) for one in given] for passage in passages]
            hits += sum(any(row) for row in found)
            misses += sum(not any(row) for row in found)
            strays += sum(not any(row[at] for row in found) for at in range(len(given)))
    precision, recall = ratio(hits, hits + strays), ratio(hits, hits + misses)
    return [
        Score("F1 at Jaccard 0.5", f1(precision or 0.0, recall or 0.0) or None),
        Score("precision at Jaccard 0.5", precision),
        Score("recall at Jaccard 0.5", recall),
    ]


def _passages(given: object) -> list[str]:
    """List the passages of an answer: each once, and no empty one, as evaluate.py takes them."""
    texts = given if isinstance(given, list) else []
    return list(dict.fromkeys(text for text in texts if isinstance(text, str) and text))


def matches(expected: str, given: str, *, is_parties: bool) -> bool:
    """Whether a passage that was given is the expected one. Two passages without a word do not match."""
    one, other = _words(expected), _words(given)
    return (bool(one | other) and len(one & other) / len(one | other) >= SAME) or (is_parties and expected in given)


def _words(passage: str) -> set[str]:
    return set(re.sub("[.,;:]", "", passage).lower().replace("/", " ").split())
