"""`batchrun results`: rows in every format, selected and not, and one document in full; `sync` beside it."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import pytest
from command_line import CommandLine, held, submitted
from trial_project import TrialProject

from batchrun.cli import export
from batchrun.duckdb_file import opened
from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

FIELDS = 'title = "string"\npages = "integer?"\nsigned = "date?"\ntags = { type = "array", items = "string" }'
SOURCE = 'type = "files"\ninclude = ["docs/*.txt"]\non_empty = "skip"'
FIELDS_SHOWN = ["doc_id", "title", "pages", "signed", "tags"]
COLUMNS = [*FIELDS_SHOWN, "_request_id", "_run_id", "_finished_at", "_model", "_attempts"]


@pytest.fixture(scope="module")
def once_finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five documents: the second was refused, the third is no row, the fifth is empty."""
    project = TrialProject(tmp_path_factory.mktemp("finished") / "project")
    project.job(output_fields=FIELDS, run="max_concurrency = 1", source=SOURCE)
    project.documents(4)
    project.document("0004.txt", "")
    assert submitted(project.root, "ok", "refused", "schema_violation") == ExitCode.SOME_FAILED
    return project.root


@pytest.fixture(autouse=True)
def finished(project: TrialProject, once_finished: Path) -> None:
    """Every test has a copy of that project."""
    shutil.copytree(once_finished, project.root, dirs_exist_ok=True)


Reader = Callable[[str], list[dict[str, object]]]
READERS: dict[str, Reader] = {
    "csv": lambda text: list(csv.DictReader(io.StringIO(text))),
    "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
    "json": json.loads,
}


@pytest.mark.parametrize("format_", READERS)
def test_formats_for_programs(batchrun: CommandLine, project: TrialProject, format_: str) -> None:
    ran = batchrun(f"results trial --format {format_}")
    rows = READERS[format_](ran.out)
    assert [row["doc_id"] for row in rows] == ["docs/0000.txt", "docs/0003.txt"]
    assert list(rows[0]) == COLUMNS
    stored = project.rows("select title, cast(signed as varchar) from trial order by doc_id")
    assert [(row["title"], row["signed"] or None) for row in rows] == stored
    tags = rows[0]["tags"]
    assert isinstance(json.loads(tags) if isinstance(tags, str) else tags, list)
    assert "2 documents without a row" in ran.err
    assert "--status failed" in ran.err


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json"])
def test_a_file_has_the_format_of_its_ending(batchrun: CommandLine, project: TrialProject, ending: str) -> None:
    printed = batchrun(f"results trial --format {ending}").out
    ran = batchrun(f"results trial -o rows.{ending}")
    assert (ran.code, ran.out) == (ExitCode.OK, "")
    assert "2 rows written to rows." in ran.err
    assert (project.root / f"rows.{ending}").read_text("utf-8") == printed


def test_parquet_keeps_the_types(batchrun: CommandLine, project: TrialProject) -> None:
    ran = batchrun("results trial -o rows.parquet")
    assert (ran.code, ran.out) == (ExitCode.OK, "")
    with duckdb.connect() as reader:
        described = reader.execute("describe from 'rows.parquet'").fetchall()
        assert reader.execute("select count(*) from 'rows.parquet'").fetchone() == (2,)
    types = {row[0]: row[1] for row in described}
    assert (types["pages"], types["signed"], types["tags"]) == ("BIGINT", "DATE", "VARCHAR[]")


def test_parquet_needs_a_file(batchrun: CommandLine) -> None:
    ran = batchrun("results trial --format parquet")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "-o rows.parquet" in ran.err


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_that_cannot_be_written(batchrun: CommandLine, ending: str) -> None:
    ran = batchrun(f"results trial -o nowhere/rows.{ending}")
    assert (ran.code, ran.out) == (ExitCode.ENVIRONMENT, "")
    assert f"nowhere/rows.{ending} cannot be written" in ran.err


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_more_rows_than_memory(
    batchrun: CommandLine, project: TrialProject, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    with duckdb.connect(str(project.database)) as output:
        output.execute("update trial set title = repeat('long', 10_000_000)")
    monkeypatch.setattr(export, "opened", partial(opened, config={"memory_limit": "64MB"}))

    ran = batchrun(f"results trial -o rows.{format_}")

    assert ran.code == ExitCode.ENVIRONMENT
    assert "the rows need more memory than there is" in ran.err
    assert "--columns" in ran.err


def test_a_table_to_look_at(batchrun: CommandLine) -> None:
    header, *rows, total = batchrun("results trial").out.splitlines()
    assert header.split() == FIELDS_SHOWN
    assert [row.split()[0] for row in rows] == ["docs/0000.txt", "docs/0003.txt"]
    assert total == "2 rows · 5 more columns: --all-columns, or -o FILE"
    header, *_, total = batchrun("results trial --all-columns").out.splitlines()
    assert header.split() == COLUMNS
    assert total == "2 rows"


SELECTIONS = {
    "all": ("--status all", "01234"),
    "failed": ("--status failed", "12"),
    "two outcomes": ("--status refused,skipped", "14"),
    "one id": ("--id docs/0003.txt", "3"),
    "source": ("--source '*/*[34].txt' --status all", "34"),
    "where on a field": ("--where \"title is not null and id < 'docs/0001'\"", "0"),
    "nobody": ("--id docs/0001.txt", ""),
    "where on the problem": ("--status all --where \"problem like '%empty%'\"", "4"),
    "limit": ("--status all --limit 2", "01"),
}


@pytest.mark.parametrize(("options", "expected"), SELECTIONS.values(), ids=SELECTIONS)
def test_selection(batchrun: CommandLine, options: str, expected: str) -> None:
    ran = batchrun(f"results trial --format jsonl {options}")
    assert ran.code == ExitCode.OK
    assert [row["doc_id"] for row in ran.events] == [f"docs/000{number}.txt" for number in expected]


def test_what_went_wrong(batchrun: CommandLine) -> None:
    rows = batchrun("results trial --status failed --columns doc_id,status,problem --format jsonl").events
    assert [list(row) for row in rows] == [["doc_id", "status", "problem"]] * 2
    older = batchrun("results trial --status failed --columns id,status --format jsonl").events
    assert [row["id"] for row in older] == [row["doc_id"] for row in rows], "a script of an earlier version"
    assert [row["status"] for row in rows] == ["refused", "invalid"]
    assert all(row["problem"] for row in rows)


MISTAKES = {
    "column": ("--columns id,nonsense", "nonsense"),
    "condition": ("--where 'nonsense = 1'", "nonsense"),
    "a condition that fails only when it is evaluated": ("--where 'cast(title as int) > 3'", "not understood"),
    "no condition": ("--where 'title ='", "not understood"),
    "a second statement": ("--where '1 = 1); drop table trial; --'", "not understood"),
    "outcome": ("--status done", "choose from"),
    "format": ("--format xml", "xml"),
    "document": ("--doc docs/none.txt", "docs/none.txt"),
}


@pytest.mark.parametrize(("options", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(batchrun: CommandLine, project: TrialProject, options: str, said: str) -> None:
    ran = batchrun(f"results trial {options}")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert len(project.rows()) == 2


# --- one document


def test_one_document_in_full(batchrun: CommandLine) -> None:
    ran = batchrun("results trial --doc docs/0002.txt")
    assert ran.out.startswith("docs/0002.txt  invalid  $0.0")
    assert "problem  " in ran.out
    assert "RUN" in ran.out, "its attempts"
    assert "req_011C" in ran.out


def test_one_document_for_programs(batchrun: CommandLine) -> None:
    story = batchrun("results trial --doc docs/0000.txt --json").json
    assert (story["doc_id"], story["status"]) == ("docs/0000.txt", "succeeded")
    assert [attempt["state"] for attempt in story["attempts"]] == ["answered"]
    assert json.loads(story["output"])["title"]


def test_the_reply_as_it_came(batchrun: CommandLine) -> None:
    reply = batchrun("results trial --doc docs/0002.txt --raw").json
    assert (reply["type"], reply["stop_reason"]) == ("message", "end_turn")


# --- which run


def test_a_runs_id_means_its_own_documents(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    (first,) = (run["run"] for run in batchrun("status --json").events)
    project.document("0009.txt", "new")
    batchrun("submit jobs/trial.toml")
    latest = batchrun("status --json").events[0]["run"]
    assert [row["doc_id"] for row in batchrun(f"results {latest} --format jsonl").events] == ["docs/0009.txt"]
    assert len(batchrun(f"results {first} --format jsonl").events) == 2
    assert len(batchrun("results last --format jsonl").events) == 3
    assert len(batchrun(f"results {first[:3]} --status all --format jsonl").events) == 5


def test_from_any_folder_of_the_project(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root / "docs")
    assert len(batchrun("results --format jsonl").events) == 2


# --- the output is a projection


@pytest.mark.parametrize("command", ["sync jobs/trial.toml", "results trial", "submit jobs/trial.toml"])
def test_a_deleted_output_is_rebuilt_without_a_request(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str
) -> None:
    rows, sent = project.rows("select columns(*)::varchar from trial order by doc_id"), len(api.books.entries)
    project.database.unlink()
    batchrun(command)
    assert project.rows("select columns(*)::varchar from trial order by doc_id") == rows
    assert len(api.books.entries) == sent


def test_sync_says_what_it_did(project: TrialProject, batchrun: CommandLine) -> None:
    project.database.unlink()
    assert batchrun("sync jobs/trial.toml").out == f"2 rows written to {project.database}\n"
    assert batchrun("sync jobs/trial.toml --json").events[0]["rows"] == 0


def test_what_is_remembered_needs_no_source_and_no_price(project: TrialProject, batchrun: CommandLine) -> None:
    rows = project.rows("select columns(*)::varchar from trial order by doc_id")
    shutil.rmtree(project.root / "docs")
    retired = 'name = "claude-retired-1"\nmax_tokens = 100'
    project.job(output_fields=FIELDS, source=SOURCE, model=retired)
    project.database.unlink()
    assert batchrun("plan jobs/trial.toml").code == ExitCode.USAGE
    assert batchrun("sync jobs/trial.toml").code == ExitCode.OK
    assert project.rows("select columns(*)::varchar from trial order by doc_id") == rows
    shown = batchrun("results trial --format jsonl")
    assert (shown.code, len(shown.events)) == (ExitCode.OK, 2)


def test_a_held_output_delays_rows_and_not_the_run(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.document("0009.txt", "new")
    with held(project.database):
        synced = batchrun("sync jobs/trial.toml --wait 0")
        assert (synced.code, synced.out) == (ExitCode.BUSY, "")
        assert "PID" in synced.err, "who holds it"
        ran = batchrun("submit jobs/trial.toml --id docs/0009.txt")
        assert ran.code == ExitCode.BUSY
        assert "next     batchrun sync jobs/trial.toml" in ran.out
    assert project.statuses()["0009.txt"] == "succeeded"
    assert batchrun("sync jobs/trial.toml").code == ExitCode.OK
    assert ("docs/0009.txt",) in project.rows()
