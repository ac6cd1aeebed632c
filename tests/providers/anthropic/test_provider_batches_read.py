"""The Message Batches client: what is made of a batch and of a page of batches."""

from dataclasses import replace
from typing import Any

import pytest
from batch_server import CREATED, REMOTE, TOLD, Scenario, api_error, cancel, create, outcome_of, page, retrieve
from loopback import responding

from batchrun.reply import Cause

BATCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it is": ({}, {}),
    "with fields of the future": ({"priority": {"x": 1}}, {}),
    "ended": (
        {"processing_status": "ended", "ended_at": "2026-08-19T14:44:52.493319Z"},
        {"status": "ended", "ended_at": CREATED + 1},
    ),
    "in another zone": ({"expires_at": "2026-08-20T16:44:51.493319+02:00"}, {}),
    "in no zone": ({"created_at": "2026-08-19T14:44:51.493319"}, {}),
    "in nanoseconds": ({"created_at": "2026-08-19T14:44:51.493319999Z"}, {}),
    "without an expiry": ({"expires_at": None}, {"expires_at": None}),
    "with an expiry that is none": ({"expires_at": [1]}, {"expires_at": None}),
    # A date that the calendar of the summary does not have would break every summary from then on.
    "before all time": ({"expires_at": "0001-01-01T00:00:00+23:00"}, {"expires_at": None}),
    "before 1970": ({"expires_at": "1969-12-31T23:59:59Z"}, {"expires_at": None}),
    "in 1970": ({"expires_at": "1970-01-01T00:00:00Z"}, {"expires_at": 0.0}),
    "at the end of time": ({"expires_at": "9999-12-31T23:59:59Z"}, {"expires_at": 253_402_300_799.0}),
    "after the end of time": ({"expires_at": "9999-12-31T23:59:59-12:00"}, {"expires_at": None}),
    "ended after the end of time": ({"ended_at": "9999-12-31T23:59:59-00:01"}, {"ended_at": None}),
    "archived": ({"archived_at": "2026-09-19T14:44:51Z"}, {"archived": True}),
    "with results": ({"results_url": "https://x/\u202e"}, {"results_url": "https://x/\\u202e"}),
    "with results that are no address": ({"results_url": {}}, {"results_url": None}),
    "without counts": ({"request_counts": None}, {"counts": {}}),
    "with counts that are none": (
        {"request_counts": {"processing": "2", "succeeded": True, "errored": -1, "expired": 2**70, "total": 5}},
        {"counts": {"processing": 0, "succeeded": 0, "errored": 0, "expired": 0}},
    ),
    "of a status of the future": ({"processing_status": "paused\x1b"}, {"status": "paused\\x1b"}),
}


@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("scenario", [create, retrieve, cancel])
def test_a_batch(case: str, scenario: Scenario) -> None:
    told, changes = BATCHES[case]

    assert outcome_of(scenario, responding(TOLD | told)) == replace(REMOTE, **changes)


def test_fields_that_may_be_missing() -> None:
    told = {name: TOLD[name] for name in ("id", "processing_status", "created_at")}

    assert outcome_of(retrieve, responding(told)) == replace(REMOTE, counts={}, expires_at=None)


@pytest.mark.parametrize(("header", "seconds"), [("10", 10.0), ("1e9", 600.0), ("soon", None)])
def test_a_good_answer_says_when_to_ask_again(header: str, seconds: float | None) -> None:
    batch = outcome_of(retrieve, responding(TOLD, retry_after=header))

    assert batch.retry_after_s == seconds


PAGES: dict[str, tuple[dict[str, Any], list[str], bool]] = {
    "the last": ({"data": [TOLD, TOLD | {"id": "msgbatch_2"}], "has_more": False}, ["msgbatch_1", "msgbatch_2"], False),
    "one of more": ({"data": [TOLD], "has_more": True, "last_id": "msgbatch_1"}, ["msgbatch_1"], True),
    "an empty one": ({"data": [], "has_more": False, "first_id": None}, [], False),
    "an empty one that promises more": ({"data": [], "has_more": True}, [], False),
    "one that does not say": ({"data": [TOLD]}, ["msgbatch_1"], False),
}


@pytest.mark.parametrize(("told", "ids", "has_more"), PAGES.values(), ids=PAGES)
def test_a_page(told: dict[str, Any], ids: list[str], has_more: bool) -> None:
    got = outcome_of(page, responding(told))

    assert [batch.batch_id for batch in got.batches] == ids
    assert got.has_more is has_more


@pytest.mark.parametrize(
    "told",
    ["", "<html>", [], {}, {"data": None}, {"data": {}}, {"data": [TOLD, {}]}, {"data": [None]}, api_error("x", "y")],
    ids=repr,
)
def test_a_page_that_cannot_be_read_whole_is_none_for_it_would_prove_that_a_batch_is_missing(told: object) -> None:
    assert outcome_of(page, responding(told)).cause is Cause.MALFORMED
