"""Tiny benchmarks of three documents each, in the forms in which the real ones are published."""

import json
import lzma
from pathlib import Path
from typing import Any

from hostile_files import pdf

KLEISTER_INPUT = [
    'a.pdf\teffective_date party\tocr\tocr\tocr\tAcme Inc. and "Beta LLC"\\nagree on 1 May 2019\\\\.',
    "b.pdf\tparty\tocr\tocr\tocr\tNothing of note.",
    "c.pdf\tjurisdiction party\tocr\tocr\tocr\tThe law of New York governs X.",
]
KLEISTER_EXPECTED = [
    "effective_date=2019-05-01 party=Acme_Inc. party=Beta_LLC term=2_years",
    "",
    "jurisdiction=New_York party=X",
]
KLEISTER_ANSWERS = [
    {"effective_date": "2019-05-01", "jurisdiction": None, "party": ["ACME Inc.", "Beta LLC", "Beta LLC"],
     "term": "2 years"},
    None,
    {"effective_date": None, "jurisdiction": " New York ", "party": ["Y: Z"], "term": ""},
]  # fmt: skip
QUESTION = 'Highlight the parts (if any) of this contract related to "{}". Details: What is it?'
SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": ["string", "null"]},
        "lines": {
            "type": "array",
            "items": {"type": "object", "properties": {"item": {"type": "string"}, "amount": {"type": "number"}}},
        },
    },
}


def kleister(folder: Path, split: str = "dev-0") -> Path:
    """The two files of a split."""
    (folder / split).mkdir(parents=True)
    with lzma.open(folder / split / "in.tsv.xz", "wt", encoding="utf-8") as file:
        file.write("\n".join(KLEISTER_INPUT) + "\n")
    (folder / split / "expected.tsv").write_text("\n".join(KLEISTER_EXPECTED) + "\n")
    return folder


def cuad(folder: Path, parties: tuple[tuple[str, ...], ...] = (("Acme Inc.",), ("Beta LLC",), ())) -> Path:
    """Contracts with two questions each, of which the one about the governing law has no answer."""
    contracts = [
        {"title": f"Contract {number}", "paragraphs": [{
            "context": f"Contract {number} between {' and '.join(names)}.",
            "qas": [question(f"Contract {number}", "Parties", *names), question(f"Contract {number}", "Governing Law")],
        }]}
        for number, names in enumerate(parties)
    ]  # fmt: skip
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "test.json").write_text(json.dumps({"version": "aok_v1.0", "data": contracts}))
    return folder


def question(title: str, category: str, *texts: str) -> dict[str, Any]:
    """A question in SQuAD form."""
    answers = [{"text": text, "answer_start": 0} for text in texts]
    return {"id": f"{title}__{category}", "question": QUESTION.format(category), "answers": answers}


def extract_bench(folder: Path) -> Path:
    """Two documents under one schema, one of them long, and one under a schema that no job can say."""
    odd = {"type": "object", "properties": {"n": {"type": ["string", "number"]}}}
    rows = [("short", "one [1]", SCHEMA), ("short", "two", odd), ("long", "three", SCHEMA)]
    for split, name, schema in rows:
        path = folder / "docs" / split / f"{name}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pdf(1))
        with (folder / f"{split}.jsonl").open("a") as file:
            file.write(json.dumps(row_of(f"docs/{split}/{name}.pdf", schema)) + "\n")
    return folder


def row_of(path: str, schema: object, **rules: object) -> dict[str, Any]:
    """A line of a split."""
    return {
        "id": path,
        "pdf": path,
        "category": "short",
        "tags": [],
        "data_schema": json.dumps(schema),
        "expected_output": json.dumps({"number": "7", "lines": [{"item": "tea", "amount": 1.5}]}),
        "field_rules": json.dumps(rules),
    }
