"""ExtractBench of LlamaIndex: equal cells, the assignment of entries, and the mean over documents."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_samples import SCHEMA, extract_bench, row_of

from batchrun.errors import UsageProblem
from batchrun.quality.published import extract_bench as benchmark
from batchrun.quality.published.extract_bench_cells import equal, iso_date, similarity
from batchrun.quality.published.extract_bench_counts import Cells

DATES = {
    "2024-3-5": "2024-03-05",
    "03/05/2024": "2024-03-05",
    "3/5/24": "2024-03-05",
    "03-05-2024": "2024-03-05",
    "3-5-76": "1976-03-05",
    "March 5, 2024": "2024-03-05",
    "March 5,2024": "2024-03-05",
    "Tuesday March 5, 2024": "2024-03-05",
    "5 March 2024": "2024-03-05",
    "Sep. 5 2024": "2024-09-05",
    "3-5-75": "2075-03-05",
    "25/12/2024": "2024-12-25",
    "2024-03-05T10:30:00Z": "2024-03-05",
    "02/30/2024": "02/30/2024",
    "1/2/1850": "1/2/1850",
    "Invoice 12 2024": "Invoice 12 2024",
    "20240305": "20240305",
    "12-34": "12-34",
}
EQUAL = {
    "white space": ("a  b\n", "a b", "x", (), True),
    "case": ("A", "a", "x", (), False),
    "case, where it may": ("A", "a", "x", ("case_insensitive",), True),
    "a number and its text": (3, "3", "x", (), False),
    "numbers": (3, 3.0, "x", (), True),
    "null and nothing": (None, "", "x", (), False),
    "null and false": (None, False, "x", ("null_equals_false",), True),
    "null and 0": (None, 0, "x", ("null_equals_false",), False),
    "a last dot": ("item 5.", "item 5", "x", ("optional_terminal_punctuation",), True),
    "two last dots": ("item 5..", "item 5", "x", ("optional_terminal_punctuation",), False),
    "dots alone": (".", ";", "x", ("optional_terminal_punctuation",), False),
    "space at a comma": ("3, 4", "3,4", "x", ("punctuation_spacing",), True),
    "a telephone number": ("+1 (212) 555-0100", "2125550100", "x", ("phone_digits",), True),
    "a shorter one": ("555-0100", "2125550100", "x", ("phone_digits",), False),
    "a split year": ("June 5, 19 55", "1955-06-05", "x", ("lenient_date",), True),
    "a short year": ("June 17, 43", "June 17, 1943", "x", ("lenient_date",), True),
    "no day": ("May 11", "May 1911", "x", ("lenient_date",), False),
    "a description that is alike": (
        "Payment of the rent for May",
        "Payment of the rent, for may.",
        "description",
        (),
        True,
    ),
    "a description with another word": ("Rent for May", "Rent for June", "description", (), False),
    "a normalizer that is none": ("A", "a", "x", ("upside_down", 7), False),
}
ENTRIES = st.lists(st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.sampled_from("xyz")}), max_size=4)


@pytest.mark.parametrize("text", DATES)
def test_dates_in_eight_forms(text: str) -> None:
    assert iso_date(text) == DATES[text]


@pytest.mark.parametrize("case", EQUAL)
def test_cells_are_equal(case: str) -> None:
    expected, answer, name, normalizers, wanted = EQUAL[case]

    assert equal(expected, answer, name, normalizers) is wanted


@settings(max_examples=40)
@given(st.text("abc", min_size=1, max_size=8), st.text("abc", min_size=1, max_size=8))
def test_similarity_is_that_of_the_longest_common_subsequence(one: str, other: str) -> None:
    lengths = {(at, to): 0 for at in range(len(one) + 1) for to in range(len(other) + 1)}
    for at, to in itertools.product(range(1, len(one) + 1), range(1, len(other) + 1)):
        longer = lengths[at - 1, to - 1] + 1 if one[at - 1] == other[to - 1] else 0
        lengths[at, to] = max(longer, lengths[at - 1, to], lengths[at, to - 1])

    assert similarity(one, other) == 2 * lengths[len(one), len(other)] / (len(one) + len(other))


def cells(expected: Any, answer: Any, schema: Mapping[str, Any] = {}, **rules: Any) -> tuple[int, int, int]:
    counted = Cells({path.replace("__", "."): rule for path, rule in rules.items()})
    counted.add_fields(expected, answer, schema)
    return counted.right, counted.expected, counted.given


def test_a_field_that_one_side_lacks_is_null_there_and_a_correct_null_is_credited() -> None:
    assert cells({"a": None, "b": 1, "c": None}, {"b": 1, "d": 2}) == (3, 4, 4)


def test_an_object_is_one_cell_and_a_list_of_texts_has_none() -> None:
    assert cells({"a": {"x": 1, "y": 2}, "b": ["t"]}, {"a": {"x": 1, "y": 3}, "b": ["t"]}) == (0, 1, 1)


def test_an_alternate_counts_for_its_own_entry_alone() -> None:
    expected, rule = {"a": [{"x": "one"}, {"x": "two"}]}, {"evidence": [{"value": "1"}, {"value": None}, 7]}

    assert cells(expected, {"a": [{"x": "two"}, {"x": "1"}]}, **{"a[0]__x": rule}) == (2, 2, 2)
    assert cells(expected, {"a": [{"x": "one"}, {"x": "1"}]}, **{"a[0]__x": rule}) == (1, 2, 2)


def test_entries_in_entries_are_assigned_too_and_what_has_no_counterpart_counts_on_its_side() -> None:
    expected = {"a": [{"id": 1, "of": [{"x": 1}, {"x": 2}]}, {"id": 2, "of": [{"x": 3}]}]}
    answer = {"a": [{"id": 2, "of": []}, {"id": 4, "of": [{"x": 7}, {"x": 8}]}, {"id": 1, "of": [{"x": 2}, {"x": 5}]}]}

    # Both ids and one x are right. Expected are 2 ids and 3 x; given are 3 ids, and 4 x of which 2 have no counterpart.
    assert cells(expected, answer) == (3, 5, 7)
    assert cells(expected, {"a": None}) == (0, 5, 0)


@settings(max_examples=40)
@given(ENTRIES, ENTRIES)
def test_no_other_assignment_has_more_equal_cells(expected: list[Any], answer: list[Any]) -> None:
    longest, shortest = sorted([expected, answer], key=len, reverse=True)
    best = max(
        sum(one[name] == other[name] for one, other in zip(order, shortest, strict=False) for name in "ab")
        for order in itertools.permutations(longest)
    )

    assert cells({"l": expected}, {"l": answer})[0] == (best if expected else 0)


def test_a_list_that_is_too_long_for_the_best_assignment_loses_little() -> None:
    expected = [{"id": f"r{number}", "amount": number, "note": "n"} for number in range(1_000)]
    answer = [{**entry, "note": "m"} for entry in reversed(expected[1:])]

    assert cells({"l": expected}, {"l": answer}) == (1_998, 3_000, 2_997)


def test_the_score_is_the_mean_over_documents_and_a_failed_document_is_0() -> None:
    def expected(split: str, **output: Any) -> benchmark.Expected:
        return benchmark.Expected(split, output, {}, {})

    pairs: list[Any] = [
        (expected("short", day="March 5, 2024", total=1), {"day": "2024-03-05", "total": 2}),
        (expected("short", a=1), None),
        (expected("long", lines=[{"x": 1}, {"x": 2}]), {"lines": [{"x": 2}]}),
    ]

    scores = {score.name: score.value for score in benchmark.scores(pairs)}

    assert scores == pytest.approx({
        "value F1": (1 / 2 + 0 + 2 / 3) / 3,
        "value precision": (1 / 2 + 0 + 1) / 3,
        "value recall": (1 / 2 + 0 + 1 / 2) / 3,
        "value F1, short (2)": 1 / 4,
        "value F1, long (1)": 2 / 3,
    })  # fmt: skip


def test_an_answer_that_is_nested_too_deeply_is_none() -> None:
    deep = json.loads('{"a": ' + "[" * 900 + "]" * 900 + "}")

    assert benchmark.precision_recall_f1(benchmark.Expected("short", {"a": 1}, {}, {}), deep) == (0.0, 0.0, 0.0)


def test_documents_with_one_schema_are_a_group(tmp_path: Path) -> None:
    found = benchmark.read(extract_bench(tmp_path))

    assert [[case.doc_id for case in group.cases] for group in found.groups] == [
        ["docs/short/one [1].pdf", "docs/long/three.pdf"],
        ["docs/short/two.pdf"],
    ]
    assert found.groups[0].schema == SCHEMA


ROW = row_of("docs/a.pdf", SCHEMA)
BROKEN = {
    "no JSON": ("{", "line 1: it is no JSON"),
    "no object": ("[]", "no test case"),
    "no file": (json.dumps(row_of("docs/b.pdf", SCHEMA)), "no file docs/b.pdf"),
    "a file elsewhere": (json.dumps(row_of("../a.pdf", SCHEMA)), r"no file \.\./a.pdf"),
    "an absolute path": (json.dumps(row_of("/etc/passwd", SCHEMA)), "no file /etc/passwd"),
    "a NUL": (json.dumps(row_of("docs/a\0.pdf", SCHEMA)), "no file"),
    "a schema that is no JSON": (json.dumps({**ROW, "data_schema": "{"}), "it is no JSON"),
    "a schema that is a list": (json.dumps({**ROW, "data_schema": "[]"}), "no test case"),
    "an answer that is a list": (json.dumps({**ROW, "expected_output": "[]"}), "have to be objects"),
    "rules that are numbers": (json.dumps({**ROW, "field_rules": '{"a": 1}'}), "have to be objects"),
    "one file twice": ("\n".join([json.dumps(ROW)] * 2), "two documents"),
    "nothing": ("\n\n", "no documents"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_line_is_told(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "short.jsonl").write_text(content)

    with pytest.raises(UsageProblem, match=words):
        benchmark.read(tmp_path)
