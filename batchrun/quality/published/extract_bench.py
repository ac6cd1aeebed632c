"""ExtractBench of LlamaIndex: JSON of a schema of each document's own, scored by its unified value F1.

Source: run-llama/ExtractBench 0aa76ce (unified_evidence_metric.py, array_record_match_metric.py, data/download.py). The
benchmark of Contextual AI that has the same name is another one.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from batchrun.escaping import escape_control
from batchrun.quality.published.benchmark import Benchmark, Case, Group, LabelFile, Pair, Score, f1, ratio
from batchrun.quality.published.extract_bench_cells import with_iso_dates
from batchrun.quality.published.extract_bench_counts import Cells

NAME = "extractbench"
SPLITS = ("short", "medium", "long")
LOOKS = f"ExtractBench of LlamaIndex: {', '.join(f'{split}.jsonl' for split in SPLITS)} beside docs/"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a document: the answer, the schema's properties, and the rules of fields by their paths."""

    split: str
    output: Mapping[str, Any]
    properties: Mapping[str, Any]
    rules: Mapping[str, Mapping[str, Any]]


def read(folder: Path) -> Benchmark | None:
    """Read the splits that are there, in groups of documents with one schema. Returns None without a split.

    Raises UsageProblem.
    """
    files = [LabelFile(path) for split in SPLITS if (path := folder / f"{split}.jsonl").is_file()]
    groups = dict[str, Group]()
    for file in files:
        for number, line in enumerate(file.text().split("\n"), 1):
            if line.strip():
                schema, case = _case(line, folder, file, f"line {number:,}: ")
                new = Group(f"{NAME}-{len(groups) + 1:02}", schema, [])
                groups.setdefault(json.dumps(schema, sort_keys=True), new).cases.append(case)
    if not files:
        return None
    if not groups:
        raise LabelFile(folder).broken("its splits have no documents")
    for group in groups.values():
        LabelFile(folder).distinct(group.cases)
    return Benchmark(
        title="ExtractBench (LlamaIndex)",
        rule=(
            "unified value F1: cells after an assignment of list entries; dates in eight forms and white space made"
            " equal; alternates and a correct null credited; unweighted mean over documents, 0 where there is no answer"
        ),
        note=(
            "grounding F1 (pages and boxes) is not measured. Lists of more than 200 unequal entries are assigned"
            " greedily, which may cost a little. Contextual AI's benchmark of the same name has another score"
        ),
        system=(
            "You extract the values of a JSON Schema from a document: every entry of every list, and null, never a"
            " guess, where the document does not say."
        ),
        groups=list(groups.values()),
        score=scores,
    )


def _case(line: str, folder: Path, file: LabelFile, place: str) -> tuple[Mapping[str, Any], Case]:
    row = file.parsed(line, place)
    try:
        pdf = PurePosixPath(row["pdf"])
        schema, output, rules = (
            file.parsed(value, place) if isinstance(value := row.get(key) or "{}", str) else value
            for key in ("data_schema", "expected_output", "field_rules")
        )
        if isinstance(rules, list):
            rules = {rule["field_path"]: rule for rule in rules if "field_path" in rule}
        properties = schema["properties"]
        objects = (properties, output, rules, *rules.values())
    except (KeyError, TypeError, AttributeError) as error:
        raise file.broken(f"{place}it is no test case ({type(error).__name__}: {error})") from error
    if not all(isinstance(one, dict) for one in objects):
        raise file.broken(f"{place}the properties of the schema, the answer and the rules have to be objects")
    inside = not pdf.is_absolute() and ".." not in pdf.parts and escape_control(pdf) == str(pdf)
    if not inside or not (folder / pdf).is_file():
        raise file.broken(f"{place}there is no file {escape_control(pdf)} below the folder")
    return schema, Case(str(pdf), Expected(file.path.stem, output, properties, rules))


def scores(pairs: Sequence[Pair]) -> list[Score]:
    """Score each document, and average over documents: all of them, and those of each split."""
    each = [(expected.split, precision_recall_f1(expected, answer)) for expected, answer in pairs]
    found = [
        Score(f"value {name}", ratio(sum(one[at] for _, one in each), len(each)))
        for at, name in ((2, "F1"), (0, "precision"), (1, "recall"))
    ]
    for split in SPLITS:
        of_split = [one[2] for name, one in each if name == split]
        found += [Score(f"value F1, {split} ({len(of_split)})", sum(of_split) / len(of_split))] if of_split else []
    return found


def precision_recall_f1(expected: Expected, answer: Mapping[str, Any] | None) -> tuple[float, float, float]:
    """Score one document. A document without an answer, or nested too deeply to be followed, has zeros."""
    cells = Cells(expected.rules)
    if answer is not None:
        with contextlib.suppress(RecursionError):
            cells.add_fields(with_iso_dates(expected.output), with_iso_dates(answer), expected.properties)
    precision, recall = ratio(cells.right, cells.given) or 0.0, ratio(cells.right, cells.expected) or 0.0
    return precision, recall, f1(precision, recall)
