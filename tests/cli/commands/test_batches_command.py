"""Batches from the command line: submit by batch, `batches`, `cancel`, and what is shown meanwhile."""

import json
import time

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

BATCH = 'max_requests = 2\npoll_interval = "0.05s"\nmax_poll_interval = "0.1s"\nreconcile_wait = "{wait}"\n'
SUBMIT = "submit jobs/trial.toml --route batch"
ONCE = f"{SUBMIT} --no-wait"
DAY_S = 24 * 3600.0


@pytest.fixture(autouse=True)
def five_documents(project: TrialProject) -> None:
    """They make three batches."""
    use(project)
    project.documents(5)


def use(project: TrialProject, *, wait: str = "10m", **more: str) -> None:
    """A job file with [batch]."""
    project.job(batch=BATCH.format(wait=wait) + more.pop("batch", ""), **more)


def test_submit_by_batch(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.OK
    assert "5 documents to send of 5 · claude-haiku-4-5 · batch" in ran.err
    assert ran.err.count("submitted: 2 requests") == 2
    assert len(project.rows()) == 5
    assert [batch["requests"] for batch in api.books.summary()["batches"]] == [2, 2, 1]
    assert api.books.summary()["requests"] == 0, "nothing was streamed"


def test_no_wait_returns_until_all_is_settled(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    first = batchrun(ONCE)
    assert first.code == ExitCode.UNFINISHED
    assert "not finished: batches are in progress" in first.out
    assert "reserved" in first.out
    assert batchrun("status trial --check").code == ExitCode.UNFINISHED
    time.sleep(0.06)
    assert batchrun(ONCE).code == ExitCode.OK
    assert batchrun("status trial --check").code == ExitCode.OK
    assert len(api.books.summary()["batches"]) == 3


def test_cron_is_told_nothing(batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun(f"{ONCE} -q")
    assert (ran.code, ran.words) == (ExitCode.UNFINISHED, "")


def test_what_is_said_to_programs(batchrun: CommandLine, api: SimulatorServer) -> None:
    api.simulator.extend_script(["batch_create_ok", "batch_reset_after"])
    events = batchrun(f"{SUBMIT} --json").events
    names = {event["event"] for event in events}
    assert {"run_start", "batch_submitted", "batch_trouble", "batch_ended", "batch_collected", "run_end"} <= names
    adopted = [event["adopted"] for event in events if event["event"] == "batch_submitted"]
    assert sorted(adopted) == [False, False, True]
    assert events[-1]["route"] == "batch"
    assert events[-1]["exit_code"] == 0


def test_status_shows_open_batches(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    api.simulator.extend_script(["batch_never_ends"])
    batchrun(ONCE)
    shown = batchrun("status").out
    assert "waiting" in shown
    assert shown.count("msgbatch_") == 3
    told = batchrun("status --json").events
    assert [event["state"] for event in told if event["event"] == "batch"] == ["submitted"] * 3
    assert all(event["expires"] and event["next_poll"] for event in told if event["event"] == "batch")


def test_status_warns_before_results_are_deleted(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    batchrun(ONCE)
    project.ask("update batches set created_at = created_at - ?", 27 * DAY_S, commit=True)
    assert "the API deletes its results in 48 h 0 min: submit the job again" in batchrun("status").out
    project.ask("update batches set created_at = created_at - ?", 3 * DAY_S, commit=True)
    assert "the API has deleted its results" in batchrun("batches trial").out


def test_cancel_keeps_what_had_finished(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.simulator.batches.life._CANCELING_S", 1.0)
    api.simulator.batches.poll_again_s = 0.0
    use(project, batch="")
    project.job(batch=BATCH.format(wait="10m").replace("max_requests = 2", "max_requests = 5"))
    api.simulator.extend_script(["batch_never_ends"])
    batchrun(ONCE)
    ran = batchrun("cancel trial")
    assert ran.code == ExitCode.OK
    assert ran.out.startswith("trial: 1 batch canceled; what had finished is collected and was billed; ")
    billed = api.books.summary()["batch_billed"]
    statuses = list(project.statuses().values())
    assert statuses.count("succeeded") == billed < 5
    assert statuses.count("pending") == 5 - billed
    assert project.ask("select count(*) from attempts where state = 'open'") == [(0,)]
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert api.books.summary()["billed_twice"] == 0


def test_cancel_without_waiting(batchrun: CommandLine, api: SimulatorServer) -> None:
    api.simulator.extend_script(["batch_never_ends"] * 3)
    batchrun(ONCE)
    ran = batchrun("cancel trial --no-wait --json")
    assert ran.code in {ExitCode.UNFINISHED, ExitCode.OK}
    assert ran.events[-1]["event"] == "canceled"


def test_nothing_to_cancel(batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun(SUBMIT)
    ran = batchrun("cancel trial")
    assert (ran.code, ran.out) == (ExitCode.OK, "trial: no batch is open\n")


def hold(project: TrialProject) -> None:
    use(project, wait="0.1s", batch='on_ambiguous = "hold"\n')


def test_hold_leaves_it_to_a_person(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    hold(project)
    api.simulator.extend_script(["batch_reset_before"])
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.AMBIGUOUS
    assert "ambiguous: the answer to the creation of batch #1" in ran.err
    assert "--resend" in ran.err
    assert "in doubt" in batchrun("batches trial").out
    assert api.books.summary()["batches"] == []
    assert batchrun("batches trial --pay-again").code == ExitCode.USAGE, "it belongs to --resend"
    refused = batchrun("batches trial --resend")
    assert refused.code == ExitCode.USAGE
    assert "nothing proves that the batch #1 does not exist" in refused.err
    assert batchrun("batches trial --resend --pay-again").code == ExitCode.OK
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert api.books.summary()["billed_twice"] == 0


UNLISTED = {
    "a gateway without a list": "batch_list_missing",
    "a gateway whose list is empty": "batch_list_empty",
    "a cache": "batch_list_stale",
}


@pytest.mark.parametrize("unlisted", UNLISTED.values(), ids=UNLISTED)
@pytest.mark.parametrize("history", [False, True], ids=["the first", "one of many"])
def test_a_batch_that_no_list_shows_is_paid_once_and_stays_held(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, unlisted: str, history: bool
) -> None:
    """From the create call whose answer is lost to the adoption by hand, each submit in a process of its own."""
    use(project, wait="0.2s")
    if history:
        assert batchrun(SUBMIT).code == ExitCode.OK
        project.documents(7)
    before = len(api.books.summary()["batches"])
    api.simulator.extend_script(["batch_reset_after", *[unlisted] * 999])

    codes = [batchrun(SUBMIT).code for _ in range(3)]

    assert codes == [ExitCode.AMBIGUOUS] * 3
    created = api.books.summary()["batches"][before:]
    assert [batch["requests"] for batch in created] == [2]
    held = "select count(*), sum(reserved_nusd) > 0 from attempts where state = 'open'"
    assert project.ask(held) == [(2, 1)]
    shown = batchrun("batches trial").out
    assert "in doubt" in shown
    assert batchrun(f"batches trial --adopt {created[0]['id']}").code == ExitCode.OK
    assert batchrun(SUBMIT).code == ExitCode.OK
    books = api.books.summary()
    assert (books["batch_billed"], books["billed_twice"]) == (7 if history else 5, 0)


def test_adopt(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    hold(project)
    api.simulator.extend_script(["batch_reset_after", "batch_list_ok", "batch_list_error", "batch_list_error"])
    batchrun(ONCE)
    ours = api.books.summary()["batches"][0]["id"]
    assert batchrun("batches trial --adopt msgbatch_nobody").code == ExitCode.USAGE
    assert batchrun(f"batches trial --adopt {ours}").code == ExitCode.OK
    assert batchrun(f"batches trial --adopt {ours}").code == ExitCode.USAGE, "nothing is in doubt any more"
    assert batchrun(SUBMIT).code == ExitCode.OK
    books = api.books.summary()
    assert (books["batch_billed"], books["billed_twice"]) == (5, 0)


def test_adopt_or_resend(batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun(SUBMIT)
    assert batchrun("batches trial --adopt msgbatch_1 --resend").code == ExitCode.USAGE
    assert batchrun("batches trial --resend").code == ExitCode.USAGE


def test_batches_of_a_streamed_run(batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun("submit jobs/trial.toml")
    ran = batchrun("batches trial")
    assert (ran.code, ran.out) == (ExitCode.OK, "")
    assert "has no batches" in ran.err


def test_the_plan_shows_both_routes(batchrun: CommandLine) -> None:
    told = json.loads(batchrun("plan jobs/trial.toml --json").out)
    stream, batch = told["routes"]["stream"], told["routes"]["batch"]
    assert told["route"] == "stream"
    assert batch["estimate_usd"]["mean"] == pytest.approx(stream["estimate_usd"]["mean"] / 2, abs=1e-6)
    assert batch["at_most_s"] == DAY_S
    words = batchrun("plan jobs/trial.toml --route batch --deadline 45m").out
    assert "route    batch: as the job file or --route says" in words
    assert "> batch  " in words
    assert "\n  stream  " in words
    assert "--route=batch --deadline=2700s" in words


def test_a_rehearsal_by_batch(project: TrialProject, batchrun: CommandLine) -> None:
    use(project, batch="")
    ran = batchrun(f"{SUBMIT} --simulate --speed 5000")
    assert ran.code == ExitCode.OK
    assert "SIMULATED" in ran.out
