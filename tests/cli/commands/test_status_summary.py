"""`batchrun status RUN` shows the summary that the run printed, long afterwards and from the ledger alone."""

import json
import re
import subprocess
from typing import Any

import pytest
from command_line import CommandLine, Ran, as_said_here, held, process
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.ledger.job_lock import job_lock

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
ONE_BY_ONE = "max_concurrency = 1"
FIELDS = 'title = "string"\ndue = "date?"'
BATCH = 'max_requests = 2\npoll_interval = "0.05s"\nmax_poll_interval = "0.1s"\n'
CASCADE = 'models = ["claude-haiku-4-5", "claude-sonnet-4-6"]'


def summary(ran: Ran) -> str:
    """The summary within what a submit printed."""
    return ran.out[ran.out.index("trial run ") :]


def remembered(project: TrialProject, column: str) -> dict[str, Any]:
    """What the ledger remembers of the last run."""
    [(text,)] = project.ask(f"select {column} from run_plans order by run_no desc limit 1")
    found: dict[str, Any] = json.loads(text)
    return found


def rewrite(project: TrialProject, column: str, text: str | None) -> None:
    """Put something else in its place."""
    project.ask(f"update run_plans set {column} = ?", text, commit=True)


def test_a_stream(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    api.simulator.extend_script(["schema_violation", "overloaded"])
    printed = summary(batchrun(SUBMIT))
    shown = batchrun("status trial")
    assert printed in shown.out
    assert shown.out.startswith("RUN  "), "the run's line comes first, as ever"
    assert shown.out.count("  latency ") == 1
    for words in ("  cost ", "  retried ", "batchrun results jobs/trial.toml --status failed\n", "\nexit 1\n"):
        assert words in printed


def test_in_a_process_of_its_own(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    printed = summary(batchrun(SUBMIT))
    out, err = process("status last", cwd=project.root, start=subprocess.Popen).communicate(timeout=60)
    assert printed in as_said_here(out)
    assert err == ""


def test_documents_that_were_answered_by_an_earlier_run_are_counted_as_they_were_then(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    batchrun(SUBMIT)
    project.document("another.txt", "another text")
    printed = summary(batchrun(SUBMIT))
    assert "  succeeded         4  100.0%\n" in printed
    assert printed in batchrun("status last").out


def test_a_later_run_takes_nothing_from_the_summary_of_an_earlier_one(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    api.simulator.extend_script(["schema_violation"])
    first = batchrun(SUBMIT)
    (run,) = re.findall(r"trial run ([0-9a-f]{4})", first.out)
    retried = batchrun("retry trial")
    assert retried.code == ExitCode.OK
    assert summary(first) in batchrun(f"status {run}").out
    assert f"trial run {run} " not in batchrun("status last").out


def test_nothing_to_send_changes_nothing(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    printed = summary(batchrun(SUBMIT))
    assert "nothing to send" in batchrun(SUBMIT).out
    assert printed in batchrun("status last").out


def test_a_simulated_run(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    ran = batchrun(f"{SUBMIT} --simulate --speed 100")
    printed = ran.out[ran.out.index("SIMULATED") :]
    assert " (pretend) of " in printed
    (run,) = re.findall(r"run (sim-[0-9a-f]{4})", printed)
    assert printed in batchrun(f"status {run}").out


def test_batches(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(batch=BATCH)
    project.documents(5)
    printed = summary(batchrun(f"{SUBMIT} --route batch"))
    assert printed in batchrun("status last").out


def test_open_batches_are_shown_once_and_as_they_are_now(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(batch=BATCH)
    project.documents(5)
    api.simulator.extend_script(["batch_never_ends"])
    waiting = summary(batchrun(f"{SUBMIT} --route batch --no-wait"))
    shown = batchrun("status last").out

    def without_ages(text: str) -> list[str]:
        return [line for line in text.splitlines() if "msgbatch_" not in line]

    head, *_ = waiting.splitlines()
    assert head.endswith("is not finished: batches are in progress")
    assert without_ages(waiting) == without_ages(shown[shown.index(head) :])
    assert shown.count("msgbatch_") == 3


def test_what_a_cancel_collected_is_counted(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.simulator.batches.life._CANCELING_S", 0.0)
    project.job(batch=BATCH.replace("max_requests = 2", "max_requests = 5"))
    project.documents(5)
    api.simulator.extend_script(["batch_never_ends"])
    batchrun(f"{SUBMIT} --route batch --no-wait")
    batchrun("cancel trial")
    statuses = list(project.statuses().values())
    pending = statuses.count("pending")
    assert 0 < pending < 5
    shown = batchrun("status last").out
    assert f"is not finished: {pending} document" in shown
    assert f"  succeeded   {5 - pending:>7,}" in shown
    assert "msgbatch_" not in shown
    assert shown.rstrip().endswith("exit 10")


def test_a_pilot_and_its_rest(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run=ONE_BY_ONE, output_fields=FIELDS)
    project.documents(30)
    api.simulator.extend_script(["refused"])
    alone = summary(batchrun(f"{SUBMIT} --pilot 10"))
    assert "  refused           1   10.0%\n" in alone
    assert alone in batchrun("status last").out
    both = summary(batchrun(f"{SUBMIT} --pilot 10 --go-on"))
    assert "  refused           1    3.3%\n" in both
    assert both in batchrun("status last").out
    (told,) = batchrun("status last --json").events
    assert told["sent"] == remembered(project, "plan")["counts"]["new"] == 20


def test_a_pilot_that_reached_the_budget_leaves_the_rest_too(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(budget="max_cost_usd = 0.0011", run=ONE_BY_ONE)
    project.documents(30)
    printed = summary(batchrun(f"{SUBMIT} --partial --pilot 20"))
    settled = len([status for status in project.statuses().values() if status == "succeeded"])
    assert f"  left     {30 - settled} documents, about $0.0" in printed
    assert printed in batchrun("status last").out


def test_a_cascade(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(model="max_tokens = 100", cascade=CASCADE, run=ONE_BY_ONE)
    project.documents(2)
    api.simulator.extend_script(["schema_violation"])
    printed = summary(batchrun(SUBMIT))
    assert "  cascade  1 of 2 answers (50.0%) passed to the next model: 1 invalid\n" in printed
    assert printed in batchrun("status last").out


def test_a_cached_prefix(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    system = "Read every word of it. " * 1_500
    project.job(prompt=f'system = "{system}"\nuser = "{{{{ doc.text }}}}"\ncache = "5m"', run=ONE_BY_ONE)
    project.documents(6)
    printed = summary(batchrun(SUBMIT))
    assert re.search(r"^  cache    read .* saved \$", printed, re.MULTILINE)
    assert printed in batchrun("status last").out


def test_a_budget_that_was_reached_and_then_raised(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(budget="max_cost_usd = 0.005")
    project.documents(60)
    stopped = batchrun(f"{SUBMIT} --partial")
    shown = batchrun("status last")
    assert "  left     " in stopped.out
    assert summary(stopped) in shown.out
    (why,) = [line for line in stopped.err.splitlines() if line.startswith("stopped: ")]
    assert not [line for line in stopped.err.splitlines() if line.startswith("next: ")], "the summary says how"
    assert f"\nexit 4\n{why}\n" in shown.out
    assert shown.err == ""
    (told,) = batchrun("status last --json").events
    assert told["halted"] == told["note"]
    assert told["left"] == told["counts"]["pending"] > 0
    assert told["cap"]["key"] == "budget.max_cost_usd"
    project.job()
    resumed = summary(batchrun(SUBMIT))
    shown = batchrun("status last")
    assert resumed in shown.out
    assert "stopped" not in shown.out


def test_a_run_that_was_interrupted_and_resumed(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(run=ONE_BY_ONE)
    project.documents(3)
    api.simulator.extend_script(["ok", "billing"])
    stopped = batchrun(SUBMIT)
    shown = batchrun("status last").out
    assert summary(stopped) in shown
    assert "credit balance" in shown
    resumed = summary(batchrun(SUBMIT))
    assert summary(stopped).split()[2] == resumed.split()[2], "it is the same run"
    shown = batchrun("status last").out
    assert resumed in shown
    assert "credit balance" not in shown


def test_a_run_whose_process_died_is_shown_as_it_stands(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(run=ONE_BY_ONE)
    project.documents(3)
    api.simulator.extend_script(["ok", "billing"])
    batchrun(SUBMIT)
    project.ask("update runs set state = 'running', exit_code = null, note = null, ended_at = null", commit=True)
    rewrite(project, "ending", None)
    shown = batchrun("status last").out
    assert " interrupted " in shown
    assert "is not finished: 2 documents pending\n" in shown
    assert "  succeeded         1   33.3%\n  pending           2   66.7%\n" in shown
    assert "  next     batchrun submit jobs/trial.toml   # continues with 2 documents\n" in shown
    assert shown.count("  next  ") == 1
    with job_lock(project.ledger_path, "trial"):
        shown = batchrun("status last").out
        assert " running " in shown
        assert "  latency " in shown
        assert "is not finished" not in shown, "a run that goes on has no summary"
        assert "  outcomes succeeded 1 · pending 2\n" in shown


def test_rows_that_were_not_brought_to_the_output(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(1)
    batchrun(SUBMIT)  # a ledger that knows its output does not have to read the output before it sends
    project.documents(2)
    with held(project.database):
        printed = summary(batchrun(SUBMIT))
    assert "  rows     safe in the ledger, not in the output yet: " in printed
    assert printed in batchrun("status last").out


def test_for_programs(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    api.simulator.extend_script(["schema_violation"])
    end = batchrun(f"{SUBMIT} --json").events[-1]
    (told,) = batchrun("status trial --json").events
    assert end["event"] == "run_end"
    assert {name: told.get(name) for name in end if name not in {"event", "ts"}} == {
        name: value for name, value in end.items() if name not in {"event", "ts"}
    }
    assert {"state", "settled", "admitted", "failed", "budget_usd", "note", "started", "ended", "minutes"} <= set(told)


# --- what others remembered


def test_a_run_of_an_earlier_version_is_shown_as_ever(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    project.ask("delete from run_plans", commit=True)
    shown = batchrun("status trial")
    assert shown.code == ExitCode.OK
    assert shown.err == ""
    assert "  latency " in shown.out
    assert "  cost " not in shown.out
    (told,) = batchrun("status trial --json").events
    assert "latency_s" in told
    assert "counts" not in told


def test_what_a_later_version_remembers_besides_is_passed_over(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(budget="max_cost_usd = 0.005")
    project.documents(60)
    printed = summary(batchrun(f"{SUBMIT} --partial"))
    plan, ending = remembered(project, "plan"), remembered(project, "ending")
    plan |= {"version": 99, "moon": {"phase": "full"}, "counts": plan["counts"] | {"deferred": 3}}
    plan["estimate"]["carbon_g"] = 1.5
    ending |= {"version": 99, "weather": "fair"}
    ending["halted"]["cap"]["currency"] = "EUR"
    rewrite(project, "plan", json.dumps(plan))
    rewrite(project, "ending", json.dumps(ending))
    shown = batchrun("status last")
    assert printed in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("column", ["plan", "ending"])
@pytest.mark.parametrize("broken", ['{"version": 1, "counts"', "[]", "null", '{"version": 1}', '"\x1b[2J"'])
def test_what_cannot_be_read_is_said_and_the_rest_is_shown(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, column: str, broken: str
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    rewrite(project, column, broken)
    shown = batchrun("status trial")
    assert shown.code == ExitCode.OK
    (warning,) = shown.err.splitlines()
    name = {"plan": "Plan", "ending": "RunEnd"}[column]
    assert warning.startswith(f"warning: the summary of the run cannot be shown: the ledger's {name} is not as it was")
    assert "\x1b" not in shown.words
    assert " finished " in shown.out
    assert "  latency " in shown.out
    told = batchrun("status trial --json")
    assert told.events[0]["state"] == "finished"
    assert "cannot be shown" in told.err
    assert batchrun(SUBMIT).code == ExitCode.OK, "nobody needs it for going on"


def test_all_runs_are_shown_without_looking_at_any_plan(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    rewrite(project, "plan", "broken")
    shown = batchrun("status")
    assert (shown.code, shown.err, len(shown.out.splitlines())) == (ExitCode.OK, "", 2)
