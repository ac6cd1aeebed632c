"""`batchrun tune` as a person types it: what it shows, its exit codes, and what it does to the job file."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest
from command_line import CommandLine, process, serving, talking_to
from trial_project import TrialProject

from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

TUNE = 'models = ["claude-haiku-4-5", "claude-opus-4-6"]\ntarget = 0.5\ndocuments = 12'
FIELDS = 'title = "string"\nkind = { type = "string", enum = ["a", "b"] }'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    monkeypatch.chdir(tmp_path)
    project = TrialProject(tmp_path)
    for number in range(12):
        project.document(f"{number:04}.txt", f"Letter {number}\n" + "some words of a letter " * 10)
    project.job(tune=TUNE, output_fields=FIELDS, model='name = "claude-opus-4-6"   # dear\nmax_tokens = 200')
    return project


def test_a_rehearsal_from_the_frontier_to_the_job_file(project: TrialProject, batchrun: CommandLine) -> None:
    path = project.root / "jobs" / "trial.toml"
    shown = batchrun("tune jobs/trial.toml --simulate")
    assert shown.code == 0
    assert "trial tune: 2 settings on 12 documents, held against claude-opus-4-6; target 50.0%" in shown.err
    assert "SETTING" in shown.out
    assert "SIMULATED  trial tune: the cheapest setting that holds the target of 50.0% is claude-haiku-4-5" in shown.out
    assert '+name = "claude-haiku-4-5"   # dear' in shown.out
    assert shown.out.rstrip().endswith("tune jobs/trial.toml --simulate --write   writes this into the job file")
    assert 'name = "claude-opus-4-6"   # dear' in path.read_text()

    found = batchrun("tune jobs/trial.toml --simulate --write --json").events[-1]
    assert (found["ending"], found["spent_usd"], found["written"]) == ("found", 0.0, True)
    assert found["setting"] == {"model": "claude-haiku-4-5", "effort": None, "thinking": None, "prompt": None}
    assert [row["state"] for row in found["frontier"]] == ["chosen", "strongest"]
    assert 'name = "claude-haiku-4-5"   # dear' in path.read_text()

    assert "continue" not in (status := batchrun("status")).out
    assert status.out.count("trial@tune ") == 1  # the runs of a tune are one line
    assert "only tunes have run here yet" in batchrun("status last").err
    assert "tune jobs/trial.toml --simulate" in batchrun("status trial@tune").out
    refused = batchrun("results trial@tune --simulate")
    assert (refused.code, "trial@tune is a tune, and its answers are no rows" in refused.err) == (2, True)
    run = batchrun("submit jobs/trial.toml --simulate")
    assert (run.code, run.err) == (0, "12 answers of job trial@tune are to the same requests: nothing to pay\n")


def test_what_is_refused_and_what_is_wrong(project: TrialProject, batchrun: CommandLine) -> None:
    few = batchrun("tune jobs/trial.toml --simulate --target 0.9")
    assert (few.code, "12 documents cannot prove a target of 0.9" in few.err) == (3, True)
    assert "--target 0.816" in few.err
    (project.root / "labels.csv").write_text("doc_id,title\ndocs/0001.txt,x\ndocs/0002.txt,y\n")
    project.job(tune=TUNE, output_fields=FIELDS, gold='path = "labels.csv"')
    few = batchrun("tune jobs/trial.toml --simulate")
    assert (few.code, "2 labelled documents cannot prove a target of 0.5" in few.err) == (3, True)
    assert "--agreement" in few.err
    dear = batchrun("tune jobs/trial.toml --simulate --agreement --max-cost 0.0001")
    assert (dear.code, "and its cap is $0.0001 (--max-cost of the command). Nothing was sent." in dear.err) == (3, True)
    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_usd = 0.0001\n")
    dear = batchrun("tune jobs/trial.toml --simulate --agreement")
    assert (dear.code, "its cap is $0.0001 (budget.max_cost_usd of batchrun.toml)" in dear.err) == (3, True)
    project.job(tune='models = ["claude-haiku-9"]', output_fields=FIELDS)
    wrong = batchrun("tune jobs/trial.toml --simulate")
    assert (wrong.code, 'unknown model "claude-haiku-9"' in wrong.err) == (2, True)
    assert batchrun("status").out == ""


def test_after_a_kill_no_answer_is_paid_for_again(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Latency(first_token_s=0.05, tokens_per_s=1e9, spread=0.0)
    with serving(latency=slow) as api:
        project.job(tune=TUNE, output_fields=FIELDS, run="max_concurrency = 2")
        with process("tune jobs/trial.toml", cwd=project.root, environment=talking_to(api)) as running:
            until = time.monotonic() + 30
            while time.monotonic() < until and answered(project) < 5:
                time.sleep(0.02)
            running.send_signal(signal.SIGKILL)
        before = answered(project)
        assert 5 <= before < 36
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        assert batchrun("tune jobs/trial.toml -q").code == 0
    twice = "select count(*) from attempts where state = 'answered' group by request_no having count(*) > 1"
    assert project.ask(twice) == []
    assert answered(project) > before
    assert project.ask("select count(*) from tunes") == [(1,)]


def answered(project: TrialProject) -> int:
    try:
        return int(project.ask("select count(*) from attempts where state = 'answered'")[0][0])
    except sqlite3.OperationalError:  # the ledger is not laid out yet
        return 0
