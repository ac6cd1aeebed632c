"""Promises: the numbers of the quality study, the bet by hand, and thresholds that stop where they should."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.statistics.audit import (
    AuditBet,
    calibrated_threshold,
    calibration_needed,
    queue_threshold,
    reviews_needed,
)
from batchrun.statistics.intervals import clopper_pearson_upper

STUDY = {
    0.01: [366, 636, 858, 1_056, 1_239],
    0.02: [183, 318, 430, 529, 621],
    0.05: [73, 126, 171, 210, 247],
}


@pytest.mark.parametrize("max_error", STUDY)
def test_reviews_that_a_promise_needs(max_error: float) -> None:
    assert [reviews_needed(max_error, errors, 21_312) for errors in range(5)] == STUDY[max_error]


def test_a_small_job_needs_fewer_reviews() -> None:
    needed = [reviews_needed(0.01, 0, total) for total in (100, 300, 1_000, 10_000, None)]

    assert needed == [98, 213, 309, 363, 369]


@pytest.mark.parametrize(("errors", "total"), [(2, 100), (1, 99), (1, 0)])
def test_more_errors_than_allowed_are_never_enough(errors: int, total: int) -> None:
    assert reviews_needed(0.01, errors, total) is None


def test_the_last_allowed_error_needs_all_cells() -> None:
    assert reviews_needed(0.01, 1, 100) == 100


def _bet(total: int, max_error: float, cells: list[bool]) -> AuditBet:
    bet = AuditBet(total, max_error)
    for wrong in cells:
        bet.add(wrong=wrong)
    return bet


def _stake(total: int, max_error: float, cells: list[bool]) -> float:
    """The mean stake, multiplied cell by cell in exact order."""
    stakes = [1.0] * 5
    for seen, wrong in enumerate(cells):
        null = (max_error * total - sum(cells[:seen])) / (total - seen)
        stakes = [
            stake * (1 + bet / (1 - null) * (null - wrong))
            for stake, bet in zip(stakes, (0.3, 0.6, 0.8, 0.92, 0.98), strict=True)
        ]
    return sum(stakes) / 5


@pytest.mark.parametrize("wrong_at", [[], [0], [40], [10, 90]], ids=str)
def test_the_promise_is_made_when_the_stake_is_twentyfold(wrong_at: list[int]) -> None:
    cells = [seen in wrong_at for seen in range(1_000)]
    first = next(seen for seen in range(1_000) if _stake(1_000, 0.05, cells[:seen]) >= 20)

    assert not _bet(1_000, 0.05, cells[: first - 1]).promised
    assert _bet(1_000, 0.05, cells[:first]).promised


def test_a_promise_is_taken_back_only_by_more_errors_than_it_allows() -> None:
    promised = [False] * 200

    assert _bet(1_000, 0.02, promised).promised
    assert _bet(1_000, 0.02, [*promised, *[True] * 20]).promised
    assert not _bet(1_000, 0.02, [*promised, *[True] * 21]).promised


def test_all_cells_wrong_or_right() -> None:
    assert not _bet(300, 0.05, [True] * 300).promised
    assert _bet(300, 0.05, [False] * 300).promised
    assert _bet(0, 0.05, []).promised
    with pytest.raises(ValueError, match="all cells"):
        _bet(3, 0.05, [False] * 4)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0.001, 0.999))
def test_once_all_is_seen_the_promise_is_the_truth(cells: list[bool], max_error: float) -> None:
    assert _bet(len(cells), max_error, cells).promised == (sum(cells) <= max_error * len(cells))


def test_a_false_promise_is_rare_though_it_is_looked_for_after_every_cell() -> None:
    draw = random.Random(7)
    false = 0
    for _ in range(100):
        cells = draw.sample([True] * 21 + [False] * 379, 399)  # one wrong cell more than 5% allows
        bet = AuditBet(400, 0.05)
        false += any(bet.promised or bet.add(wrong=wrong) for wrong in cells)

    assert false <= 10


def test_a_long_lucky_run_does_not_overflow() -> None:
    assert _bet(100_000, 0.6, [False] * 20_000).promised


DOCUMENTS = {f"d{rank:03}": float(1_000 - rank) for rank in range(1_000)}  # the most suspicious come first


def _cells(seed: int, count: int) -> list[str]:
    return random.Random(seed).sample([document for document in DOCUMENTS for _ in range(8)], count)


def test_the_queue_is_the_shortest_that_keeps_a_promise() -> None:
    faulty = set(list(DOCUMENTS)[:90])  # every fault lies in the 9% with the highest scores
    audited = [(document, document in faulty) for document in _cells(1, 700)]

    queue = queue_threshold(DOCUMENTS, audited, cells=8, max_error=0.01)

    assert queue.promised
    assert queue.documents == tuple(DOCUMENTS)[:100]
    assert queue.tested.total == 8 * 900
    accepted = [wrong for document, wrong in audited if document not in queue.documents]
    assert (queue.tested.seen, queue.tested.wrong) == (len(accepted), sum(accepted))


def test_the_first_share_that_fails_ends_the_sequence() -> None:
    tail = set(list(DOCUMENTS)[600:])  # only the unsuspicious are wrong: later, larger shares would look better
    audited = [(document, document in tail and index % 20 == 0) for index, document in enumerate(_cells(2, 700))]

    queue = queue_threshold(DOCUMENTS, audited, cells=8, max_error=0.01)

    assert (queue.promised, queue.documents) == (False, tuple(DOCUMENTS))
    assert queue.tested.total == 8 * 600, "the longest queue is the one that did not pass"
    assert queue.tested.wrong > 0.01 * queue.tested.seen


def test_nothing_wrong_needs_no_queue() -> None:
    queue = queue_threshold(DOCUMENTS, [(document, False) for document in _cells(3, 700)], cells=8, max_error=0.01)

    assert (queue.documents, queue.tested.total, queue.tested.seen) == ((), 8_000, 700)


def test_a_tie_is_accepted_whole_or_not_at_all() -> None:
    tied = {document: float(rank < 450) for rank, document in enumerate(DOCUMENTS)}  # 450 suspicious, 550 not
    right = [(document, document < "d450") for document in _cells(4, 1_500)]

    queue = queue_threshold(tied, right, cells=8, max_error=0.01)

    # the suspicious half of the audit is wrong: as the tie goes with the queue, all that is accepted is wrong-free
    assert queue.documents == tuple(DOCUMENTS)[:450]


def test_one_score_for_all_accepts_all_or_nothing() -> None:
    equal = dict.fromkeys(DOCUMENTS, 0.5)
    cells = _cells(5, 700)

    good = queue_threshold(equal, [(document, False) for document in cells], cells=8, max_error=0.01)
    bad = queue_threshold(equal, [(document, True) for document in cells], cells=8, max_error=0.01)

    assert (good.promised, good.tested.total) == (True, 8_000)
    assert (bad.promised, len(bad.documents)) == (False, 1_000)


def test_cells_of_documents_without_a_score_are_not_counted() -> None:
    audited = [("added later", False)] * 5_000

    assert not queue_threshold(DOCUMENTS, audited, cells=8, max_error=0.01).promised
    assert not queue_threshold({}, audited, cells=8, max_error=0.01).promised


@pytest.mark.parametrize(("max_difference", "needed"), [(0.01, 448), (0.02, 223), (0.05, 88)])
def test_calibrated_documents_that_a_cascade_needs(max_difference: float, needed: int) -> None:
    assert calibration_needed(max_difference) == needed
    same = [(float(index), False) for index in range(needed)]

    assert calibrated_threshold(same[1:], max_difference) is None
    found = calibrated_threshold(same, max_difference)
    assert found is not None
    assert (found.below, found.share, found.calibrated, found.differing) == (math.inf, 1.0, needed, 0)
    assert found.at_most == clopper_pearson_upper(0, needed)


def test_a_cascade_accepts_below_the_score_at_which_answers_differ() -> None:
    calibrated = [(float(index), index >= 480) for index in range(600)]
    random.Random(6).shuffle(calibrated)

    found = calibrated_threshold(calibrated, 0.02)

    assert found is not None
    assert (found.below, found.share, found.calibrated, found.differing) == (480.0, 0.8, 480, 0)


def test_a_cascade_accepts_nothing_where_the_strict_share_fails() -> None:
    assert calibrated_threshold([(float(index), index < 300) for index in range(3_000)], 0.05) is None
    assert calibrated_threshold([], 0.05) is None


def test_a_cascade_accepts_a_tie_whole_or_not_at_all() -> None:
    tied = [(float(index >= 550), index >= 550) for index in range(1_000)]

    found = calibrated_threshold(tied, 0.05)

    assert found is not None
    assert (found.below, found.calibrated) == (1.0, 550)
    assert calibrated_threshold([(0.5, index % 3 == 0) for index in range(1_000)], 0.05) is None
    everything = calibrated_threshold([(0.5, False)] * 1_000, 0.05)
    assert everything is not None
    assert everything.below == math.inf
