"""Audits and reviews in the ledger: what is frozen, what counts, and what becomes known as labels."""

import contextlib
import random
import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from audit_cases import answer, begin, long_document, opened, said

from batchrun.quality.review.labels import reviewed_labels
from batchrun.quality.review.standing import Standing, order, standing_of
from batchrun.store.ledger.audits import Audit, Audits, Cell
from batchrun.store.ledger.ledger import Ledger

VALUES = {"term": 24, "law": "Ohio"}


def latest(audits: Audits) -> Audit:
    audit = audits.latest()
    assert audit is not None
    return audit


def stands(audits: Audits) -> Standing:
    return standing_of(latest(audits), audits)


@pytest.fixture
def audits(ledger: Ledger) -> Audits:
    """An open audit of three documents, the last of them a long one. Another job has the same answers."""
    for job in ("other", "trial"):
        run_no = begin(ledger, job)
        for doc_id in ("a", "b"):
            answer(ledger, run_no, doc_id, VALUES, job=job)
    answer(ledger, run_no, "failed", VALUES)
    ledger.connection.execute("update documents set row_request_no = null where doc_id = 'failed'")
    long_document(ledger, run_no, "long", VALUES)
    return opened(ledger)


# --- what is frozen


def test_an_audit_has_the_rows_of_its_job_as_they_were(audits: Audits, ledger: Ledger) -> None:
    audit = latest(audits)
    assert {doc_id: (one.request_id, one.content) for doc_id, one in audit.documents.items()} == {
        "a": ("request of a", "c"), "b": ("request of b", "c"), "long": ("merged", "bytes"),
    }  # fmt: skip
    assert (audit.max_error, audit.seed, audit.fields, audit.ordinal) == (0.05, 7, ["term", "law"], 1)
    assert Audits(ledger, "other").latest() is None


def test_what_changes_or_comes_later_is_told_and_not_covered(audits: Audits, ledger: Ledger) -> None:
    answer(ledger, 2, "a", VALUES, request="asked again")
    answer(ledger, 2, "new", VALUES)
    standing = stands(audits)
    assert (standing.changed, standing.added, standing.cells) == ({"a"}, 1, 6)
    opened(ledger)
    assert (stands(audits).changed, stands(audits).added, stands(audits).cells) == (set(), 0, 8)
    assert [audit.ordinal for audit in audits.each()] == [1, 2]


# --- what counts


def test_the_last_entry_counts_and_every_entry_stays(audits: Audits, ledger: Ledger) -> None:
    audit = latest(audits)
    cell = next(order(audit))
    for verdict in ("accepted", "corrected", "rejected"):
        audits.record([said(audit, cell, verdict)])
    assert [one.verdict for one in audits.reviews()] == ["accepted", "corrected", "rejected"]
    assert stands(audits).reviews[cell].verdict == "rejected"
    assert stands(audits).audited == [(cell, True)]


def test_a_review_is_on_the_disk_when_record_returns(audits: Audits, tmp_path: Path) -> None:
    audits.record([said(latest(audits), Cell("a", "term"))])
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
        assert other.execute("select doc_id, field, verdict, reviewer from reviews").fetchall() == [
            ("a", "term", "accepted", "ada")
        ]


def test_reviews_are_recorded_together_or_not_at_all(audits: Audits) -> None:
    good = said(latest(audits), Cell("a", "term"))
    with pytest.raises(sqlite3.IntegrityError):
        audits.record([good, replace(good, reviewer=None)])  # type: ignore[arg-type]
    assert list(audits.reviews()) == []


@pytest.mark.parametrize("doc_id", ["a", "long"])
def test_a_review_moves_the_head_so_that_the_output_follows(audits: Audits, ledger: Ledger, doc_id: str) -> None:
    before, of_other = ledger.head("trial"), ledger.head("other")
    audits.record([said(latest(audits), Cell(doc_id, "term"), "corrected")])
    assert ledger.head("trial") > before
    assert ledger.head("other") == of_other


def test_what_was_said_of_an_answer_says_nothing_of_the_next_one(audits: Audits, ledger: Ledger) -> None:
    audits.record([said(latest(audits), Cell("a", "term"), "corrected")])
    answer(ledger, 2, "a", VALUES, request="asked again")
    opened(ledger)
    assert stands(audits).reviews == {}


# --- labels


def test_labels_are_what_people_held_right(audits: Audits, ledger: Ledger) -> None:
    audit = latest(audits)
    first, second, third, *_ = order(audit)
    audits.record(
        [
            said(audit, first, "corrected", value='"right"'),
            said(audit, second, "rejected"),
            said(audit, third, drawn="queue", value="0.1"),
        ]
    )
    known = reviewed_labels(ledger, "trial")
    assert known[first.doc_id][first.field] == "right"
    assert known[third.doc_id][third.field] == Decimal("0.1"), "the audit has drawn it too"
    assert sum(map(len, known.values())) == 2
    assert reviewed_labels(ledger, "other") == {}


def test_labels_outlast_another_prompt_and_not_another_document(audits: Audits, ledger: Ledger) -> None:
    audits.record([said(latest(audits), cell) for cell in order(latest(audits))])
    answer(ledger, 2, "a", VALUES, request="another prompt")
    answer(ledger, 2, "b", VALUES, request="another text", content="c2")
    ledger.connection.execute("update documents set row_request_no = null where doc_id = 'a'")  # it fails now
    assert reviewed_labels(ledger, "trial").keys() == {"a", "long"}


def test_what_only_the_queue_has_reviewed_is_no_label(audits: Audits, ledger: Ledger) -> None:
    audits.record([said(latest(audits), Cell(doc_id, "law"), drawn="queue") for doc_id in ("a", "b", "long")])
    assert reviewed_labels(ledger, "trial") == {}


# --- the promise


def test_a_false_promise_is_rare_and_a_true_one_is_made(ledger: Ledger) -> None:
    """Fifty fields, of which 8 or none are wrong and 5 may be, audited to the end of what the ledger says."""
    run_no, rng = begin(ledger), random.Random(5)
    for number in range(25):
        answer(ledger, run_no, f"d{number:02}", VALUES)

    def promised(seed: int, wrong: set[Cell]) -> bool:
        audits = opened(ledger, seed=seed, max_error=0.1)
        standing = stands(audits)
        for cell in list(standing.upcoming("audit"))[:42]:
            fresh = said(standing.audit, cell, "corrected" if cell in wrong else "accepted")
            standing = replace(standing, reviews={**standing.reviews, cell: fresh})
            if standing.queue.promised:
                return True
        return False

    cells = [Cell(f"d{number:02}", field) for number in range(25) for field in ("term", "law")]
    assert sum(promised(seed, set(rng.sample(cells, 8))) for seed in range(20)) <= 3
    assert promised(1, set())
