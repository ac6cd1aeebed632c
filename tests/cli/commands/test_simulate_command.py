"""`--simulate` and `batchrun simulate serve`: pretend results are marked, and never taken for real ones."""

import signal

import pytest
from command_line import CommandLine, process
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SIMULATED = "submit jobs/trial.toml --simulate --speed 1000"


def test_it_is_marked_wherever_it_is_shown(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    assert batchrun("plan jobs/trial.toml --simulate").out.startswith("SIMULATED  trial: 2 documents")
    ran = batchrun(SIMULATED)
    assert ran.code == ExitCode.OK
    assert ran.err.startswith("SIMULATED  trial: 2 documents to send")
    assert ran.out.startswith("SIMULATED  trial run sim-")
    assert "(pretend)" in ran.out
    assert " pretend " in batchrun("status").out
    assert batchrun("results --simulate").out.startswith("SIMULATED\n")
    assert batchrun("results --simulate --doc docs/0000.txt").out.startswith("SIMULATED  docs/0000.txt")
    assert all(row["_run_id"].startswith("sim-") for row in batchrun("results --simulate --format jsonl").events)
    assert batchrun(SIMULATED).out.startswith("SIMULATED  trial: nothing to send")
    assert batchrun(f"{SIMULATED} --json").events[-1]["simulated"] is True
    assert batchrun("plan jobs/trial.toml --simulate --json").json["simulated"] is True


def test_it_has_a_store_of_its_own(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    assert batchrun(SIMULATED).code == ExitCode.OK
    assert not api.books.entries
    assert not project.database.exists()
    assert not project.ledger_path.exists()
    assert project.database.with_name("out.simulated.duckdb").exists()
    assert batchrun("plan jobs/trial.toml --json").json["documents"]["new"] == 2
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK
    assert len(api.books.entries) == 2


@pytest.mark.parametrize("command", ["results", "results last", "retry", "retry last", "results trial"])
def test_a_simulated_run_is_found_and_marked_and_never_stands_for_a_real_one(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str
) -> None:
    project.documents(2)
    batchrun(SIMULATED)
    ran = batchrun(command)
    assert (ran.code, ran.out.startswith("SIMULATED")) == (ExitCode.OK, True)
    batchrun("submit jobs/trial.toml")
    project.document("0009.txt", "new")
    batchrun(SIMULATED)
    assert "SIMULATED" not in batchrun(command).words


@pytest.mark.parametrize("command", ["status last", "status trial", "status --check"])
def test_nor_is_it_in_a_status(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str
) -> None:
    project.documents(2)
    batchrun("submit jobs/trial.toml")
    project.document("0009.txt", "new")
    batchrun(SIMULATED)
    assert [event["simulated"] for event in batchrun(f"{command} --json").events] == [False]


@pytest.mark.parametrize("words", ["--simulate {}", "{} --simulate", "--simulate=calm {}", "{} --simulate=busy"])
def test_where_the_option_stands(project: TrialProject, batchrun: CommandLine, words: str) -> None:
    project.documents(1)
    assert batchrun(f"plan {words.format('jobs/trial.toml')}").out.startswith("SIMULATED")


def test_a_simulated_run_is_meant_when_its_id_says_so(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    batchrun(SIMULATED)
    (run,) = (event["run"] for event in batchrun("status --json").events)
    assert run.startswith("sim-")
    assert len(batchrun(f"results {run} --format jsonl").events) == 2
    assert batchrun(f"retry {run}").out.startswith("SIMULATED  trial: nothing to send")


def test_no_key_is_no_reason_to_pretend(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    ran = batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "add --simulate" in ran.err
    assert "SIMULATED" not in ran.words
    assert not list(project.root.rglob("*simulated*"))


def test_a_key_is_not_used(project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    project.documents(1)
    assert batchrun(SIMULATED).code == ExitCode.OK


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_not_used(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    project.job(retry="max_attempts = 1")
    project.documents(1)
    assert batchrun(SIMULATED).code == ExitCode.OK


def test_serve(project: TrialProject) -> None:
    project.documents(2)
    with process("simulate serve --port 0 --speed 1000", cwd=project.root) as server:
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("simulator on ").strip()
        endpoint = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "any"}
        with process("submit jobs/trial.toml", cwd=project.root, environment=endpoint) as submitting:
            out, _ = submitting.communicate(timeout=120)
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=120)
    assert (submitting.returncode, server.returncode) == (ExitCode.OK, ExitCode.OK)
    assert "succeeded         2  100.0%" in out
    assert err == ""


def test_a_port_that_is_taken(batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun(f"simulate serve --port {api.base_url.rpartition(':')[2]}")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "choose another port" in ran.err
