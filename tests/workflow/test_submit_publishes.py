"""What a submit publishes: the rows of the output follow the ledger, whatever happens to the output file."""

import asyncio
import threading
from pathlib import Path

import pytest
from scripted_provider import ScriptedProvider, answer, lost, status
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import EnvironmentProblem, ExitCode, UsageProblem
from batchrun.events import PublishDelayed
from batchrun.execution import output_sync as publishing_rows
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.store.output.publish import Output
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.submit import submit

pytestmark = pytest.mark.slow

ALL_FIELDS = SubmitOptions(reasks_all=True)
"""Whoever submits asks for all fields again, whatever is answered."""
WITH_EXTRA = 'title = "string"\nextra = "string"'
EXTRA = answer({"title": "t", "extra": "e"})


def test_an_output_that_is_held_delays_rows_and_not_the_run(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)

    def held(self: Output, *, wait_s: float) -> int:
        raise LockedByAnother(Path("out.duckdb"), "a notebook (PID 1)")

    with monkeypatch.context() as patched:
        patched.setattr(Output, "publish", held)
        summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.BUSY
    assert "a notebook" in str(summary.unpublished)
    assert set(project.statuses().values()) == {"succeeded"}
    provider = ScriptedProvider()
    assert project.submit(provider).unpublished is None
    assert provider.sent == []
    assert project.rows("select count(*) from trial") == [(2,)]


@pytest.mark.usefixtures("virtual_time")
def test_rows_that_are_delayed_during_the_run_are_told_once(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)

    def full(self: Output, *, wait_s: float) -> int:
        if wait_s == 0:
            raise EnvironmentProblem("the disk of the output is full")
        return 0

    monkeypatch.setattr(Output, "publish", full)

    summary = project.submit(ScriptedProvider(latency_s=20))

    assert [event.why for event in project.events if isinstance(event, PublishDelayed)] == [
        "the disk of the output is full"
    ]
    assert summary.exit_code == ExitCode.OK


def test_a_deleted_output_is_rebuilt_for_nothing(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [status(400)]}))
    everything = (
        "select columns(*)::varchar from trial order by doc_id",
        "select columns(*)::varchar from _batchrun.attempts order by attempt_no",
    )
    before = [project.rows(query) for query in everything]
    project.database.unlink()
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert [project.rows(query) for query in everything] == before


def test_an_output_deleted_under_other_fields_is_rebuilt(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    project.job(output_fields=WITH_EXTRA)
    project.database.unlink()

    summary = project.submit(ScriptedProvider(default=EXTRA), Selection(limit=1), options=ALL_FIELDS)

    assert summary.unpublished is None
    assert project.rows("select title, extra from trial order by doc_id") == [("t", "e"), *[("a title", None)] * 2]


def test_rows_of_before_a_field_was_added_keep_nothing_back(project: TrialProject) -> None:
    project.documents(6)
    project.submit(ScriptedProvider())
    project.job(output_fields=WITH_EXTRA)

    summary = project.submit(ScriptedProvider({"text 3": [status(402, "no money")]}, default=EXTRA), options=ALL_FIELDS)

    assert summary.exit_code == ExitCode.STOPPED
    assert summary.unpublished is None
    sent = [number for number, status in enumerate(project.statuses().values()) if status == "succeeded"]
    assert sent
    assert project.rows("select doc_id, extra from trial order by 1") == [
        (f"docs/{number:04}.txt", "e" if number in sent else None) for number in range(6)
    ]


def test_a_new_table_has_no_row_of_an_answer_that_does_not_fit_it(project: TrialProject) -> None:
    project.documents(6)
    project.submit(ScriptedProvider())
    project.job(output_fields='title = "integer"')
    with pytest.raises(UsageProblem, match="BIGINT in the job file, but VARCHAR") as problem:
        project.submit(ScriptedProvider(default=answer({"title": 5})))
    assert 'table = "trial_2"' in str(problem.value.hint)
    project.job(output_fields='title = "integer"', store='database = "results/out.duckdb"\ntable = "trial_2"')

    summary = project.submit(ScriptedProvider(default=answer({"title": 5})), Selection(limit=2))

    assert summary.unpublished is None
    assert project.rows("select doc_id, title from trial_2 order by 1") == [("docs/0000.txt", 5), ("docs/0001.txt", 5)]
    assert project.rows("select count(*) from trial") == [(6,)], "the old table is left alone"


def test_a_ledger_restored_from_a_backup_brings_its_rows_again(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider())
    backup = project.ledger_path.read_bytes()  # closed, it is one file
    project.documents(20)
    project.submit(ScriptedProvider())
    for path in project.ledger_path.parent.glob("ledger.sqlite3*"):
        path.unlink()
    project.ledger_path.write_bytes(backup)
    project.document("0001.txt", "changed")
    project.document("new.txt", "new")
    chosen = Selection(ids=frozenset({"docs/0001.txt", "docs/new.txt"}))

    summary = project.submit(ScriptedProvider(default=answer({"title": "after the restore"})), chosen)

    assert summary.unpublished is None
    assert project.rows("select doc_id from trial where title = 'after the restore' order by 1") == [
        ("docs/0001.txt",),
        ("docs/new.txt",),
    ]
    assert project.rows("select count(*) from trial") == [(21,)], "rows it does not know stay"


def test_the_publisher_is_done_before_its_ledger_is_closed(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    publishing, closing, in_order = threading.Event(), threading.Event(), []
    publish, close = Output.publish, Output.close
    monkeypatch.setattr(publishing_rows, "PUBLISH_EVERY_S", 0.001)

    def slow(self: Output, *, wait_s: float) -> int:
        if wait_s == 0 and not publishing.is_set():
            publishing.set()
            closing.wait(0.1)  # long enough for whoever would not wait
            in_order.append("published")
        return publish(self, wait_s=wait_s)

    def closed(self: Output) -> None:
        closing.set()
        in_order.append("closed")
        close(self)

    monkeypatch.setattr(Output, "publish", slow)
    monkeypatch.setattr(Output, "close", closed)

    async def while_publishing(_: Request) -> Reply:
        await asyncio.to_thread(publishing.wait, 60)
        return answer()

    summary = project.submit(ScriptedProvider({"text 1": [while_publishing]}))

    assert summary.unpublished is None
    assert in_order == ["published", "closed"]
    assert len(project.rows()) == 2


def test_money_in_the_output_is_the_ledgers(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({"text 1": [lost(), answer()]}))

    (held,) = project.ask("select reserved_nusd from attempts where state = 'unknown'")[0]
    assert project.rows("select state, exit_code, documents, to_send, round(cost_usd * 1e9) from _batchrun.runs") == [
        ("finished", 0, 2, 2, 300_000 + held)
    ]
    assert project.rows("select sum(input_tokens), sum(output_tokens), count(*) from _batchrun.attempts") == [
        (200, 20, 3)
    ]


def test_simulated_runs_have_a_store_of_their_own(project: TrialProject) -> None:
    from batchrun.workflow.open_job import open_job

    project.documents(2)
    project.submit(ScriptedProvider())
    provider = ScriptedProvider()
    with open_job(project.root / "jobs/trial.toml", simulated=True, to_run=True) as opened:
        caller = caller_of(provider, project.events.append)
        summary = run_async(submit(opened, Selection(), caller, show=lambda _: None))

    assert len(provider.sent) == 2
    assert summary.simulated
    assert summary.totals is not None
    assert summary.totals.run_id.startswith("sim-")
    assert summary.database.name == "out.simulated.duckdb"
    assert (project.root / ".batchrun/ledger.simulated.sqlite3").exists()


def test_what_is_reserved_for_lost_answers_shrinks_in_the_output_too(project: TrialProject) -> None:
    """An answer tells how long the prompt is, and so how little the lost answers to the same request may have cost."""
    project.job(retry="max_attempts = 1")
    project.document("long.txt", "a word " * 500)
    project.submit(ScriptedProvider(default=lost()))
    ((before,),) = project.rows("select sum(cost_usd) from _batchrun.attempts")
    project.submit(ScriptedProvider())
    ((after, reserved),) = project.rows("select sum(cost_usd), sum(reserved_usd) from _batchrun.attempts")
    ((committed,),) = project.ask("select sum(committed_nusd) from runs")
    assert 0 < reserved < before
    assert round(after * 10**9) == committed
