"""A project as batchrun 0.1.0 left it: laid out at another path, and looked at with the command line.

`old_project/` has its job files and documents, and its two ledgers as SQL; `old_project.json` has what the commands
show of it. `make_old_project.py` made all of that, once.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
from recording_api import RecordingApi, Remote, batchrun

HERE = Path(__file__).parent
FILES = HERE / "old_project"
PINNED = HERE / "old_project.json"
FINISHED = ("stream", "batch", "cascade", "ladder", "cached")
"""Jobs whose documents are all settled."""
WAITING = "waiting"
"""The job whose batch was in progress when its command ended."""
LEDGER = Path(".batchrun") / "ledger.sqlite3"
SIMULATED_LEDGER = Path(".batchrun") / "ledger.simulated.sqlite3"
DUMPS = {"ledger.sql": LEDGER, "ledger.simulated.sql": SIMULATED_LEDGER}
"""Ledgers lie below `.batchrun`, which Git ignores, and SQL can be reviewed."""
OUTPUT, SIMULATED_OUTPUT = Path("results") / "old.duckdb", Path("results") / "old.simulated.duckdb"


def lay_out(root: Path) -> None:
    """Put the project into a folder that does not exist yet."""
    shutil.copytree(FILES, root)
    (root / ".git").mkdir()
    (root / ".batchrun").mkdir()
    for dump, ledger in DUMPS.items():
        with closing(sqlite3.connect(root / ledger)) as connection:
            connection.executescript((root / dump).read_text("utf-8"))


def remembered(job: str, *, simulated: bool = False) -> dict[str, Any]:
    """What the commands that send nothing show of a job; they stand in the project."""
    more = " --simulate" if simulated else ""
    planned = batchrun(f"plan jobs/{job}.toml --json{more}").json
    return {
        "plan": {name: planned[name] for name in ("job", "fingerprint", "model", "ladder", "documents", "ok")},
        "status": _events(batchrun(f"status {_run_of(job, simulated=simulated)} --json").out),
        "cost by run": batchrun(f"cost {job} --by run --json{more}").json,
        "cost by document": batchrun(f"cost {job} --by document --json{more}").json,
    }


def published(job: str, *, simulated: bool = False) -> dict[str, list[str]]:
    """What is in the output of a job, which stands in the project."""
    output = SIMULATED_OUTPUT if simulated else OUTPUT
    with closing(duckdb.connect(str(output), read_only=True)) as database:
        return {
            "rows": _lines(
                database,
                "select doc_id, title, day, parties, quote, _request_id, _run_id,"
                " (_finished_at at time zone 'UTC')::varchar, _model"
                f" from {job} order by doc_id",
            ),
            "documents": _lines(
                database,
                "select doc_id, source, status, reason, run_id from _batchrun.documents"
                f" where job = '{job}' order by doc_id",
            ),
            "attempts": _lines(
                database,
                "select doc_id, run_id, model, outcome, cost_usd::double, input_tokens, output_tokens"
                " from _batchrun.attempts"
                f" where job = '{job}' order by attempt_no",
            ),
        }


def knows_its_batches(api: RecordingApi, root: Path) -> None:
    """Let the API have the batches that the ledger waits for, with an answer for every member."""
    with closing(sqlite3.connect(root / LEDGER)) as ledger:
        members = ledger.execute(
            "select batch_id, nonce || '-' || request_id, requests.model, schema from batches"
            " join attempts using (batch_no) join requests on requests.request_no = attempts.request_no"
            " where batches.state = 'submitted' order by attempts.attempt_no"
        )
        for batch_id, custom_id, model, schema in members:
            remote = api.batches.setdefault(batch_id, Remote(batch_id, {}))
            remote.params[custom_id] = {"model": model, "output_config": {"format": {"schema": json.loads(schema)}}}


def trimmed(shown: Any, like: Any) -> Any:
    """What was shown, without the fields that have been added to it since."""
    match shown, like:
        case dict(), dict():
            return {name: trimmed(value, like[name]) for name, value in shown.items() if name in like}
        case list(), list() if len(shown) == len(like):
            return [trimmed(one, other) for one, other in zip(shown, like, strict=True)]
        case _:
            return shown


def _run_of(job: str, *, simulated: bool) -> str:
    """The id of the job's last run."""
    with closing(sqlite3.connect(SIMULATED_LEDGER if simulated else LEDGER)) as ledger:
        query = "select run_id from runs where job = ? order by run_no desc"
        return str(ledger.execute(query, (job,)).fetchone()[0])


def _events(out: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in json.loads(line).items() if name not in {"ts", "minutes"}}
        for line in out.splitlines()
    ]


def _lines(database: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [" | ".join(_words(row)) for row in database.execute(query).fetchall()]


def _words(row: Iterable[object]) -> Iterator[str]:
    for value in row:
        yield "-" if value is None else str(value)
