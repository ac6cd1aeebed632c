"""How an audit stands: the random order, what counts, what is promised, and what is reviewed next."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from audit_cases import audit_of, audited, first_cells, said, standing

from batchrun.quality.review.standing import order
from batchrun.store.ledger.audits import Cell

# --- the order


def test_the_order_has_every_field_of_every_document_once() -> None:
    audit = audit_of(20)
    cells = list(order(audit))
    assert sorted(cells) == sorted(Cell(*one) for one in product(audit.documents, audit.fields))
    assert cells == list(order(audit))
    assert cells != sorted(cells)


@pytest.mark.parametrize("changes", [{"seed": 8}, {"ordinal": 2}], ids=["seed", "next audit"])
def test_another_seed_and_another_audit_draw_anew(changes: dict[str, int]) -> None:
    assert list(order(audit_of(20))) != list(order(audit_of(20, **changes)))


@pytest.mark.parametrize("place", [0, 7, 19])
def test_every_field_is_as_likely_at_every_place(place: int) -> None:
    drawn = Counter(list(order(audit_of(10, seed=seed)))[place] for seed in range(2_000))
    assert len(drawn) == 20
    assert 60 < min(drawn.values()) <= max(drawn.values()) < 145


# --- what counts


def test_fields_count_in_their_order_up_to_the_last_reviewed_one() -> None:
    audit = audit_of(20)
    first, second, third, fourth = first_cells(audit, 4)
    drawn = standing(audit, said(audit, third), said(audit, first, "corrected"), said(audit, second, "rejected"))
    assert drawn.audited == [(first, True), (second, True), (third, False)]
    assert next(drawn.upcoming("audit")) == fourth


def test_a_field_that_is_left_out_counts_as_wrong_until_it_is_reviewed() -> None:
    audit = audit_of(20)
    first, second = first_cells(audit, 2)
    drawn = standing(audit, said(audit, second))
    assert drawn.audited == [(first, True), (second, False)]
    assert next(drawn.upcoming("audit")) == first


def test_what_the_queue_reviewed_does_not_calibrate_before_it_is_drawn() -> None:
    audit = audit_of(20)
    first, second, third = first_cells(audit, 3)
    assert standing(audit, said(audit, third, drawn="queue")).audited == []
    both = standing(audit, said(audit, first), said(audit, second, "rejected", drawn="queue"))
    assert both.audited == [(first, False), (second, True)]
    assert next(both.upcoming("audit")) == third


def test_what_an_earlier_audit_found_is_not_asked_again_and_draws_no_field() -> None:
    earlier, audit = audit_of(20), audit_of(20, audit_no=2, ordinal=2)
    first, second, third = first_cells(audit, 3)
    assert standing(audit, said(earlier, third, "corrected")).audited == []
    known = standing(audit, said(audit, first), said(earlier, second, "corrected"))
    assert known.audited == [(first, False), (second, True)]


def test_an_answer_that_has_changed_is_offered_no_more() -> None:
    audit = audit_of(20)
    first, second = first_cells(audit, 2)
    offered = list(standing(audit, changed=[first.doc_id]).upcoming("audit"))
    assert first.doc_id not in {cell.doc_id for cell in offered}
    assert offered[0] == second


# --- what is promised


def test_a_long_audit_without_an_error_promises_of_all_documents() -> None:
    audit = audit_of({f"d{number:03}": number / 100 for number in range(100)})
    queue = audited(audit, 100).queue
    assert queue.promised
    assert (queue.documents, queue.tested.total, queue.tested.seen, queue.tested.wrong) == ((), 200, 100, 0)


def test_a_score_that_knows_the_wrong_ones_gives_a_short_queue() -> None:
    audit = audit_of({f"d{number:03}": number / 100 for number in range(100)})
    wrong = [Cell(f"d{number:03}", "law") for number in range(91, 100)] + [Cell("d095", "term")]
    queue = audited(audit, 150, wrong=wrong).queue
    assert queue.promised
    assert 0 < len(queue.documents) <= 12
    assert queue.documents[:3] == ("d099", "d098", "d097")
    assert queue.tested.wrong <= 0.05 * queue.tested.total


def test_a_useless_score_gives_no_promise_and_is_found_out() -> None:
    audit = audit_of({f"d{number:03}": number / 100 for number in range(100)})
    useless = audited(audit, 150, wrong=first_cells(audit, 200)[::5])
    assert not useless.queue.promised
    assert useless.is_hopeless
    assert useless.next_drawn == "queue"
    assert len(useless.queue.documents) == 100


def test_an_early_error_is_no_reason_to_give_up() -> None:
    audit = audit_of({f"d{number:03}": number / 100 for number in range(100)})
    early = audited(audit, 3, wrong=first_cells(audit, 1))
    assert not early.is_hopeless
    assert early.next_drawn == "audit"
    assert early.more_needed


def test_more_errors_than_a_promise_allows_end_it_at_once() -> None:
    audit = audit_of(10, max_error=0.05)
    assert audited(audit, 2, wrong=first_cells(audit, 2)).is_hopeless


def test_documents_of_one_score_are_accepted_together() -> None:
    audit = audit_of(50)
    assert audited(audit, 90).queue.documents == ()
    assert standing(audit).queue.tested.total == 100


# --- what is reviewed next


def test_the_audit_comes_first_and_then_the_queue_with_the_most_suspicious_document_first() -> None:
    audit = audit_of({f"d{number:03}": number / 100 for number in range(100)}, max_error=0.2)
    assert standing(audit).next_drawn == "audit"
    wrong = [Cell(f"d{number:03}", field) for number in range(60, 100) for field in audit.fields]
    done = audited(audit, 70, wrong=wrong)
    assert done.queue.promised
    assert 0 < len(done.queue.documents) < 100
    assert (done.next_drawn, done.planned) == ("queue", 3 * 16)
    assert next(done.upcoming("queue")).doc_id in {"d099", "d098", "d097"}
    assert done.queue_left <= len(done.queue.documents)


def test_a_reviewed_queue_has_nothing_left() -> None:
    audit = audit_of(3, max_error=0.2)
    every = [said(audit, cell, drawn="queue") for cell in order(audit)]
    done = standing(audit, *every)
    assert list(done.upcoming("queue")) == list(done.upcoming("audit")) == []
    assert done.queue_left == 0


def test_an_audit_of_nothing_reviewed_draws_all_fields_if_need_be() -> None:
    audit = replace(audit_of(2), max_error=0.001)
    assert standing(audit).planned == 4
