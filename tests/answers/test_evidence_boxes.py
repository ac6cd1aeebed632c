"""Boxes are given to the passages that they belong to."""

from batchrun.answers.evidence_boxes import MOST_BOXES, spans_of, with_boxes

EVIDENCE = {
    "term": {"status": "exact", "spans": [[5, 9], [20, 25]]},
    "law": {"status": "none"},
    "parties": [{"status": "missing"}, {"status": "close", "spans": [[7, 8]]}],
}


def box(page: int) -> dict[str, float]:
    return {"page": page, "left": 0.0, "bottom": 0.0, "right": 1.0, "top": 1.0}


def test_every_span_has_its_boxes_in_order() -> None:
    assert spans_of(EVIDENCE) == [(5, 9), (20, 25), (7, 8)]
    assert with_boxes(EVIDENCE, [[box(1), box(2)], [box(3)], [box(4)]]) == {
        "term": {"status": "exact", "spans": [[5, 9], [20, 25]], "boxes": [box(1), box(2), box(3)]},
        "law": {"status": "none"},
        "parties": [{"status": "missing"}, {"status": "close", "spans": [[7, 8]], "boxes": [box(4)]}],
    }


def test_without_boxes_the_evidence_stays() -> None:
    assert with_boxes(EVIDENCE, []) == EVIDENCE
    assert with_boxes(EVIDENCE, [[], [], []]) == EVIDENCE


def test_one_passage_has_no_more_than_so_many_boxes() -> None:
    found = with_boxes(EVIDENCE, [[box(1)] * (MOST_BOXES + 1), [box(2)], []])

    assert found["term"]["boxes"] == [box(1)] * MOST_BOXES
