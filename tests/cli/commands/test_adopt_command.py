"""`batchrun adopt`, and what plan and submit say before it: a lost or older ledger does not pay again in silence."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

JOB = "jobs/trial.toml"
ROOMY = 'name = "claude-haiku-4-5"\nmax_tokens = 1_000'
EVERY_TYPE = """
title = "string"
text = "string?"
whole = "integer"
part = "number"
yes = "boolean?"
day = "date"
moment = "datetime"
kind = { enum = ["a", "b"] }
tags = { type = "array", items = "string" }
party = { type = "object", fields = { name = "string", since = "date?" } }
lines = { type = "array", items = { type = "object", fields = { due = "date", usd = "number?" } } }
"""


def ask(project: TrialProject, query: str) -> list[Any]:
    with contextlib.closing(duckdb.connect(str(project.database), read_only=True)) as connection:
        return connection.execute(query).fetchall()


def rows(project: TrialProject) -> list[Any]:
    return ask(project, "select columns(*)::varchar from trial order by doc_id")


def lose_the_ledger(project: TrialProject) -> None:
    shutil.rmtree(project.ledger_path.parent)


@pytest.fixture
def lost(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Iterator[TrialProject]:
    """A project whose three documents were answered, and whose ledger was then deleted."""
    project.job(model=ROOMY, output_fields=EVERY_TYPE)
    project.documents(3)
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    lose_the_ledger(project)
    return project


def messages(api: SimulatorServer) -> int:
    """How many messages the server was asked for."""
    return len(api.books.entries)


def test_submit_refuses_what_has_rows_and_says_what_to_type(
    lost: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    before, sent = rows(lost), messages(api)

    refused = batchrun(f"submit {JOB}")

    assert refused.code == ExitCode.REFUSED
    assert "the rows of 3 of the 3 documents that would be sent" in refused.err
    assert f"batchrun adopt {JOB}" in refused.err
    assert "--pay-again" in refused.err
    assert messages(api) == sent
    assert rows(lost) == before


def test_the_plan_says_so(lost: TrialProject, batchrun: CommandLine) -> None:
    planned = batchrun(f"plan {JOB} --check")
    assert planned.code == ExitCode.REFUSED
    assert "3 documents to send with a row in the output already" in planned.out
    fields = batchrun(f"plan {JOB} --json").json
    assert fields["documents"]["paid_before"] == 3
    assert not fields["ok"]


def test_adopted_rows_are_never_sent_and_the_output_is_rebuilt_the_same(
    lost: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    before, sent = rows(lost), messages(api)

    adopted = batchrun(f"adopt {JOB}")

    assert adopted.code == ExitCode.OK
    assert "3 documents adopted" in adopted.out
    assert "cost unknown; 0 to send" in adopted.out
    assert f"batchrun submit {JOB}" in adopted.out
    assert rows(lost) == before
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    lost.database.unlink()
    assert batchrun(f"sync {JOB}").code == ExitCode.OK
    assert rows(lost) == before
    assert messages(api) == sent
    assert lost.ask("select count(*) from attempts") == [(0,)]
    assert "cost of 3 answers is unknown" in batchrun("cost trial").words


def test_adopting_again_changes_nothing(lost: TrialProject, batchrun: CommandLine) -> None:
    first, second = (batchrun(f"adopt {JOB} --json").events[-1] for _ in range(2))
    assert (first["event"], first["documents"], first["to_send"]) == ("adopted", 3, 0)
    assert (second["documents"], second["to_send"]) == (0, 0)


def test_only_the_rest_is_sent(lost: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    lost.document("new.txt", "never seen")
    lost.document("0001.txt", "another text")
    sent = messages(api)

    adopted = batchrun(f"adopt {JOB}")
    assert "2 documents adopted" in adopted.out
    assert "2 to send" in adopted.out
    assert batchrun(f"submit {JOB}").code == ExitCode.OK

    assert messages(api) == sent + 2
    assert len(rows(lost)) == 4


def test_pay_again_pays_again(lost: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    sent = messages(api)
    assert batchrun(f"submit {JOB} --pay-again").code == ExitCode.OK
    assert messages(api) == sent + 3
    assert len(rows(lost)) == 3


def test_rows_stay_until_they_are_paid_again(lost: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    before = rows(lost)
    api.simulator.extend_script(["authentication"])
    assert batchrun(f"submit {JOB} --pay-again").code == ExitCode.ENVIRONMENT
    assert rows(lost) == before


def test_another_prompt_is_other_work(lost: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    lost.job(model=ROOMY, output_fields=EVERY_TYPE, prompt='user = "Else: {{ doc.text }}"')
    sent = messages(api)
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    assert messages(api) == sent + 3


def test_a_rehearsal_costs_nothing_and_is_not_refused(lost: TrialProject, batchrun: CommandLine) -> None:
    assert batchrun(f"submit {JOB} --simulate --speed 1000").code == ExitCode.OK
    shutil.rmtree(lost.ledger_path.parent)
    assert batchrun(f"submit {JOB} --simulate --speed 1000").code == ExitCode.OK


# --- a ledger of an older backup


@pytest.fixture
def older(project: TrialProject, batchrun: CommandLine, api: SimulatorServer, tmp_path: Path) -> TrialProject:
    """A project whose ledger is as it was before one document changed, another was tried again and a third came."""
    project.documents(2)
    api.simulator.extend_script(["invalid_request"])
    assert batchrun(f"submit {JOB}").code == ExitCode.SOME_FAILED
    backup = tmp_path / "backup"
    shutil.copytree(project.ledger_path.parent, backup)
    assert batchrun(f"retry {JOB} --status rejected").code == ExitCode.OK
    for name in ("0001.txt", "0002.txt"):
        project.document(name, f"text of {name} since the backup")
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    lose_the_ledger(project)
    shutil.copytree(backup, project.ledger_path.parent)
    return project


@pytest.mark.parametrize("first", ["plan", "sync", "submit"])
def test_an_older_ledger_pays_for_nothing_that_has_a_row(
    older: TrialProject, batchrun: CommandLine, api: SimulatorServer, first: str
) -> None:
    before, sent = rows(older), messages(api)
    assert len(before) == 3

    batchrun(f"{first} {JOB}")
    assert rows(older) == before, "a row that the ledger does not know is not replaced by an older one"
    assert batchrun(f"submit {JOB}").code == ExitCode.REFUSED
    assert "3 documents adopted" in batchrun(f"adopt {JOB}").out
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    assert rows(older) == before
    older.database.unlink()
    assert batchrun(f"sync {JOB}").code == ExitCode.OK

    assert rows(older) == before
    assert messages(api) == sent


def test_a_row_of_a_fallback_model_is_adopted(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 100\nfallbacks = ["claude-sonnet-4-6"]')
    project.documents(1)
    api.simulator.extend_script(["refused"])
    assert batchrun(f"submit {JOB}").code == ExitCode.OK
    before, sent = rows(project), messages(api)
    lose_the_ledger(project)

    assert batchrun(f"submit {JOB}").code == ExitCode.REFUSED
    assert "1 document adopted" in batchrun(f"adopt {JOB}").out
    assert batchrun(f"submit {JOB}").code == ExitCode.OK

    assert rows(project) == before
    assert messages(api) == sent
