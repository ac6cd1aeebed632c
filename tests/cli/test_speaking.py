"""What goes to stdout, what to stderr, and how --json, -q, -v, colours and environment variables change it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine, Ran, process, talking_to
from trial_project import TrialProject

from batchrun.cli import COMMANDS
from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.ledger.job_lock import job_lock

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
PLAN = "plan jobs/trial.toml"
ANSI = "\x1b["


@pytest.fixture
def finished(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    """A run of three documents, one of which has no row."""
    project.job(run="max_concurrency = 1")
    project.documents(3)
    api.simulator.extend_script(["schema_violation"])
    return batchrun(SUBMIT)


# --- stdout and stderr


def test_a_submit_sums_up_on_stdout_and_tells_the_rest_on_stderr(finished: Ran) -> None:
    assert re.match(r"trial run [0-9a-f]{4} finished with problems in ", finished.out)
    assert "succeeded         2   66.7%" in finished.out
    assert "invalid           1   33.3%" in finished.out
    assert "--status failed" in finished.out
    assert "estimate" in finished.err
    assert "docs/0000.txt" in finished.err, "the document that failed is named while the run goes on"


def test_a_submit_says_what_is_asked_alone_and_what_all_of_it_would_cost(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    project.job(output_fields='title = "string"\nmade_on = "date?"')
    assert re.search(
        r"^2 documents are asked for made_on alone, about \$\S+; for all their fields again, about \$\S+: --reask all$",
        batchrun(SUBMIT).err,
        re.MULTILINE,
    )


def test_a_second_submit_says_that_there_is_nothing_to_send(
    finished: Ran, project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    sent = len(api.books.entries)
    again = batchrun(SUBMIT)
    assert "nothing to send; 1 document without a row" in again.out
    assert again.code == finished.code, "the document without a row is not forgotten"
    assert len(api.books.entries) == sent


@pytest.mark.parametrize("command", ["status", "status trial", "results", "results trial --doc docs/0001.txt"])
def test_what_is_asked_for_is_on_stdout(finished: Ran, batchrun: CommandLine, command: str) -> None:
    ran = batchrun(command)
    assert ran.code == ExitCode.OK
    assert ran.out
    assert not ran.err or "without a row" in ran.err


def test_a_mistake_of_the_user_shows_no_traceback(project: TrialProject, batchrun: CommandLine) -> None:
    project.job("wrong", model='nmae = "claude-haiku-4-5"\nmax_tokens = "many"', budget="max_cost_usd = 0")
    ran = batchrun("plan jobs/wrong.toml -vv")
    assert ran.code == ExitCode.USAGE
    assert "Traceback" not in ran.err
    assert re.search(r"jobs/wrong\.toml:\d+:\d+", ran.err), "the place"
    assert "did you mean `name`?" in ran.err
    assert all(word in ran.err for word in ("nmae", "max_tokens", "max_cost_usd")), "all problems at once"


# --- --json

JSON_LINES = {
    "submit": ("submit jobs/trial.toml --json", ["run_end"]),
    "status": ("status --json", ["run"]),
    "retry": ("retry trial --json", ["run_start", "run_end"]),
    "sync": ("sync jobs/trial.toml --json", ["synced"]),
}


@pytest.mark.parametrize(("command", "events"), JSON_LINES.values(), ids=JSON_LINES)
def test_json_lines(finished: Ran, batchrun: CommandLine, command: str, events: list[str]) -> None:
    ran = batchrun(command)
    told = [event["event"] for event in ran.events if event["event"] not in {"progress", "document"}]
    assert told == events
    assert all({"v", "ts", "event"} <= event.keys() for event in ran.events)
    assert ran.err == ""


def test_json_of_a_run_with_a_failure(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    api.simulator.extend_script(["schema_violation"])
    events = batchrun(f"{SUBMIT} --json").events
    assert (events[0]["event"], events[0]["documents"], events[0]["budget_usd"]) == ("run_start", 2, 1.0)
    (failed,) = (event for event in events if event["event"] == "document")
    assert (failed["run"], failed["status"]) == (events[0]["run"], "invalid")
    end = events[-1]
    assert (end["event"], end["exit_code"], end["counts"]) == ("run_end", 1, {"succeeded": 1, "invalid": 1})
    billed = api.books.summary()
    assert (end["input_tokens"], end["output_tokens"]) == (billed["input_tokens"], billed["output_tokens"])
    assert end["cost_usd"] == pytest.approx((billed["input_tokens"] + 5 * billed["output_tokens"]) / 1e6)
    assert (end["published"], end["simulated"], end["sent"]) == (True, False, 2)


def test_a_cascade_at_the_end_of_a_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(model="max_tokens = 100", cascade='models = ["claude-haiku-4-5", "claude-sonnet-4-6"]')
    project.documents(1)
    api.simulator.extend_script(["schema_violation"])
    assert "  cascade  1 of 1 answer (100.0%) passed to the next model: 1 invalid\n" in batchrun(SUBMIT).out
    project.document("another.txt", "another text")
    assert "  cascade  0 of 1 answer (0.0%) passed to the next model\n" in batchrun(SUBMIT).out
    project.document("third.txt", "a third text")
    assert batchrun(f"{SUBMIT} --json").events[-1]["cascade"] == [
        {"model": "claude-haiku-4-5", "answers": 1, "escalated": 0, "reasons": {}}
    ]


def test_json_of_how_fast_a_run_was(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    api.simulator.extend_script(["overloaded"])
    end = batchrun(f"{SUBMIT} --json").events[-1]
    assert 0 < end["latency_s"]["p50"] <= end["latency_s"]["p95"] <= end["latency_s"]["p99"]
    assert set(end["utilisation"]) == {"requests", "input_tokens", "output_tokens"}
    assert end["retried"] == {"http_529": 1}
    assert list(end["models"].values()) == [3]
    assert {"first_byte_s", "waits"} <= end.keys()
    again = batchrun(f"{SUBMIT} --json").events[-1]
    assert (again["latency_s"], again["retried"], again["models"]) == (None, {}, {}), "nothing was sent"


def test_the_summary_tells_how_long_answers_took(finished: Ran) -> None:
    assert re.search(r"^  tokens .*\n(  speed .*\n)?  latency  p50 .* · p95 .* · p99 ", finished.out, re.MULTILINE)
    assert "  models " not in finished.out, "there is one"


def test_json_of_what_stopped_a_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    api.simulator.extend_script(["spend_limit"])
    events = batchrun(f"{SUBMIT} --json").events
    end = next(event for event in events if event["event"] == "run_end")
    assert end["exit_code"] == ExitCode.STOPPED
    assert "monthly API usage threshold" in end["halted"]
    assert end["counts"] == {"pending": 2}


@pytest.mark.parametrize("command", [f"{PLAN} --json", "results --json"])
def test_one_json_value(finished: Ran, batchrun: CommandLine, command: str) -> None:
    ran = batchrun(command)
    assert ran.json
    assert ran.code == ExitCode.OK


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("plan jobs/nowhere.toml --json", ExitCode.USAGE),
        ("submit jobs/trial.toml --json --max-cost 0.000001", ExitCode.REFUSED),
        ("submit jobs/trial.toml --json --frobnicate", ExitCode.USAGE),
        ("--json submit jobs/trial.toml --limit none", ExitCode.USAGE),
        ("results nobody --json", ExitCode.USAGE),
    ],
)
def test_json_of_an_error_is_the_last_line(
    project: TrialProject, batchrun: CommandLine, command: str, code: ExitCode
) -> None:
    project.documents(1)
    last = batchrun(command).events[-1]
    assert (last["event"], last["exit_code"]) == ("error", code)
    assert last["message"]


# --- -q and -v


@pytest.mark.parametrize(
    "quiet", ["-q submit jobs/trial.toml", "submit -q jobs/trial.toml", "submit jobs/trial.toml -q"]
)
def test_quiet_says_nothing_of_a_success(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, quiet: str
) -> None:
    project.documents(2)
    assert batchrun(quiet) == Ran(ExitCode.OK, "", "")
    assert batchrun(quiet) == Ran(ExitCode.OK, "", ""), "nor of nothing to do"
    assert batchrun("sync jobs/trial.toml -q") == Ran(ExitCode.OK, "", "")
    assert batchrun("-q init jobs/new.toml") == Ran(ExitCode.OK, "", "")


FAILURES = {
    "a document without a row": ["schema_violation"],
    "a stop": ["spend_limit"],
    "a wrong key": ["authentication"],
}


@pytest.mark.parametrize("script", FAILURES.values(), ids=FAILURES)
def test_quiet_does_not_hide_a_failure(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, script: list[str]
) -> None:
    project.documents(2)
    api.simulator.extend_script(script)
    ran = batchrun(f"-q {SUBMIT}")
    assert ran.code
    assert f"exit {ran.code}" in ran.words


def test_quiet_does_not_report_that_the_job_still_runs(project: TrialProject, batchrun: CommandLine) -> None:
    with job_lock(project.ledger_path, "trial"):
        assert batchrun(f"-q {SUBMIT}") == Ran(ExitCode.BUSY, "", ""), "cron would send a mail"


def test_quiet_does_not_hide_a_refusal(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    assert "refused:" in batchrun(f"-q {SUBMIT} --max-cost 0.00001").err


def test_verbose_names_every_document_and_very_verbose_every_retry(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    assert "docs/0000.txt" not in batchrun(f"{SUBMIT} --limit 1").err
    assert "succeeded docs/0001.txt" in batchrun(f"{SUBMIT} -v").err
    project.document("0002.txt", "one more")
    api.simulator.extend_script(["overloaded"])
    ran = batchrun(f"-v {SUBMIT} -v")
    assert re.search(r"retry +docs/0002.txt +http_529, again in \d", ran.err)
    assert "1 after 529" in ran.out


# --- colour

COLOURS = {
    "no terminal": ({}, "", False),
    "asked for by an option": ({}, "--color always", True),
    "asked for by a variable": ({"FORCE_COLOR": "1"}, "", True),
    "unwanted wins": ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "", False),
    "an option beats the variables": ({"NO_COLOR": "1"}, "--color=always", True),
    "asked not to": ({"FORCE_COLOR": "1"}, "--color never", False),
}


@pytest.mark.parametrize(("variables", "option", "colored"), COLOURS.values(), ids=COLOURS)
def test_colour(
    project: TrialProject,
    batchrun: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    option: str,
    colored: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    project.documents(1)
    for command in ("plan jobs/nowhere.toml", f"{PLAN} --max-cost 0.00001"):
        assert (ANSI in batchrun(f"{command} {option}").err) == colored
    assert (ANSI in batchrun(f"{PLAN} --simulate {option}").out) == colored


# --- a reader that goes away


@pytest.mark.parametrize(
    ("stream", "options"), [("stdout", "--json -v"), ("stderr", "-v"), ("stderr", "-v --progress bar")]
)
def test_a_reader_that_goes_away_does_not_end_the_run(
    project: TrialProject, api: SimulatorServer, stream: str, options: str
) -> None:
    project.documents(20)
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        submitting = process(f"{SUBMIT} {options}", cwd=project.root, environment=talking_to(api), **{stream: theirs})
    finally:
        os.close(theirs)
    with submitting:
        out, err = submitting.communicate(timeout=120)
    assert submitting.returncode == ExitCode.OK, (out, err)
    assert len(project.rows()) == 20
    assert "Traceback" not in (out or "") + (err or "")


# --- options wherever they stand, and from the environment


@pytest.mark.parametrize("command", [f"--json {PLAN}", "plan --json jobs/trial.toml", f"{PLAN} --json"])
def test_options_before_and_after_the_command(project: TrialProject, batchrun: CommandLine, command: str) -> None:
    project.documents(1)
    assert batchrun(command).json["job"] == "trial"


ENVIRONMENT = {
    "BATCHRUN_PLAN_LIMIT": ("2", PLAN, "2 new"),
    "BATCHRUN_PLAN_SOURCE": ("*1.txt", PLAN, "1 new"),
    "BATCHRUN_PLAN_ID": ("docs/0001.txt", PLAN, "1 new"),
    "BATCHRUN_SUBMIT_MAX_COST": ("0.00001", SUBMIT, "refused: the estimate is above the budget"),
    "BATCHRUN_PLAN_JSON": ("1", PLAN, '"documents": {'),
    "BATCHRUN_SUBMIT_SIMULATE": ("calm", SUBMIT, "SIMULATED"),
}


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_every_option_has_an_environment_variable(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    project.documents(3)
    value, command, said = ENVIRONMENT[variable]
    assert said not in batchrun(command).words
    monkeypatch.setenv(variable, value)
    assert said in batchrun(command).words


def test_the_command_line_beats_the_environment(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)
    monkeypatch.setenv("BATCHRUN_PLAN_LIMIT", "2")
    assert batchrun(f"{PLAN} --limit 1 --json").json["documents"]["to_send"] == 1


# --- help, version, completion


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(batchrun: CommandLine, command: str) -> None:
    ran = batchrun(f"{command} --help" if command != "simulate" else "simulate serve --help")
    assert ran.code == ExitCode.OK
    assert re.search(rf"^  .*batchrun {command} ", ran.out, re.MULTILINE)


def test_help_lists_every_command(batchrun: CommandLine) -> None:
    ran = batchrun("--help")
    assert re.findall(r"^  (\w+)  +[A-Z]", ran.out, re.MULTILINE) == list(COMMANDS)
    assert batchrun("-h") == ran


def test_version(batchrun: CommandLine) -> None:
    assert re.fullmatch(r"batchrun, version \d+\.\d+\.\d+\n", batchrun("--version").out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(batchrun: CommandLine, shell: str) -> None:
    ran = batchrun(f"completion {shell}")
    assert ran.code == ExitCode.OK
    assert f"_BATCHRUN_COMPLETE={shell}_complete" in ran.out


def test_completion_completes(tmp_path: Path) -> None:
    asking = {"_BATCHRUN_COMPLETE": "bash_complete", "COMP_WORDS": "batchrun s", "COMP_CWORD": "1"}
    with process("", cwd=tmp_path, environment=asking) as asked:
        out, err = asked.communicate(timeout=120)
    assert out.split() == ["plain,submit", "plain,status", "plain,sync", "plain,schema", "plain,simulate"]
    assert err == ""


def test_help_and_completion_import_nothing_heavy(tmp_path: Path) -> None:
    with process("--help", cwd=tmp_path, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as asked:
        _, err = asked.communicate(timeout=120)
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines()}
    assert "click" in imported
    assert not imported & {"anthropic", "duckdb", "tiktoken", "pydantic", "aiohttp", "asyncio", "jsonschema"}


def test_as_a_module_it_is_the_same_program(tmp_path: Path) -> None:
    with process("plan jobs/nowhere.toml --json", cwd=tmp_path, start=subprocess.Popen) as asked:
        out, err = asked.communicate(timeout=120)
    assert asked.returncode == ExitCode.USAGE
    assert json.loads(out)["event"] == "error"
    assert err.startswith("error: there is no job file")
