"""Kleister-NDA: the words of an answer, GEval's counts, and files that are not in the published form."""

import itertools
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_samples import KLEISTER_ANSWERS, KLEISTER_EXPECTED, kleister

from batchrun.errors import UsageProblem
from batchrun.quality.published import kleister as benchmark

WORDS = st.lists(st.sampled_from(["party=A", "party=B", "term=1_year"]), max_size=4)
PAIRS = [(line.split(), answer) for line, answer in zip(KLEISTER_EXPECTED, KLEISTER_ANSWERS, strict=True)]


def test_the_sample_has_the_scores_that_were_worked_out_by_hand() -> None:
    scores = {score.name: score.value for score in benchmark.scores(PAIRS)}

    # Of 6 expected words, 7 are given: 4 + 0 + 1 right in upper case, one fewer in true case (ACME).
    assert scores == pytest.approx({
        "F1, upper case": 10 / 13,
        "precision, upper case": 5 / 7,
        "recall, upper case": 5 / 6,
        "F1, true case": 8 / 13,
        "Mean-F1 (by document)": (8 / 9 + 1 + 1 / 2) / 3,
        "Accuracy (all words right)": 1 / 3,
        "F1 effective_date": 1.0,
        "F1 jurisdiction": 1.0,
        "F1 party": 4 / 7,
        "F1 term": 1.0,
    })  # fmt: skip


@settings(max_examples=40)
@given(WORDS, WORDS)
def test_the_hits_are_the_maximum_matching(expected: list[str], given_words: list[str]) -> None:
    longest, shortest = sorted([expected, given_words], key=len, reverse=True)
    best = max(
        sum(one == other for one, other in zip(order, shortest, strict=False))
        for order in itertools.permutations(longest)
    )

    assert benchmark.counts(expected, given_words) == (best, len(expected), len(given_words))


def test_nothing_expected_and_nothing_given_is_right_and_something_given_is_wrong() -> None:
    assert benchmark.micro_f1([(0, 0, 0)]) == 1.0
    assert benchmark.micro_f1([(0, 0, 2)]) == benchmark.micro_f1([(0, 2, 0)]) == 0.0


def test_the_interval_leaves_out_five_of_200_values_at_each_end() -> None:
    seen = list[float]()

    def metric(rows: object) -> float:
        seen.append(benchmark.micro_f1(rows))  # type: ignore[arg-type]
        return seen[-1]

    interval = benchmark.resampled([(right, 3, 3) for right in (0, 1, 2, 3)], metric)

    assert len(seen) == 200
    assert interval == (sorted(seen)[5], sorted(seen)[194])
    assert interval[0] < interval[1]


def test_spaces_and_colons_become_underscores_and_what_is_empty_is_no_word() -> None:
    answer = {"effective_date": "  ", "party": ["A\u00a0B: C", None, ""], "term": 2, "other": "x"}

    assert benchmark.words(answer) == ["party=A_B__C", "term=2"]


def test_the_files_are_read_without_quoting(tmp_path: Path) -> None:
    found = benchmark.read(kleister(tmp_path))

    (group,) = found.groups
    assert found.title == "Kleister-NDA dev-0"
    assert group.name == "kleister-nda-dev-0"
    assert [case.doc_id for case in group.cases] == ["a.pdf", "b.pdf", "c.pdf"]
    assert group.cases[0].text == 'Acme Inc. and "Beta LLC"\nagree on 1 May 2019\\.'
    assert group.cases[1].expected == []


def test_the_name_of_a_folder_cannot_end_a_line(tmp_path: Path) -> None:
    found = benchmark.read(kleister(tmp_path, "dev\n[x]") / "dev\n[x]")

    assert found.title == r"Kleister-NDA dev\n[x]"
    assert found.groups[0].name == "kleister-nda-dev-x-"


def packed(*lines: str) -> bytes:
    return lzma.compress("\n".join(lines).encode())


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "labels that are hidden": (lambda split: (split / "expected.tsv").unlink(), "the answers of test-A are hidden"),
    "a label too few": (lambda split: (split / "expected.tsv").write_text("party=A\n"), "1 lines, and in.tsv.xz has 3"),
    "no xz": (lambda split: (split / "in.tsv.xz").write_text("a\tb\tc"), "cannot be decompressed"),
    "half an xz": (lambda split: (split / "in.tsv.xz").write_bytes(packed("x" * 9_000)[:-20]), "ends too early"),
    "no columns": (lambda split: (split / "in.tsv.xz").write_bytes(packed("a\tb\tc", "a", "b\tb\tc")), "line 2"),
    "one name twice": (lambda split: (split / "in.tsv.xz").write_bytes(packed(*["a\tb\tc"] * 3)), "two documents"),
    "no UTF-8": (lambda split: (split / "expected.tsv").write_bytes(b"\xff\n\n\n"), "is not UTF-8"),
    "a folder": (lambda split: ((split / "expected.tsv").unlink(), (split / "expected.tsv").mkdir()), "is not there"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_told(tmp_path: Path, case: str) -> None:
    breaks, words = BROKEN[case]
    breaks(kleister(tmp_path) / "dev-0")

    with pytest.raises(UsageProblem, match=f"(?i){words}"):
        benchmark.read(tmp_path)


def test_a_file_that_unpacks_to_too_much_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kleister(tmp_path)
    monkeypatch.setattr(benchmark, "MOST_BYTES", 100)

    with pytest.raises(UsageProblem, match="more than 100 bytes"):
        benchmark.read(tmp_path)
