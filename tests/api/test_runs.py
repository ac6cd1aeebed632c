"""One run of the Python API, and everything that it can be asked; what it does in loops, threads and forks."""

import asyncio
import contextvars
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from api_jobs import FAST, JOB, letters
from command_line import KEY, held, serving, talking_to

import batchrun
from batchrun.errors import ExitCode
from batchrun.events import DocumentSettled, RunStarted
from batchrun.execution.halt import Interrupted

pytestmark = pytest.mark.slow
SLOW: dict[str, Any] = {"simulate": True, "speed": 4.0}
"""Some documents a second, of a job that asks for one at a time."""


def job_of(root: Path, name: str, number: int = 4, **changes: Any) -> batchrun.Job:
    return batchrun.Job.from_dict(
        {**JOB, "job": {"name": name}, **changes}, root=root, documents=letters(number, sender=name)
    )


def one_at_a_time(root: Path, name: str, number: int = 40) -> batchrun.Job:
    return job_of(root, name, number, run={"max_concurrency": 1})


@pytest.fixture(scope="module")
def job(folder: Path) -> batchrun.Job:
    """A job with a label for one document."""
    (folder / "labels.csv").write_text("doc_id,title,year\nletter-000,Something else,1904\n")
    return job_of(folder, "letters", gold={"path": "labels.csv"})


@pytest.fixture(scope="module")
def run(job: batchrun.Job) -> batchrun.Run:
    return job.submit_sync(**FAST)


# --- what a run tells


def test_the_plan(job: batchrun.Job, run: batchrun.Run) -> None:
    plan = job.plan(simulate=True)
    assert (plan.to_send, plan.documents, plan.refused, plan.simulated) == (0, 4, None, True)
    plan = job.plan(limit=3)
    assert (plan.to_send, plan.simulated) == (3, False)
    assert 0 < plan.cost_usd < 1
    assert plan.estimate.cost_nusd.low <= plan.cost_usd * 1e9 <= plan.estimate.cost_nusd.high
    refused = job.plan(max_cost_usd=1e-6).refused
    assert isinstance(refused, batchrun.Refused)
    assert repr(refused) == repr(caught(lambda: job.submit_sync(max_cost_usd=1e-6)))


def caught(call: Any) -> Exception:
    with pytest.raises(batchrun.BatchrunError) as problem:
        call()
    return problem.value


def test_the_run(run: batchrun.Run) -> None:
    assert run.id
    assert run.id.startswith("sim-")
    assert (run.exit_code, run.halted, run.simulated) == (ExitCode.OK, None, True)
    assert run.summary.outcomes == {batchrun.Outcome.SUCCEEDED: 4}
    assert run.summary.cost_usd > 0
    run.raise_for_status()


def test_results_have_types(run: batchrun.Run) -> None:
    rows = run.results()
    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    assert rows.columns[:4] == ["doc_id", "title", "year", "status"]
    assert (types["title"], types["year"], types["simulated"]) == ("VARCHAR", "BIGINT", "BOOLEAN")
    assert [row[0] for row in rows.fetchall()] == [f"letter-00{number}" for number in range(4)]
    assert {row[-1] for row in rows.fetchall()} == {True}
    assert run.results("failed").fetchall() == []
    assert len(run.results(["succeeded", "failed"]).fetchall()) == 4
    with pytest.raises(batchrun.UsageProblem, match="is no outcome"):
        run.results("good")


def test_results_while_somebody_else_holds_the_output(job: batchrun.Job, run: batchrun.Run, folder: Path) -> None:
    before = run.results("all").fetchall()
    with held(folder / "results" / "batchrun.simulated.duckdb"):
        assert run.results("all").fetchall() == before
        assert job.results("all", simulate=True).fetchall() == before


def test_results_keep_nobody_out(run: batchrun.Run, folder: Path) -> None:
    rows = run.results()
    with held(folder / "results" / "batchrun.simulated.duckdb"):
        assert len(rows.fetchall()) == 4


@pytest.mark.parametrize(("package", "method"), [("pandas", "df"), ("polars", "pl"), ("pyarrow", "to_arrow_table")])
def test_frames_need_their_package(run: batchrun.Run, package: str, method: str) -> None:
    try:
        __import__(package)
    except ModuleNotFoundError:
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            getattr(run.results(), method)()
    else:
        assert len(getattr(run.results(), method)()) == 4


def test_runs_of_the_job(job: batchrun.Job, run: batchrun.Run) -> None:
    assert [one.id for one in job.runs()] == [run.id]
    assert job.run().id == job.run(str(run.id)[:6]).id == run.id
    assert job.run().summary.outcomes == run.summary.outcomes
    with pytest.raises(batchrun.UsageProblem, match="there is no run abc of the job letters"):
        job.run("abc")


def test_nothing_to_send_is_the_last_run(job: batchrun.Job, run: batchrun.Run) -> None:
    again = job.submit_sync(**FAST)
    assert (again.id, again.exit_code, again.summary.totals) == (run.id, ExitCode.OK, None)
    assert len(again.results().fetchall()) == 4


def test_evaluate_and_compare(job: batchrun.Job, run: batchrun.Run, folder: Path) -> None:
    evaluation = job.evaluate(fail_under=0.9)
    assert evaluation.fails
    assert [(one.name, one.documents) for one in evaluation.scores.fields] == [("title", 1), ("year", 1)]
    other = job_of(folder, "letters", prompt={"user": "Again, from {{ doc.sender }}: {{ doc.text }}"}).submit_sync(
        **FAST
    )
    compared = job.compare(str(run.id), str(other.id))
    assert compared.comparison.answered == 4
    assert compared.comparison.changed == 4
    assert [one.story.run_id for one in compared.runs] == [run.id, other.id]
    with pytest.raises(batchrun.UsageProblem, match="both words mean the run"):
        job.compare("last")


def test_what_a_notebook_shows(job: batchrun.Job, run: batchrun.Run) -> None:
    for shown in (job.plan(simulate=True), run.summary):
        words = " ".join(ET.fromstring(shown._repr_html_()).itertext())
        assert "letters (simulated)" in words
        assert repr(shown).splitlines()[0].endswith("letters (simulated)")
    assert "4 succeeded" in repr(run)
    frame = ET.fromstring(run._repr_html_()).attrib
    assert frame["sandbox"] == "", "nothing in the frame is a script"
    assert frame["title"] == f"SIMULATED letters run {run.id}"
    assert "pretend answers of the built-in simulator" in frame["srcdoc"]
    assert ET.fromstring(frame["srcdoc"].removeprefix("<!doctype html>")).find(".//main") is not None


def test_the_report_of_a_run(run: batchrun.Run, tmp_path: Path) -> None:
    page = run.report()
    assert page.startswith("<!doctype html>")
    assert f"SIMULATED letters run {run.id}" in page
    assert "letter-000" in page
    assert run.report(tmp_path / "new" / "run.html") == (tmp_path / "new" / "run.html").read_text("utf-8") == page
    assert run.report(tmp_path / "run.md").startswith(f"## SIMULATED letters run {run.id}\n")
    assert run.report(str(tmp_path / "run.xml")).startswith("<?xml")
    with pytest.raises(batchrun.EnvironmentProblem, match="a folder"):
        run.report(tmp_path)


def test_a_run_of_an_earlier_version_shows_itself(run: batchrun.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.workflow.summary.summary_of", lambda *_, **__: None)
    earlier = batchrun.Run(run._file, run._story)
    assert repr(earlier).startswith(f"run        {run.id}\n")
    assert "an earlier version made the run" in repr(earlier)
    assert "<iframe" in earlier._repr_html_()


# --- what a submit does


def test_wrong_choices(job: batchrun.Job) -> None:
    for choices, words in (
        ({"deadline": "soon"}, 'deadline: input should be a duration such as "500ms"'),
        ({"limit": 0}, "limit: Input should be greater than or equal to 1, got 0"),
        ({"route": "bus"}, "route: Input should be 'stream', 'batch' or 'auto', got 'bus'"),
        ({"max_cost_usd": "1"}, "max_cost_usd: input should be an amount in US dollars"),
        ({"limmit": 3}, "limmit: Extra inputs are not permitted"),
        ({"simulate": True, "speed": 0}, "speed: it is a number above zero, got 0"),
        ({"simulate": True, "wait": False}, "wait=False needs an API that outlives the run"),
    ):
        assert words in str(caught(lambda choices=choices: job.submit(**choices)))
    assert "no profile wild" in str(caught(lambda: job.plan(simulate="wild")))


def test_without_a_key_nothing_is_sent(job: batchrun.Job) -> None:
    problem = caught(job.submit_sync)
    assert isinstance(problem, batchrun.EnvironmentProblem)
    assert "no API key" in str(problem)
    assert KEY not in str(problem)


def test_a_run_that_stops_halfway_is_returned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(folder, "halfway")
    with serving("authentication") as api:
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        run = job.submit_sync()
    assert run.halted is not None
    assert run.exit_code == ExitCode.ENVIRONMENT
    assert not run.simulated
    with pytest.raises(batchrun.BatchrunError) as problem:
        run.raise_for_status()
    assert problem.value is run.halted


def test_failed_documents_and_a_retry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(folder, "failing", output={**JOB["output"], "max_repairs": 0}, run={"max_concurrency": 1})
    with serving("invalid_json") as api:
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        run = job.submit_sync()
        assert run.exit_code == ExitCode.SOME_FAILED
        problem = caught(run.raise_for_status)
        assert getattr(problem, "exit_code", None) == ExitCode.SOME_FAILED
        assert "1 invalid" in str(problem)
        assert [row[:4] for row in run.results("failed").fetchall()] == [("letter-000", None, None, "invalid")]
        assert job.submit_sync().exit_code == ExitCode.SOME_FAILED
        assert job.submit_sync(retry=True).exit_code == ExitCode.OK


def test_events(folder: Path) -> None:
    async def heard() -> tuple[list[Any], batchrun.Run]:
        submission = job_of(folder, "events").submit(**FAST)
        events = [event async for event in submission]
        return events, submission.result()

    events, run = asyncio.run(heard())
    assert isinstance(events[0], RunStarted)
    assert events[0].run_id == run.id
    assert sorted(event.doc_id for event in events if isinstance(event, DocumentSettled)) == [
        f"letter-00{number}" for number in range(4)
    ]


def test_the_loop_of_the_caller_goes_on_meanwhile(folder: Path) -> None:
    seen = contextvars.ContextVar("seen", default="")

    async def both() -> tuple[int, list[batchrun.Run]]:
        turns = 0

        async def turning() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        seen.set("of the caller")
        other = asyncio.create_task(turning())
        jobs = [job_of(folder, name) for name in ("one", "two")]
        runs = await asyncio.gather(*(await_(job.submit(**FAST)) for job in jobs))
        other.cancel()
        return turns, runs

    async def await_(submission: batchrun.Submission) -> batchrun.Run:
        run = await submission
        assert await submission is run, "it may be awaited again"
        return run

    turns, runs = asyncio.run(both())
    assert turns > 10
    assert [run.summary.job for run in runs] == ["one", "two"]
    assert len({run.id for run in runs}) == 2


def test_inside_a_running_loop(folder: Path) -> None:
    async def cell() -> batchrun.Run:
        job = job_of(folder, "notebook")
        assert job.plan(simulate=True).to_send == 4
        return job.submit_sync(**FAST)

    assert asyncio.run(cell()).exit_code == ExitCode.OK


def test_a_submit_that_nobody_waits_for_sends_nothing(folder: Path) -> None:
    job = job_of(folder, "forgotten")
    job.submit(**FAST)
    assert job.runs() == []


def ended(job: batchrun.Job, submission: batchrun.Submission, number: int) -> None:
    """The run halted, what was answered is there, and the next submit sends the rest alone."""
    run = submission.result()
    assert isinstance(run.halted, Interrupted)
    assert run.exit_code == ExitCode.INTERRUPTED
    answered = run.summary.outcomes[batchrun.Outcome.SUCCEEDED]
    assert 0 < answered < number
    assert len(run.results().fetchall()) == answered
    assert job.plan(simulate=True).to_send == number - answered


def test_leaving_the_loop_of_events_halts_the_run(folder: Path) -> None:
    job = one_at_a_time(folder, "left")
    submission = job.submit(**SLOW)

    async def leaving() -> None:
        async for event in submission:
            if isinstance(event, DocumentSettled):
                break

    asyncio.run(leaving())
    ended(job, submission, 40)
    assert job.submit_sync(**FAST).exit_code == ExitCode.OK


def settling(submission: batchrun.Submission, call: Any) -> None:
    """Call something when the first document is settled."""
    submission._line.hear = lambda event: call() if isinstance(event, DocumentSettled) else None


def test_a_canceled_task_halts_the_run(folder: Path) -> None:
    job = one_at_a_time(folder, "canceled")
    submission = job.submit(**SLOW)

    async def canceled() -> None:
        task = asyncio.ensure_future(submission)
        loop = asyncio.get_running_loop()
        settling(submission, lambda: loop.call_soon_threadsafe(task.cancel))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(canceled())
    ended(job, submission, 40)


def test_ctrl_c_halts_the_run(folder: Path) -> None:
    job = one_at_a_time(folder, "ctrl-c")
    submission = job.submit(**SLOW)
    once = threading.Event()
    settling(submission, lambda: once.is_set() or (once.set(), os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        submission.result()
    ended(job, submission, 40)


def test_interrupted_before_anything_is_sent(folder: Path) -> None:
    job = job_of(folder, "early")
    submission = job.submit(**FAST)
    submission.interrupt()
    with pytest.raises(Interrupted):
        submission.result()
    assert job.runs() == []


# --- who calls


def called(root: Path, name: str) -> dict[str, Any]:
    """What a task of Airflow or Prefect is: a function that returns what can be pickled."""
    run = job_of(root, name).submit_sync(**FAST)
    run.raise_for_status()
    return {"run": run.id, "exit_code": int(run.exit_code), "rows": run.results().fetchall()}


def test_in_a_thread_of_a_pool(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(called, [folder] * 2, ["prefect-1", "prefect-2"])
    assert pickle.loads(pickle.dumps(first))["rows"][0][0] == "letter-000"
    assert first["run"] != second["run"]


def test_two_loops_wait_for_one_submission(folder: Path) -> None:
    submission, both = job_of(folder, "two-loops").submit(**FAST), threading.Barrier(2)

    async def waiting() -> batchrun.Run:
        both.wait()
        return await submission

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(asyncio.run, [waiting(), waiting()])
    assert first is second
    assert first.exit_code == ExitCode.OK


def test_in_a_forked_process(folder: Path) -> None:
    here = called(folder, "airflow")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply(called, (folder, "airflow"))
    assert there["run"] == here["run"], "the same documents, in another process, are paid once"
    assert len(there["rows"]) == 4


def test_one_job_is_run_once_at_a_time(folder: Path) -> None:
    first = one_at_a_time(folder, "busy")
    submission = first.submit(**SLOW)
    began = threading.Event()
    submission._line.hear = lambda event: began.set() if isinstance(event, RunStarted) else None
    waiting = threading.Thread(target=submission.result)
    waiting.start()
    assert began.wait(30)
    assert isinstance(caught(lambda: one_at_a_time(folder, "busy").submit_sync(**FAST)), batchrun.Busy)
    submission.interrupt()
    waiting.join()
