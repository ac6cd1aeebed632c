"""`--log FILE`: a line of JSON for every attempt, without any text of documents or replies."""

import contextlib
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from command_line import KEY, CommandLine
from trial_project import TrialProject

from batchrun.cli.views.log import Log
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.events import AttemptEnded, RunStarted, Tick
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Usage
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
FIELDS = [
    "ts", "run", "attempt", "doc_id", "id", "request", "model", "state", "outcome", "latency_s", "first_byte_s",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_usd", "stop_reason", "error",
    "request_id",
]  # fmt: skip
ENDED = AttemptEnded(
    attempt_no=7,
    doc_id="docs/a.txt",
    request_id="9f",
    model="claude-haiku-4-5",
    state="answered",
    outcome=Outcome.SUCCEEDED,
    latency_s=1.23456,
    first_byte_s=0.98765,
    usage=Usage(
        input_tokens=10, cache_write_5m_tokens=3, cache_write_1h_tokens=4, cache_read_tokens=5, output_tokens=2
    ),
    cost_nusd=1_500_000,
    stop_reason="end_turn",
    failure=None,
    api_request_id="req_1",
)
REJECTED = replace(
    ENDED, state="failed", outcome=None, first_byte_s=None, usage=None, cost_nusd=None, stop_reason=None,
    failure=Failure(cause=Cause.STATUS, status=400, error_type="invalid_request_error", error_code="too_long",
                    message="so: \x1b[2J\n" + "x" * 500),
)  # fmt: skip


def lines(path: str | Path = "attempts.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("ascii").splitlines()]


# --- what is in a line


def test_a_line_of_an_answer(tmp_path: Path) -> None:
    with Log(tmp_path / "log", Terminal()) as log:
        log(ENDED)
        log(Tick())

    (told,) = lines(tmp_path / "log")
    assert list(told) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("ts"))
    assert told == {
        "run": None, "attempt": 7, "doc_id": "docs/a.txt", "id": "docs/a.txt", "request": "9f",
        "model": "claude-haiku-4-5",
        "state": "answered", "outcome": "succeeded", "latency_s": 1.235, "first_byte_s": 0.988, "input_tokens": 10,
        "cache_read_tokens": 5, "cache_write_tokens": 7, "output_tokens": 2, "cost_usd": 0.0015,
        "stop_reason": "end_turn", "error": None, "request_id": "req_1",
    }  # fmt: skip


def test_a_line_has_the_tags_of_the_run(tmp_path: Path) -> None:
    started = RunStarted(
        run_id="r", job="j", model="m", to_send=1, route="stream", resumed=False, spent_nusd=0, cap_nusd=1
    )
    with Log(tmp_path / "log", Terminal()) as log:
        log(replace(started, tags={"team": "legal", "matter": "4711"}))
        log(ENDED)
        log(REJECTED)
        log(started)
        log(ENDED)

    *tagged, untagged = lines(tmp_path / "log")
    assert [told["tags"] for told in tagged] == [{"team": "legal", "matter": "4711"}] * 2
    assert list(tagged[0]) == [*FIELDS, "tags"]
    assert list(untagged) == FIELDS


def test_a_line_of_a_failure_quotes_the_api_briefly_and_inertly(tmp_path: Path) -> None:
    with Log(tmp_path / "log", Terminal()) as log:
        log(REJECTED)

    (told,) = lines(tmp_path / "log")
    assert told["error"] == {
        "cause": "http_400", "type": "invalid_request_error", "code": "too_long", "status": 400,
        "message": r"so: \x1b[2J\n" + "x" * (200 - len("so: \x1b[2J\n")),
    }  # fmt: skip
    unknown = ("outcome", "first_byte_s", "input_tokens", "cache_read_tokens", "output_tokens", "cost_usd")
    assert [told[name] for name in unknown] == [None] * len(unknown)


# --- of a run


def test_every_attempt_of_a_run_has_a_line(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run="max_concurrency = 1")
    project.documents(3)
    api.simulator.extend_script(["ok", "overloaded", "schema_violation"])

    ran = batchrun(f"{SUBMIT} --log attempts.jsonl")

    assert ran.code == ExitCode.SOME_FAILED
    told = lines(project.root / "attempts.jsonl")
    ends = [(one["state"], one["outcome"], one["error"] and one["error"]["cause"]) for one in told]
    assert sorted(ends, key=str) == sorted(
        [("answered", "succeeded", None)] * 2 + [("answered", "invalid", None), ("failed", None, "http_529")], key=str
    )
    ledger = project.ask("select attempt_no, doc_id, api_request_id from attempts order by 1")
    assert sorted((one["attempt"], one["id"], one["request_id"]) for one in told) == ledger
    assert {one["run"] for one in told} == {run_id for (run_id,) in project.ask("select run_id from runs")}
    assert sum(one["cost_usd"] for one in told) == pytest.approx(
        project.ask("select sum(cost_nusd) / 1e9 from attempts")[0][0]
    )
    assert all(one["latency_s"] > 0 for one in told)
    for one, (latency_s,) in zip(
        sorted(told, key=lambda one: one["attempt"]), project.ask("select latency_s from attempts order by attempt_no"),
        strict=True,
    ):  # fmt: skip
        assert one["latency_s"] == pytest.approx(latency_s, abs=0.001)


def test_no_text_of_documents_replies_or_keys_is_in_it(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.document("a.txt", "Tangerine nebula. " * 3)
    batchrun(f"{SUBMIT} --log attempts.jsonl")

    text = (project.root / "attempts.jsonl").read_text("utf-8")
    ((output,),) = project.ask("select output from requests")
    assert "angerine" not in text
    assert json.loads(output)["title"] not in text
    assert KEY not in text


def test_runs_add_to_it(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    api.simulator.extend_script(["schema_violation"])
    batchrun(f"{SUBMIT} --log attempts.jsonl")

    assert batchrun("retry trial --log attempts.jsonl").code == ExitCode.OK
    *first, again = lines()
    assert sorted(one["outcome"] for one in first) == ["invalid", "succeeded"]
    assert again["outcome"] == "succeeded"
    assert {again["run"]} & {one["run"] for one in first} == set()


def test_duckdb_reads_it(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    batchrun(f"{SUBMIT} --log attempts.jsonl")

    query = "select count(*), max(latency_s) > 0, sum(output_tokens) > 0 from 'attempts.jsonl'"
    with duckdb.connect() as connection:
        assert connection.sql(query).fetchall() == [(3, True, True)]


# --- on stdout


def test_json_and_vv_tell_the_same_on_stdout(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    ran = batchrun(f"{SUBMIT} --json -vv --log attempts.jsonl")

    told = [event for event in ran.events if event["event"] == "attempt"]
    assert [{key: one[key] for key in one if key not in {"v", "event"}} for one in told] == lines()
    assert all(one["v"] == 1 for one in told)


@pytest.mark.parametrize("options", ["--json", "--json -v", "-vv"])
def test_otherwise_attempts_are_not_told(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, options: str
) -> None:
    project.documents(2)
    assert '"attempt"' not in batchrun(f"{SUBMIT} {options}").out


# --- a file that cannot be written


@pytest.mark.parametrize("path", ["nowhere/attempts.jsonl", "docs", "docs/0000.txt/attempts.jsonl"])
def test_a_log_that_cannot_be_opened_is_told_before_anything_is_sent(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, path: str
) -> None:
    project.documents(1)
    ran = batchrun(f"{SUBMIT} --log {path}")
    assert ran.code == ExitCode.USAGE
    assert f"the log {path} cannot be opened" in ran.err
    assert api.books.entries == []
    assert not project.ledger_path.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_log_on_a_full_disk_does_not_end_the_run(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(5)
    ran = batchrun(f"{SUBMIT} --log /dev/full")
    assert ran.code == ExitCode.OK
    assert ran.err.count("the log /dev/full cannot be written: No space left on device; the run goes on") == 1
    assert "succeeded         5" in ran.out


def test_a_reader_that_goes_away_does_not_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    with Log(Path(f"/dev/fd/{writing}"), Terminal()) as log:
        os.close(writing)
        log(ENDED)
        os.close(reading)
        log(ENDED)
        log(ENDED)

    assert capsys.readouterr().err.count("Broken pipe") == 1


class CutOff(io.BytesIO):
    """A disk that has room for half of the first line."""

    def write(self, line: Any) -> int:
        return super().write(line if self.tell() else line[: len(line) // 2])


def test_after_a_line_that_was_cut_off_the_next_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = CutOff()
    monkeypatch.setattr(Path, "open", lambda *_, **__: disk)
    log = Log(tmp_path / "log", Terminal())
    for _ in range(3):
        log(ENDED)

    torn, *whole = disk.getvalue().splitlines()
    with pytest.raises(json.JSONDecodeError):
        json.loads(torn)
    assert [json.loads(line)["attempt"] for line in whole] == [7, 7]
    assert capsys.readouterr().err.count("a line was cut off") == 1


def test_a_file_that_cannot_be_closed_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(io.BytesIO):
        def close(self) -> None:
            raise OSError(28, "No space left on device")

    late = Late()
    monkeypatch.setattr(Path, "open", lambda *_, **__: late)
    with Log(tmp_path / "log", Terminal()) as log:
        log(ENDED)
    with contextlib.suppress(OSError):
        late.close()
