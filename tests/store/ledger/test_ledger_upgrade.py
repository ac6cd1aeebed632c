"""Ledgers of earlier versions are brought up to date, whole or not at all."""

import contextlib
import sqlite3
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from batch_account import EACH, Account
from forked import popen

from batchrun.budget.caps import Amount
from batchrun.errors import EnvironmentProblem
from batchrun.store.ledger.batch_records import Candidate, Prepared
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.connection import SCHEMA_VERSION, SCRIPTS
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs

OLD_PLAN = """
insert into runs (run_no, run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send, cap_nusd,
    estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)
values (1, 'r', 'trial', 'jobs/trial.toml', 'f', 'm', 0, 'interrupted', 3, 3, 1000, 10, 5, 20, 1, 'h', 100.0);
insert into requests (request_no, request_id, model, counted_tokens, text_class)
values (1, 'request-a', 'm', 10, 'prose'), (2, 'request-b', 'm', 10, 'prose'), (3, 'request-c', 'm', 10, 'prose');
insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)
values ('trial', 'a', 's', 'sha', 1, 1, 1), ('trial', 'b', 's', 'sha', 2, 1, 2), ('trial', 'c', 's', 'sha', 3, 1, 3);
insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at, outcome)
values (1, 1, 'trial', 'a', 'answered', 50, 20, 100.0, 'succeeded'),
    (2, 1, 'trial', 'b', 'open', 50, null, 100.0, null);
update requests set outcome = 'succeeded', output = '{"title": "t"}', attempt_no = 1 where request_no = 1;
"""
DIE = """
import os, sys
from pathlib import Path
from batchrun.store.ledger import connection as ledger_file
from batchrun.store.ledger.ledger import Ledger

def dying(connection, script):
    connection.execute("create table half_done (x)")
    os._exit(9)

ledger_file.run_script = dying
Ledger.open(Path(sys.argv[1]))
"""
OPEN = """
import sys
from pathlib import Path
from batchrun.store.ledger.ledger import Ledger
sys.stdin.readline()
print(Ledger.open(Path(sys.argv[1])).ledger_id)
"""


@pytest.fixture(params=range(1, SCHEMA_VERSION))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger as an earlier version of batchrun left it."""
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = wal")
        for script in SCRIPTS[: request.param]:
            connection.executescript(resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
        connection.execute("insert into meta values ('ledger_id', 'the same'), ('sequence', 3)")
        connection.executescript(OLD_PLAN)
        connection.execute(f"pragma user_version = {request.param}")
        connection.commit()
    return path


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("pragma user_version").fetchone()[0])


def layout(ledger: Ledger) -> list[Any]:
    return ledger.connection.execute("select type, name, tbl_name, sql from sqlite_master order by 1, 2").fetchall()


def test_an_old_ledger_is_brought_up_to_date_with_all_that_is_in_it(old: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger:
        assert ledger.ledger_id == "the same"
        rows = ledger.connection.execute("select run_id, route, deadline_at, committed_nusd from runs").fetchall()
        assert rows == [("r", "stream", None, 70)]
        assert ledger.connection.execute("select state, cost_nusd, batch_no, latency_s from attempts").fetchall() == [
            ("answered", 20, None, None), ("open", None, None, None),
        ]  # fmt: skip
        assert ledger.next_seq() == 4
        assert Runs(ledger).recover("trial") == 1
    assert version(old) == SCHEMA_VERSION == 21


def test_an_old_ledger_becomes_just_like_a_new_one(old: Path, tmp_path: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger, contextlib.closing(Ledger.open(tmp_path / "new")) as new:
        assert layout(ledger) == layout(new)


def test_batches_work_on_what_was_an_old_ledger(old: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger:
        Runs(ledger).recover("trial")
        (pending,) = [one for one in ledger.pending(1, since=0, after=0, limit=10) if one.ref.doc_id == "c"]
        batches = Batches(ledger)
        new = Account().new()
        with ledger.transaction():
            prepared = batches.prepare(new, [Candidate(pending.request_no, "c", Amount(EACH))], sizes=[100])
        assert isinstance(prepared, Prepared)
        with ledger.transaction():
            batches.abandon(batches.one(prepared.batch_no), "why")
        assert ledger.connection.execute("select committed_nusd from runs").fetchone() == (70,)


def test_opening_it_again_changes_nothing(old: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger:
        before = layout(ledger)
    with contextlib.closing(Ledger.open(old)) as ledger:
        assert layout(ledger) == before


def test_an_old_ledger_cannot_be_read_and_says_what_to_do(old: Path) -> None:
    before, version_before = old.read_bytes(), version(old)

    with pytest.raises(EnvironmentProblem, match="older") as problem:
        Ledger.read(old)

    assert "submit" in str(problem.value.hint)
    assert old.read_bytes() == before
    assert version(old) == version_before


@pytest.mark.slow
def test_a_process_that_dies_while_it_brings_it_up_to_date_leaves_the_old_ledger(old: Path) -> None:
    before = version(old)

    assert popen([sys.executable, "-c", DIE, str(old)]).wait() == 9

    assert version(old) == before
    with contextlib.closing(Ledger.open(old)) as ledger:
        assert ledger.connection.execute("select count(*) from attempts").fetchone() == (2,)


@pytest.mark.slow
def test_processes_that_bring_it_up_to_date_at_once_do_no_harm(old: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(old)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(popen(command, **pipes)) for _ in range(3)]
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told_ids = {process.communicate()[0].strip() for process in processes}

    assert told_ids == {"the same"}
    assert version(old) == SCHEMA_VERSION
