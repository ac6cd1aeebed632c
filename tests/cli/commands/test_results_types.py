"""`batchrun results`: times and enums in every format, names that give way, and files of earlier versions."""

import contextlib
import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from command_line import CommandLine, submitted
from old_output import SIDE_TABLES, make_old
from trial_project import TrialProject

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow

FIELDS = 'kind = { enum = ["a", "b"] }\nat = "datetime"\nstatus = "string"'
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DATABASES = ["results/out.duckdb", "results/batchrun.duckdb", "results/_batchrun.duckdb"]


@pytest.fixture(scope="module", params=DATABASES)
def once_finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = TrialProject(tmp_path_factory.mktemp("typed") / "project")
    project.job(output_fields=FIELDS, run="max_concurrency = 1", store=f'database = "{request.param}"')
    project.documents(3)
    assert submitted(project.root, "ok", "refused") == ExitCode.SOME_FAILED
    return project.root


@pytest.fixture(autouse=True)
def database(project: TrialProject, once_finished: Path) -> Path:
    shutil.copytree(once_finished, project.root, dirs_exist_ok=True)
    (found,) = (project.root / "results").glob("*.duckdb")
    return found


@pytest.mark.parametrize("format_", ["csv", "jsonl", "json"])
def test_times_are_text_in_utc(batchrun: CommandLine, format_: str) -> None:
    told = batchrun(f"results trial --format {format_}").out
    rows = (
        list(csv.DictReader(io.StringIO(told)))
        if format_ == "csv"
        else json.loads(told if format_ == "json" else "[" + ",".join(told.splitlines()) + "]")
    )
    assert [row["doc_id"] for row in rows] == ["docs/0000.txt", "docs/0002.txt"]
    for row in rows:
        assert TIME.fullmatch(row["_finished_at"])
        assert row["kind"] in {"a", "b"}
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d", row["at"]), "a field of the job is no time of batchrun's"


def test_a_time_may_be_chosen_and_compared(batchrun: CommandLine) -> None:
    recent = "_finished_at > now() - interval 1 day and _finished_at <= now()"
    (row, _) = batchrun(f'results trial --format jsonl --columns _Finished_At,id,id --where "{recent}"').events
    assert TIME.fullmatch(next(iter(row.values())))
    assert "docs/0000.txt" in batchrun(f'results trial --where "{recent}"').out


def test_parquet_keeps_times_and_enums(batchrun: CommandLine) -> None:
    assert batchrun("results trial -o rows.parquet").code == ExitCode.OK
    with duckdb.connect() as reader:
        types = {row[0]: row[1] for row in reader.execute("describe from 'rows.parquet'").fetchall()}
        ((seconds, kinds),) = reader.execute(
            "select max(epoch(now()) - epoch(_finished_at)), count(kind) from 'rows.parquet'"
        ).fetchall()
    assert types["_finished_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["at"] == "TIMESTAMP"
    assert 0 <= seconds < 3600
    assert kinds == 2


def test_our_names_give_way_to_fields(batchrun: CommandLine) -> None:
    rows = batchrun("results trial --status all --format jsonl").events
    assert list(rows[0]) == [
        *("doc_id", "_status", "problem", "source", "kind", "at", "status"),
        *("_request_id", "_run_id", "_finished_at", "_model", "_attempts"),
    ]
    assert [row["_status"] for row in rows] == ["succeeded", "refused", "succeeded"]
    assert [row["status"] is None for row in rows] == [False, True, False]


@contextlib.contextmanager
def read_elsewhere(database: Path) -> Iterator[None]:
    """Another process reads the file, and keeps everybody from writing."""
    holding = "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); print('held', flush=True)"
    command = [sys.executable, "-c", f"{holding}; sys.stdin.read()", str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("", timeout=120)


def test_an_old_file_is_moved_by_looking_at_it(batchrun: CommandLine, database: Path) -> None:
    before = batchrun("results trial --status all --format jsonl").out
    make_old(database, "trial")

    assert batchrun("results trial --status all --format jsonl").out == before

    with duckdb.connect(str(database), read_only=True) as connection:
        query = "select schema_name, table_name from duckdb_tables() where table_name != 'trial'"
        assert set(connection.execute(query).fetchall()) == {("_batchrun", table) for table in SIDE_TABLES}


def test_an_old_file_that_somebody_reads_is_looked_at_as_it_is(batchrun: CommandLine, database: Path) -> None:
    before = batchrun("results trial --status all --format jsonl").events
    make_old(database, "trial")
    with read_elsewhere(database):
        ran = batchrun("results trial --status all --format jsonl")
        planned = batchrun("plan jobs/trial.toml")

    assert "rows may be missing" in ran.err
    assert ran.events == before
    assert planned.code == ExitCode.OK


def test_an_old_file_gives_back_what_a_lost_ledger_paid_for(
    batchrun: CommandLine, database: Path, project: TrialProject
) -> None:
    make_old(database, "trial")
    for path in project.ledger_path.parent.glob("ledger.sqlite3*"):
        path.unlink()

    assert batchrun("adopt jobs/trial.toml").code == ExitCode.OK

    rows = batchrun("results trial --format jsonl").events
    assert [row["doc_id"] for row in rows] == ["docs/0000.txt", "docs/0002.txt"]
    assert all(TIME.fullmatch(row["_finished_at"]) for row in rows)


def test_a_file_without_anything_of_ours(batchrun: CommandLine, database: Path) -> None:
    database.unlink()
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table mine as select 1 as x")
    with read_elsewhere(database):
        ran = batchrun("results trial")
    assert ran.code == ExitCode.USAGE
    assert "there are no rows yet in" in ran.err
