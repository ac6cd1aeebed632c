"""CUAD: which passages match, the counts that are not one to one, and files that are not in SQuAD form."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_samples import cuad, question

from batchrun.errors import UsageProblem
from batchrun.quality.published import cuad as benchmark

MATCHES = {
    "half of the words": ("a b c", "a b d", False, True),
    "less than half": ("a b c", "a d e", False, False),
    "case, commas and slashes": ("Acme, Inc./Beta", "acme inc beta", False, True),
    "each word once": ("a a a b", "a b", False, True),
    "a party within a longer passage": ("Acme Inc.", "between Acme Inc. of Ohio and others, hereinafter", True, True),
    "the same for another category": ("Acme Inc.", "between Acme Inc. of Ohio and others, hereinafter", False, False),
    "no words": (".", ",", False, False),
}
PASSAGES = st.lists(st.sampled_from(["a b", "a c", "a b c d", "e", "e f g", "x"]), max_size=4, unique=True)


@pytest.mark.parametrize("case", MATCHES)
def test_passages_match(case: str) -> None:
    expected, given_passage, is_parties, wanted = MATCHES[case]

    assert benchmark.matches(expected, given_passage, is_parties=is_parties) is wanted


def scores(*pairs: tuple[list[str], list[Any] | None], is_parties: bool = True) -> list[float | None]:
    """F1, precision and recall where each pair is one document's parties."""
    found = [
        ([("parties", is_parties, expected)], None if given is None else {"parties": given})
        for expected, given in pairs
    ]
    return [score.value for score in benchmark.scores(found)]


def test_hits_are_counted_over_expected_passages_and_doubles_of_a_hit_are_free() -> None:
    given_passages = ["the Acme Inc. of Ohio, a company", "acme inc", "nobody", "nobody", ""]

    # One of two is found, twice, which counts once; "nobody" is one stray, as evaluate.py takes a passage once.
    assert scores((["Acme Inc.", "Beta LLC"], given_passages)) == pytest.approx([1 / 2, 1 / 2, 1 / 2])


def test_questions_are_counted_together_and_a_document_without_an_answer_gives_nothing() -> None:
    found = scores((["A B"], ["A B"]), (["C D"], None), ([], ["E", "F"]))

    assert found == pytest.approx([2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2), 1 / 3, 1 / 2])


def test_a_share_of_nothing_is_undefined() -> None:
    assert scores(([], [])) == [None, None, None]


@settings(max_examples=40)
@given(st.lists(st.tuples(PASSAGES, PASSAGES), min_size=1, max_size=4))
def test_the_counts_are_those_of_an_independent_reckoning(questions: list[tuple[list[str], list[str]]]) -> None:
    hits = misses = strays = 0
    for expected, answer in questions:
        found = {
            (one, other)
            for one in expected
            for other in answer
            if 2 * len({*one.split()} & {*other.split()}) >= len({*one.split()} | {*other.split()})
        }
        hits += len({one for one, _ in found})
        misses += len(set(expected) - {one for one, _ in found})
        strays += len(set(answer) - {other for _, other in found})

    _, precision, recall = scores(*questions, is_parties=False)

    assert precision == (hits / (hits + strays) if hits + strays else None)
    assert recall == (hits / (hits + misses) if hits + misses else None)


def test_the_questions_are_the_fields(tmp_path: Path) -> None:
    found = benchmark.read(cuad(tmp_path))

    (group,) = found.groups
    assert list(group.schema["properties"]) == ["parties", "governing_law"]
    assert group.schema["properties"]["parties"]["description"] == "What is it?"
    assert [case.doc_id for case in group.cases] == ["Contract 0", "Contract 1", "Contract 2"]
    assert group.cases[0].expected == [("parties", True, ["Acme Inc."]), ("governing_law", False, [])]
    assert group.cases[0].text == "Contract 0 between Acme Inc.."


PARAGRAPH = {"context": "x", "qas": [question("T", "Parties", "A")]}
BROKEN = {
    "no JSON": "{",
    "nested too deeply": "[" * 200_000,
    "a list": "[]",
    "no contracts": {"data": []},
    "no paragraphs": {"data": [{"title": "T"}]},
    "a title that is no text": {"data": [{"title": 3, "paragraphs": [PARAGRAPH]}]},
    "an answer without text": {
        "data": [{"title": "T", "paragraphs": [{"context": "x", "qas": [question("T", "P", "")]}]}]
    },
    "one title twice": {"data": [{"title": "T", "paragraphs": [PARAGRAPH]}] * 2},
    "half a character": '{"data": [{"title": "\\ud800", "paragraphs": []}]}',
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_told(tmp_path: Path, case: str) -> None:
    content = BROKEN[case]
    (tmp_path / "test.json").write_text(content if isinstance(content, str) else json.dumps(content))

    with pytest.raises(UsageProblem, match=r"test\.json"):
        benchmark.read(tmp_path)
