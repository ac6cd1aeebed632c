"""`batchrun submit --pilot`: what it says, in words and in JSON, and what a script sees."""

import re
from typing import Any

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
ONE_BY_ONE = "max_concurrency = 1"


@pytest.fixture(autouse=True)
def thirty(project: TrialProject) -> None:
    """Documents, sent one after the other, so that the API's script is followed."""
    project.job(run=ONE_BY_ONE)
    project.documents(30)


def event(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [found] = [one for one in events if one["event"] == name]
    return found


def test_in_words(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run=ONE_BY_ONE, output_fields='title = "string"\ndue = "date?"')
    api.simulator.extend_script(["refused"])
    ran = batchrun(f"{SUBMIT} --pilot 10")
    assert ran.code == ExitCode.SOME_FAILED
    assert re.search(
        r"^pilot: 10 of 30 documents first, about \$0\.\d{4,9} \(90%: \$0\.\d{4,9} to \$0\.\d{4,9}\)$",
        ran.err,
        re.MULTILINE,
    )
    for line in (
        r"trial pilot: 10 documents of run [0-9a-f]{4}",
        r"  succeeded         9   90\.0%   \(90%: 65\.2% to 97\.7%\)",
        r"  truncated         0    0\.0%   \(90%: 0\.0% to 21\.3%\)",
        r"  refused           1   10\.0%   \(90%: 2\.3% to 34\.8%\)",
        r"  null     due                  100\.0%   \(90%: 76\.9% to 100\.0%\)",
        r"  cost     \$0\.\d{4,9} \(90%: \$0\.\d{4,9} to \$0\.\d{4,9}\) a document, streamed",
        r"  rest     20 documents by stream: \$0\.\d{4,9} \(90%: \$0\.\d{4,9} to \$0\.\d{4,9}\)",
        r"           before it \$0\.\d{4,9} \(90%: \$0\.\d{4,9} to \$0\.\d{4,9}\)",
        r"  next     batchrun submit jobs/trial\.toml   # the rest",
    ):
        assert re.search(f"^{line}$", ran.out, re.MULTILINE), line
    assert ran.out.index("trial pilot") < ran.out.index("trial run"), "the summary is the end of it"
    assert len(api.books.entries) == 10


@pytest.mark.parametrize(("selected", "rest"), [("--limit", "--limit=25"), ("--next", "--next=15")])
def test_what_is_typed_next_does_the_rest(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, selected: str, rest: str
) -> None:
    ran = batchrun(f"{SUBMIT} --pilot 10 {selected} 25 --route stream")
    [command] = re.findall(r"next +batchrun (submit .*?)   # the rest", ran.out)
    assert set(command.split()) == {*SUBMIT.split(), "--route=stream", rest}
    assert batchrun(command).code == ExitCode.OK
    assert len(api.books.entries) == len(project.rows()) == 25


def test_going_on(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun(f"{SUBMIT} --pilot 10 --go-on")
    assert ran.code == ExitCode.OK
    assert "\n  the rest follows\n" in ran.out
    assert "succeeded        30  100.0%" in ran.out
    assert len(project.rows()) == len(api.books.entries) == 30
    assert project.ask("select count(*) from runs") == [(1,)]


def test_a_bar_for_each_part(batchrun: CommandLine, api: SimulatorServer) -> None:
    bars = batchrun(f"{SUBMIT} --pilot 10 --go-on --progress bar").err
    assert re.search(r"trial 100%\|[^|]*\| 10/10 ", bars)
    assert re.search(r"trial 100%\|[^|]*\| 20/20 ", bars)


def test_a_threshold(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run=ONE_BY_ONE, pilot="documents = 10\nmax_refusal_rate = 0.1\nmax_failure_rate = 0.1")
    api.simulator.extend_script(["refused", "refused"])
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.STOPPED
    assert "  EXCEEDS  pilot.max_refusal_rate: 20.0% (90%: 6.9% to 45.9%), allowed 10.0%" in ran.out
    assert "stopped: the pilot exceeds 2 thresholds; 20 documents are left." in ran.err
    assert "--no-pilot" in ran.err
    assert "exit 4" in ran.out
    assert len(api.books.entries) == 10
    assert batchrun(SUBMIT).code == ExitCode.STOPPED
    assert len(api.books.entries) == 10
    assert batchrun(f"{SUBMIT} --no-pilot").code == ExitCode.SOME_FAILED
    assert len(api.books.entries) == 30


def test_the_thresholds_hold(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run=ONE_BY_ONE, pilot="documents = 10\nmax_refusal_rate = 0.1")
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.OK
    assert "  holds    pilot.max_refusal_rate: 0.0% (90%: 0.0% to 21.3%), allowed 10.0%" in ran.out
    assert len(project.rows()) == 30
    project.document("new.txt", "one more")
    again = batchrun(SUBMIT)
    assert "trial pilot: 30 documents of before, which tell enough: none is sent for it" in again.out
    assert len(project.rows()) == 31


def test_judged_by_the_past_and_nothing_sent(batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun(f"{SUBMIT} --limit 10")
    ran = batchrun(f"{SUBMIT} --pilot 10")
    assert ran.code == ExitCode.OK
    assert "nothing to send" not in ran.out, "there is a rest"
    assert "rest     20 documents" in ran.out
    assert len(api.books.entries) == 10


def test_as_json(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(
        run=ONE_BY_ONE,
        output_fields='title = "string"\ndue = "date?"',
        pilot="max_refusal_rate = 0.2\nmax_cost_per_document_usd = 0.5",
    )
    api.simulator.extend_script(["refused"])
    ran = batchrun(f"{SUBMIT} --pilot 10 --json")
    assert ran.code == ExitCode.SOME_FAILED
    told = event(ran.events, "pilot")
    assert [one["documents"] for one in ran.events if one["event"] == "run_start"] == [10, 20]
    assert (told["documents"], told["from_past"], told["decision"]) == (10, False, "goes_on")
    assert told["run"] == event(ran.events, "run_end")["run"]
    assert told["refusal_rate"] == {"count": 1, "rate": 0.1, "low": 0.022632, "high": 0.347745}
    assert told["failure_rate"] == told["refusal_rate"] == told["outcomes"]["refused"]
    assert told["truncation_rate"]["count"] == 0
    assert told["null_rates"]["due"]["rate"] == 1.0
    assert told["null_rates"]["title"]["rate"] == 0.0
    for name in ("cost_per_document_usd", "input_tokens_per_document", "output_tokens_per_document"):
        assert 0 < told[name]["low"] <= told[name]["mean"] <= told[name]["high"]
    rest = told["rest"]
    assert (rest["documents"], rest["in_batches"], rest["route"]) == (20, 0, "stream")
    assert rest["estimate_usd"]["low"] < rest["estimate_usd"]["mean"] < rest["estimate_usd"]["high"]
    assert rest["estimate_before_usd"]["mean"] > 0
    refusals, cost = told["thresholds"]
    assert (refusals["key"], refusals["allowed"], refusals["holds"]) == ("max_refusal_rate", 0.2, True)
    assert (cost["allowed"], cost["measured"]["mean"]) == (0.5, told["cost_per_document_usd"]["mean"])
    assert event(ran.events, "run_end")["counts"] == {"succeeded": 29, "refused": 1}


def test_progress_counts_each_part(
    batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.cli.views.progress.JSON_EVERY_S", 0.0)
    events = batchrun(f"{SUBMIT} --pilot 10 --go-on --json").events
    progress = [(one["done"], one["total"]) for one in events if one["event"] == "progress"]
    assert progress == [*[(done, 10) for done in range(1, 11)], *[(done, 20) for done in range(1, 21)]]


def test_the_rest_by_batch(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(batch='poll_interval = "0.05s"\nmax_poll_interval = "0.1s"')
    ran = batchrun(f"{SUBMIT} --pilot 10 --go-on --route batch")
    assert ran.code == ExitCode.OK, ran.words
    assert "rest     20 documents by batch" in ran.out
    assert len(project.rows()) == 30
    assert project.ask("select count(*), count(batch_no) from attempts") == [(30, 20)]


def test_simulated(project: TrialProject, batchrun: CommandLine) -> None:
    ran = batchrun(f"{SUBMIT} --pilot 10 --simulate --speed 1000")
    assert ran.code == ExitCode.OK
    assert ran.out.startswith("SIMULATED  trial pilot: 10 documents of run sim-")
    [command] = re.findall(r"next +batchrun (submit .*?)   # the rest", ran.out)
    assert set(command.split()) == {*SUBMIT.split(), "--simulate", "--speed=1000"}


def test_quiet(batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun(f"-q {SUBMIT} --pilot 10")
    assert (ran.code, ran.words) == (ExitCode.OK, "")


@pytest.mark.parametrize("options", ["--pilot 0", "--pilot many", "--pilot 5 --no-pilot", "--go-on"])
def test_options_that_make_no_sense(batchrun: CommandLine, api: SimulatorServer, options: str) -> None:
    assert batchrun(f"{SUBMIT} {options}").code == ExitCode.USAGE
    assert len(api.books.entries) == 0


def test_retry_makes_no_pilot(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    api.simulator.extend_script(["ok", *["schema_violation"] * 29])
    batchrun(SUBMIT)
    assert len(project.rows()) == 1
    project.job(run=ONE_BY_ONE, pilot="documents = 10\nmax_failure_rate = 0.1")
    assert batchrun("retry trial").code == ExitCode.OK
    assert len(project.rows()) == 30


AFTER = {
    "nothing is asked of it": ("", "the rest waits for another submit"),
    "a threshold": ("max_null_rate = 0.5", "the rest follows when [pilot] holds"),
}


@pytest.mark.parametrize(("keys", "after"), AFTER.values(), ids=AFTER)
def test_the_plan_says_so(project: TrialProject, batchrun: CommandLine, keys: str, after: str) -> None:
    assert "\npilot " not in batchrun("plan jobs/trial.toml").out
    project.job(pilot=f"documents = 10\n{keys}")
    assert (
        f"\npilot    10 documents first, unless as many were answered before; {after}\n"
        in batchrun("plan jobs/trial.toml").out
    )
    assert batchrun("plan jobs/trial.toml --json").json["pilot_documents"] == 10
