"""Whatever keeps a submit from running, a plan says, with the same words and the same exit code."""

import re
from collections.abc import Callable

import duckdb
import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

JOB = "jobs/trial.toml"


def too_dear(project: TrialProject, batchrun: CommandLine) -> str:
    project.job(budget="max_cost_usd = 0.001")
    return JOB


def too_many(project: TrialProject, batchrun: CommandLine) -> str:
    project.job(budget="max_cost_usd = 1.0\nmax_documents = 2")
    return JOB


def no_room_for_one(project: TrialProject, batchrun: CommandLine) -> str:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 30_000', budget="max_cost_usd = 0.03")
    return JOB


def a_name_of_another_file(project: TrialProject, batchrun: CommandLine) -> str:
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    project.job("trial", file="second")
    project.document("new.txt", "new")
    return "jobs/second.toml"


def a_table_of_another_job(project: TrialProject, batchrun: CommandLine) -> str:
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    project.job("other", store='database = "results/out.duckdb"\ntable = "trial"')
    project.document("new.txt", "new")
    return "jobs/other.toml"


def a_table_that_is_not_ours(project: TrialProject, batchrun: CommandLine) -> str:
    project.database.parent.mkdir()
    with duckdb.connect(str(project.database)) as connection:
        connection.execute("create table trial (x integer)")
    return JOB


def a_changed_type(project: TrialProject, batchrun: CommandLine) -> str:
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    project.job(output_fields='title = "date"')
    return JOB


def a_lost_ledger(project: TrialProject, batchrun: CommandLine) -> str:
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    project.ledger_path.unlink()
    return JOB


def an_unknown_id(project: TrialProject, batchrun: CommandLine) -> str:
    return f"{JOB} --id nowhere.txt"


def a_wrong_condition(project: TrialProject, batchrun: CommandLine) -> str:
    return f"{JOB} --where 'nonsense ='"


OBSTACLES: dict[Callable[[TrialProject, CommandLine], str], ExitCode] = {
    too_dear: ExitCode.REFUSED,
    too_many: ExitCode.REFUSED,
    no_room_for_one: ExitCode.REFUSED,
    a_name_of_another_file: ExitCode.USAGE,
    a_table_of_another_job: ExitCode.USAGE,
    a_table_that_is_not_ours: ExitCode.USAGE,
    a_changed_type: ExitCode.USAGE,
    a_lost_ledger: ExitCode.REFUSED,
    an_unknown_id: ExitCode.USAGE,
    a_wrong_condition: ExitCode.USAGE,
}


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda one: one.__name__)
def test_plan_says_what_submit_refuses(
    project: TrialProject,
    batchrun: CommandLine,
    api: SimulatorServer,
    obstacle: Callable[[TrialProject, CommandLine], str],
) -> None:
    project.documents(4)
    job = obstacle(project, batchrun)
    sent = len(api.books.entries)
    counted = f"plan {job} --check --online 30"  # as a submit does
    planned, shown, submitted = batchrun(counted), batchrun(f"plan {job}"), batchrun(f"submit {job}")
    assert planned.code == submitted.code == OBSTACLES[obstacle]
    assert "To run this" not in planned.out + shown.out
    assert shown.code in {ExitCode.OK, planned.code}
    said = re.search(r"(?ms)^(error|refused): .*", submitted.err)
    assert said is not None
    assert planned.err.endswith(said[0])
    assert len(api.books.entries) == sent


def test_plan_says_that_nothing_is_in_the_way(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(4)
    ran = batchrun(f"plan {JOB} --check")
    assert (ran.code, ran.err) == (ExitCode.OK, "")
    assert ran.out.endswith(f"Nothing was sent. To run this:  batchrun submit {JOB}\n")
    assert not project.ledger_path.exists(), "nothing was written"
    assert batchrun(f"submit {JOB}").code == ExitCode.OK


@pytest.mark.parametrize("documents", [3, 40])
@pytest.mark.parametrize("max_tokens", [100, 20_000])
def test_the_advised_budget_is_enough_the_first_time(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, documents: int, max_tokens: int
) -> None:
    model = f'name = "claude-haiku-4-5"\nmax_tokens = {max_tokens}'
    project.job(model=model, budget="max_cost_usd = 0.0005")
    project.documents(documents)
    advised = re.search(r"raise budget.max_cost_usd to ([0-9.]+) or more", batchrun(f"submit {JOB}").err)
    assert advised is not None
    project.job(model=model, budget=f"max_cost_usd = {advised[1]}")
    assert batchrun(f"plan {JOB} --check").code == ExitCode.OK
    assert batchrun(f"submit {JOB}").code == ExitCode.OK


def test_all_caps_that_are_too_low_are_named_at_once(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    def caps(run: str, day: str) -> None:
        project.job(budget=f"max_cost_usd = {run}")
        (project.root / "batchrun.toml").write_text(f"[budget]\nmax_cost_per_day_usd = {day}\n")

    project.documents(40)
    caps("0.0005", "0.0006")
    refused = batchrun(f"submit {JOB}").err
    run, day = re.findall(r"raise budget\.\w+(?: in batchrun.toml)? to ([0-9.]+) or more", refused)
    caps(run, day)
    assert batchrun(f"submit {JOB}").code == ExitCode.OK


def test_what_is_reserved_for_lost_answers_is_no_cost_of_the_run_before(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(retry='max_attempts = 3\ninitial_delay = "0.001s"\nmax_delay = "0.002s"')
    project.documents(3)
    api.simulator.extend_script(["reset_after"])
    batchrun(f"submit {JOB}")
    (told,) = batchrun("status trial --json").events
    assert told["held_usd"] > 0
    project.document("new.txt", "new")
    before = batchrun(f"plan {JOB} --json").json["before"]
    assert before["cost_usd"] == told["cost_usd"]


def test_reuse_is_told(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    batchrun(f"submit {JOB}")
    project.job("second", store='database = "results/out.duckdb"')
    for command in ("plan", "submit"):
        said = batchrun(f"{command} jobs/second.toml").words
        assert "3 answers of job trial are to the same requests: nothing to pay" in said
    assert len(api.books.entries) == 3
    assert "of job trial" not in batchrun("plan jobs/second.toml").out, "they are the job's own now"


def test_totals_are_always_shown(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(30)
    assert batchrun(f"plan {JOB} --limit 20").out.startswith("trial: 20 of 30 documents, ")
    ran = batchrun(f"submit {JOB} --limit 20")
    assert "trial: 20 documents to send of 30 " in ran.err
    assert "\n  selected         20  of 30 documents\n" in ran.out
    assert batchrun(f"submit {JOB} --limit 20").out.startswith("trial: nothing to send")
    assert len(api.books.entries) == 20
    assert batchrun(f"plan {JOB} --next 5 --json").json["documents"]["to_send"] == 5
    batchrun(f"submit {JOB} --next 5")
    assert len(api.books.entries) == 25


def test_what_would_fit_fits_also_under_the_cap_of_a_day(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(40)
    for cap in ("0.0006", "0.0009", "0.0015", "0.003"):
        (project.root / "batchrun.toml").write_text(f"[budget]\nmax_cost_per_day_usd = {cap}\n")
        refused = batchrun(f"plan {JOB} --check").err
        fits = re.search(r"would fit  --limit (\d+)", refused)
        assert bool(fits) == ("--partial" in refused), refused
        if fits:
            assert batchrun(f"plan {JOB} --check --limit {fits[1]}").code == ExitCode.OK, cap
        else:
            assert batchrun(f"plan {JOB} --check --limit 1").code == ExitCode.REFUSED, cap


def test_what_a_dead_process_has_reserved_counts_before_the_next_submit(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(4)
    batchrun(f"submit {JOB} --limit 1")
    project.ask("update runs set state = 'running', exit_code = null", commit=True)
    project.ask("update attempts set state = 'open', cost_nusd = null, reserved_nusd = 400000", commit=True)
    project.ask("update requests set outcome = null, attempt_no = null", commit=True)
    project.job(budget="max_cost_usd = 0.001")
    planned = batchrun(f"plan {JOB} --json").json
    assert planned["held_usd"] == 0.0004
    assert "$0.0004 reserved for answers that were lost" in batchrun(f"plan {JOB}").out
    check, submitted = batchrun(f"plan {JOB} --check"), batchrun(f"submit {JOB}")
    assert check.code == submitted.code
    assert ("To run this" in check.out) == (submitted.code == ExitCode.OK)
