"""A project of batchrun 0.1.0 goes on: nothing in it is sent again, and everything that was paid for is still there."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from old_project import (
    FINISHED,
    LEDGER,
    PINNED,
    SIMULATED_LEDGER,
    WAITING,
    knows_its_batches,
    lay_out,
    published,
    remembered,
    trimmed,
)
from recording_api import RecordingApi, batchrun, standing_in

SHOWN: dict[str, dict[str, Any]] = json.loads(PINNED.read_text("utf-8"))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[RecordingApi]:
    """An API that a project at another path than its first one talks to."""
    root = tmp_path / "elsewhere"
    lay_out(root)
    with RecordingApi().serving() as serving, standing_in(root, serving):
        for ledger in ("", " --simulate"):  # a ledger of an older version is brought up to date by its first plan
            assert batchrun(f"plan jobs/stream.toml{ledger}").code == 0
        yield serving


@pytest.mark.parametrize("job", FINISHED)
def test_a_finished_job_sends_nothing_and_publishes_its_rows(job: str, api: RecordingApi) -> None:
    assert trimmed(remembered(job), like=SHOWN[job]) == shown_before(job)
    assert remembered(job)["plan"]["documents"]["to_send"] == 0
    before = in_ledger(LEDGER)

    ran = batchrun(f"submit jobs/{job}.toml")

    assert ran.code == SHOWN[job]["exit code"], ran.err
    assert api.calls == [], "nobody is asked for anything, not even free of charge"
    assert published(job) == shown_after(job)
    assert in_ledger(LEDGER) == before


def test_a_simulated_job_does_the_same(api: RecordingApi) -> None:
    assert trimmed(remembered("stream", simulated=True), like=SHOWN["simulated"]) == shown_before("simulated")
    before = in_ledger(SIMULATED_LEDGER)

    ran = batchrun("submit jobs/stream.toml --simulate")

    assert ran.code == SHOWN["simulated"]["exit code"], ran.err
    assert api.calls == []
    assert published("stream", simulated=True) == shown_after("simulated")
    assert in_ledger(SIMULATED_LEDGER) == before


def test_a_batch_that_was_in_progress_is_collected(api: RecordingApi) -> None:
    knows_its_batches(api, Path.cwd())
    assert trimmed(remembered(WAITING), like=SHOWN[WAITING]) == shown_before(WAITING)

    ran = batchrun(f"submit jobs/{WAITING}.toml")

    assert ran.code == SHOWN[WAITING]["exit code"] == 0, ran.err
    assert {call.method for call in api.calls} == {"GET"}, "nothing is sent again"
    assert trimmed_times(published(WAITING)) == trimmed_times(shown_after(WAITING))


def test_what_was_paid_for_and_what_is_held_counts_as_spent(api: RecordingApi) -> None:
    total = batchrun("cost --json").json["total"]

    assert (total["cost_usd"], total["held_usd"], total["open_usd"]) == (0.0213108, 0.010452, 0.012472)


def in_ledger(path: Path) -> list[Any]:
    """Everything that an attempt or a request is, as the ledger has it."""
    with closing(sqlite3.connect(path)) as ledger:
        return [
            ledger.execute(query).fetchall()
            for query in (
                "select attempt_no, request_no, run_no, state, reserved_nusd, cost_nusd, outcome from attempts",
                "select request_no, request_id, model, outcome, output, attempt_no from requests",
                "select attempt_no, raw from replies",
            )
        ]


def shown_before(job: str) -> dict[str, Any]:
    """What was shown before anything was submitted."""
    return {part: SHOWN[job][part] for part in ("plan", "status", "cost by run", "cost by document")}


def shown_after(job: str) -> dict[str, list[str]]:
    """What was in the output after a submit."""
    return {part: SHOWN[job][part] for part in ("rows", "documents", "attempts")}


def trimmed_times(output: dict[str, list[str]]) -> dict[str, list[str]]:
    """Rows that were made just now, without the time at which that was."""
    rows = [" | ".join(cell for number, cell in enumerate(row.split(" | ")) if number != 7) for row in output["rows"]]
    return output | {"rows": rows}
