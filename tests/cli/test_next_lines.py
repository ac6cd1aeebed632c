"""Every line that a command prints to be typed next does what it says: it is typed here, in every state."""

import math
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine, Ran, as_said_here, held, process, serving, talking_to
from trial_project import TrialProject

from batchrun.cli import next_command
from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
ONE_BY_ONE = "max_concurrency = 1"
BATCH = 'route = "batch"'
LINE = re.compile(r"batchrun ([a-z]+(?: [^;\n`]*?)?)(?:   .*|[;`].*)?$", re.MULTILINE)
"""A command in what was printed, without what it is said to do."""
COUNTED = re.compile(
    r"batchrun ((?:submit|retry) .*?)   (?:continues with |collects )?([0-9]+) documents?$", re.MULTILINE
)
TO_RUN = re.compile(r"To run this:  batchrun (.*)$", re.MULTILINE)


def as_in_this_process(code: int, out: str, err: str) -> Ran:
    """What another process said, as if it had been called like this one."""
    return Ran(code, as_said_here(out), as_said_here(err))


State = Callable[[TrialProject, CommandLine, SimulatorServer], Ran]


def finished(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun(SUBMIT)


def planned(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun("plan jobs/trial.toml --limit 3 --where \"id != 'it''s'\" --max-cost 0.5 --deadline 30h --exact")


def problems(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    api.simulator.extend_script(["schema_violation", "truncated", "refused", "invalid_request"])
    return batchrun(SUBMIT)


def problems_of_a_selection(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    problems(project, batchrun, api)
    api.simulator.extend_script(["schema_violation"])
    return batchrun(f"{SUBMIT} --where \"id like '%new%'\" --id docs/new.txt")


def nothing_but_refused(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    api.simulator.extend_script(["refused", "invalid_request"])
    return batchrun(SUBMIT)


def stopped_under_a_limit(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=ONE_BY_ONE)
    api.simulator.extend_script(["ok", "ok", "billing"])
    return batchrun(f"{SUBMIT} --limit 6")


def stopped_under_next(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=ONE_BY_ONE)
    batchrun(f"{SUBMIT} --next 2")
    api.simulator.extend_script(["ok", "billing"])
    return batchrun(f"{SUBMIT} --next 4")


def stopped_at_the_commands_budget(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=ONE_BY_ONE)
    return batchrun(f"{SUBMIT} --max-cost 0.002 --partial")


def stopped_at_the_jobs_budget(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=ONE_BY_ONE, budget="max_cost_usd = 0.002")
    return batchrun(f"{SUBMIT} --partial")


def a_wrong_key(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    api.simulator.extend_script(["authentication"])
    return batchrun(SUBMIT)


def failing_fast(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=ONE_BY_ONE)
    api.simulator.extend_script(["ok", "refused"])
    return batchrun(f"{SUBMIT} --fail-fast --route stream")


def a_pilot(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun(f"{SUBMIT} --pilot 3 --limit 6")


def batches_in_progress(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=BATCH, batch='poll_interval = "0.05s"\nmax_poll_interval = "0.1s"')
    return batchrun(f"{SUBMIT} --no-wait")


def canceled(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    api.simulator.extend_script(["batch_never_ends"])
    api.simulator.batches.poll_again_s = 0.0
    batches_in_progress(project, batchrun, api)
    return batchrun("cancel trial")


def simulated(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun(f"{SUBMIT} --simulate=calm --speed 1000 --limit 3")


def retried(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    problems(project, batchrun, api)
    api.simulator.extend_script(["billing"])
    return batchrun("retry trial --status refused,rejected --max-cost 0.5")


def a_lost_ledger(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    batchrun(SUBMIT)
    project.ledger_path.unlink()
    return batchrun(SUBMIT)


def adopted(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    a_lost_ledger(project, batchrun, api)
    project.document("later.txt", "text of later")
    return batchrun("adopt jobs/trial.toml")


def an_output_in_use(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    batchrun(f"{SUBMIT} --limit 2")
    with held(project.database):
        return batchrun(SUBMIT)


def interrupted(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.job(run=ONE_BY_ONE)
    with serving(latency=Latency(first_token_s=0.2, tokens_per_s=math.inf)) as slow:
        running = process(f"{SUBMIT} --limit 6", cwd=project.root, environment=talking_to(slow))
        while len(slow.books.entries) < 2:
            assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=60)
    return as_in_this_process(running.returncode, out, err)


def no_runs(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun("status")


def no_such_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    batchrun(f"{SUBMIT} --limit 1")
    return batchrun("results trail")


def no_such_document(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    batchrun(f"{SUBMIT} --limit 1")
    return batchrun("results trial --doc nowhere")


def no_job_file(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun("plan jobs/nowhere-near.toml")


def a_stale_plan(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    batchrun("plan jobs/trial.toml -o plan.json --limit 3")
    batchrun(f"{SUBMIT} --limit 1")
    return batchrun("submit --plan plan.json")


def a_plan_in_a_file(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    return batchrun("plan jobs/trial.toml -o 'the plan.json' --limit 3")


def a_new_job(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    (project.root / "documents").mkdir()
    (project.root / "documents" / "one.txt").write_text("one")
    return batchrun("init 'jobs/a new one.toml'")


STATES: list[State] = [
    finished, planned, problems, problems_of_a_selection, nothing_but_refused, stopped_under_a_limit,
    stopped_under_next, stopped_at_the_commands_budget, stopped_at_the_jobs_budget, a_wrong_key, failing_fast, a_pilot,
    batches_in_progress, canceled, simulated, retried, a_lost_ledger, adopted, an_output_in_use, interrupted, no_runs,
    no_such_run, no_such_document, no_job_file, a_stale_plan, a_plan_in_a_file, a_new_job,
]  # fmt: skip
SAY_NOTHING = {stopped_at_the_jobs_budget}
"""States in which a file has to be changed before anything can be typed."""


def succeeded(project: TrialProject) -> set[str]:
    """The documents that are answered."""
    known = project.statuses() if project.ledger_path.exists() else {}
    return {doc_id for doc_id, status in known.items() if status == "succeeded"}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_line_does_what_it_says(
    project: TrialProject,
    batchrun: CommandLine,
    api: SimulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    state: State,
) -> None:
    monkeypatch.setattr("batchrun.simulator.batches.life._CANCELING_S", 1.0)
    project.documents(8)
    project.document("new.txt", "a new one")
    ran = state(project, batchrun, api)
    lines = dict.fromkeys(line.strip() for line in LINE.findall(ran.words))
    counted = dict(COUNTED.findall(ran.words)[:1])  # the others speak of the state before
    assert lines or state in SAY_NOTHING
    for line in lines:
        before = succeeded(project)
        typed = batchrun(line)
        assert typed.code in {0, 1, 3, 4, 10}, (line, typed.words)
        assert "nothing to send" not in typed.out, line
        if number := counted.get(line):
            assert typed.code in {0, 1}, (line, typed.words)
            assert len(succeeded(project) - before) == int(number), line


@pytest.mark.parametrize("options", ["", "--limit 3", "--next 2 --where \"id != 'it''s'\" --max-cost 0.5 --exact"])
def test_a_plan_and_its_submit_are_the_same(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, options: str
) -> None:
    project.documents(8)
    (line,) = TO_RUN.findall(batchrun(f"plan jobs/trial.toml {options}").out)
    planned = batchrun(line.replace("submit", "plan", 1) + " --json").json
    (end,) = [event for event in batchrun(f"{line} --json").events if event["event"] == "run_end"]
    assert end["sent"] == planned["documents"]["to_send"] == len(api.books.entries)


def test_an_interrupted_run_says_once_what_to_type(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(8)
    ran = interrupted(project, batchrun, api)
    assert ran.code == ExitCode.TERMINATED
    assert ran.words.count("batchrun submit") == 1
    left = list(project.statuses().values()).count("pending")
    assert f"batchrun submit jobs/trial.toml --limit=6   # continues with {left} documents\n" in ran.out


def test_paths_are_relative_to_where_the_person_is_and_quoted(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    spaced = (project.root / "jobs" / "trial.toml").rename(project.root / "jobs" / "my trial.toml")
    monkeypatch.chdir(project.root / "docs")
    ran = batchrun("submit", "../jobs/my trial.toml")
    assert ran.code == ExitCode.OK
    assert "next     batchrun results '../jobs/my trial.toml'\n" in ran.out
    assert batchrun("results", "../jobs/my trial.toml").code == ExitCode.OK
    assert "batchrun results '../jobs/my trial.toml'\n" in batchrun("status trial").out
    monkeypatch.chdir(project.root)
    assert "batchrun results 'jobs/my trial.toml'\n" in batchrun("status trial").out
    assert spaced.exists()


CALLS = {
    "uv run": ({"UV_RUN_RECURSION_DEPTH": "1"}, "/any/bin/batchrun", "uv run batchrun"),
    "the path": ({}, "{path}/batchrun", "batchrun"),
    "elsewhere": ({}, ".venv/bin/batchrun", ".venv/bin/batchrun"),
    "elsewhere with a space": ({}, "my venv/bin/batchrun", "'my venv/bin/batchrun'"),
    "a module": ({}, "/somewhere/batchrun/__main__.py", "{python} -m batchrun"),
}


@pytest.mark.parametrize("call", CALLS)
def test_lines_begin_as_the_program_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    environment, called, expected = CALLS[call]
    (tmp_path / "batchrun").touch(mode=0o755)
    (tmp_path / "python9").touch(mode=0o755)
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", [called.format(path=tmp_path)])
    monkeypatch.setattr("sys.executable", str(tmp_path / "python9"))
    next_command.program.cache_clear()
    try:
        program = expected.format(python="python9")
        assert next_command.program() == program
        once = next_command.as_called("do: batchrun submit x")
        assert next_command.as_called(once) == once == f"do: {program} submit x"
        assert next_command.COMMAND.search(once)
        assert next_command.as_called("batchrun.toml, of batchrun") == "batchrun.toml, of batchrun"
    finally:
        next_command.program.cache_clear()


def test_options_that_the_ledger_would_cut_are_not_repeated(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(run=ONE_BY_ONE)
    project.documents(4)
    api.simulator.extend_script(["ok", "billing"])
    ran = batchrun(SUBMIT, "--where", f"id != '{'x' * 3_000}'")
    assert "next     batchrun submit jobs/trial.toml   # continues with the pending documents\n" in ran.out
