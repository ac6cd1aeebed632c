"""Documents, replies and the API's words may hold anything; none of it can command the terminal."""

import csv
import io
import json
import re

import duckdb
import pytest
from command_line import CommandLine, Ran
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.escaping import escape_control
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

EVIL = "\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b2J\u202eevil\u2066 \x08\x7f\r\nerror: you have been fooled"
COMMANDING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
SOURCE = 'type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select id, text from documents"'


def harmless(ran: Ran) -> bool:
    """No control character, and no line that pretends to be ours."""
    return not COMMANDING.search(ran.words) and not re.search("^error: you", ran.words, re.MULTILINE)


@pytest.fixture(autouse=True)
def evil_documents(project: TrialProject) -> None:
    project.job(source=SOURCE, run="max_concurrency = 1")
    with duckdb.connect(str(project.root / "in.duckdb")) as source:
        source.execute("create table documents (id varchar, text varchar)")
        source.executemany(
            "insert into documents values (?, ?)",
            [[f"1 {EVIL}", f"{EVIL} contract"], [f"2 {EVIL}", "second"], [f"3 {EVIL}", ""]],
        )


SHOWN = r"\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b2J\u202eevil\u2066 \x08\x7f\r\nerror: you have been fooled"


def test_ids_in_a_plan(batchrun: CommandLine) -> None:
    ran = batchrun("plan jobs/trial.toml")
    assert harmless(ran)
    assert f"empty  3 {SHOWN}: the document is empty" in ran.out


@pytest.mark.parametrize("mode", ["lines", "none"])
def test_ids_while_a_run_goes_on(batchrun: CommandLine, api: SimulatorServer, mode: str) -> None:
    api.simulator.extend_script(["overloaded", "schema_violation"])
    ran = batchrun(f"submit jobs/trial.toml -vv --progress {mode}")
    assert harmless(ran)
    assert [f"{start} {SHOWN}" in ran.err for start in ("retry     1", "invalid   1", "succeeded 2")] == [True] * 3


def test_ids_beside_a_bar(batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun("submit jobs/trial.toml -v --progress bar")
    assert f"succeeded 1 {SHOWN}" in ran.err
    assert not COMMANDING.search(ran.err.replace("\r", "")), "the bar itself begins its line anew, and nothing else"


def test_ids_in_a_refusal(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(source=SOURCE.replace("from documents", "from documents union all select id, text from documents"))
    ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.REFUSED
    assert "1 \\x1b]0;title" in ran.err
    assert harmless(ran)


@pytest.mark.parametrize(
    "command",
    ["status", "results trial", "results trial --status all", "results trial --status failed --columns id,problem"],
)
def test_ids_afterwards(batchrun: CommandLine, api: SimulatorServer, command: str) -> None:
    api.simulator.extend_script(["schema_violation"])
    batchrun("submit jobs/trial.toml")
    assert harmless(batchrun(command))


@pytest.mark.parametrize("options", ["", "--json", "--raw"])
def test_one_document(batchrun: CommandLine, api: SimulatorServer, options: str) -> None:
    batchrun("submit jobs/trial.toml")
    ran = batchrun(f"results trial {options} --doc", f"1 {EVIL}")
    assert ran.code == ExitCode.OK
    assert harmless(ran)


def test_a_document_that_nobody_knows(batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun("submit jobs/trial.toml")
    assert not COMMANDING.search(batchrun("results trial --doc", f"9 {EVIL}").words)


def test_json_holds_it_without_letting_it_out(batchrun: CommandLine, api: SimulatorServer) -> None:
    api.simulator.extend_script(["schema_violation"])
    ran = batchrun("submit jobs/trial.toml --json")
    assert harmless(ran)
    assert {event["id"] for event in ran.events if event["event"] == "document"} == {f"1 {EVIL}"}
    planned = batchrun("plan jobs/trial.toml --json")
    assert harmless(planned)
    assert [problem["id"] for problem in json.loads(planned.out)["problems"]] == [f"3 {EVIL}"]


@pytest.mark.parametrize("format_", ["csv", "jsonl", "json"])
def test_a_pipe_gets_the_data_as_it_is(batchrun: CommandLine, api: SimulatorServer, format_: str) -> None:
    batchrun("submit jobs/trial.toml")
    ran = batchrun(f"results trial --format {format_} --columns id")
    read = {
        "csv": lambda text: [row["id"] for row in csv.DictReader(io.StringIO(text, newline=""))],
        "jsonl": lambda text: [json.loads(line)["id"] for line in text.splitlines()],
        "json": lambda text: [row["id"] for row in json.loads(text)],
    }[format_]
    assert read(ran.out) == [f"1 {EVIL}", f"2 {EVIL}"]


def test_words_of_the_api(
    batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch, project: TrialProject
) -> None:
    monkeypatch.setattr("batchrun.providers.anthropic.client.status_failure", with_evil_words)
    api.simulator.extend_script(["invalid_request"])
    assert harmless(batchrun("submit jobs/trial.toml"))
    assert harmless(batchrun("results trial --status failed"))
    assert harmless(batchrun("results trial --doc", f"1 {EVIL}"))


def with_evil_words(error: object) -> object:
    from batchrun.reply import Cause, Failure

    return Failure(cause=Cause.STATUS, status=400, error_type="invalid_request_error", message=EVIL)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, as it was: äöü 漢字 🙂", "plain text, as it was: äöü 漢字 🙂"),
        ("two\nlines\tand a tab", r"two\nlines\tand a tab"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\r", r"\r"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202e", r"\u202e"),
        ("\u2028", r"\u2028"),
        ("\u200f\u200e\u061c", r"\u200f\u200e\u061c"),
        ("\x00\x7f", r"\x00\x7f"),
        ("\u180e\U000e0041", r"\u180e\U000e0041"),
        ("\ud83d", r"\ud83d"),
    ],
)
def test_how_it_is_shown(text: str, shown: str) -> None:
    assert escape_control(text) == shown
