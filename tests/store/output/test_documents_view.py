"""The view of every document: what it tells, under which names, and to whom a name belongs."""

import contextlib
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from old_output import make_old
from output_desk import Desk
from recorded_statements import definitions, recorded

from batchrun.errors import UsageProblem
from batchrun.job.fields import Column
from batchrun.outcome import Outcome
from batchrun.store.output.output_table import OutputTable
from batchrun.store.output.publish import Output

pytestmark = pytest.mark.slow

FIRST = ["doc_id", "status", "reason", "source", "run_id", "cost_usd", "reserved_usd"]
OWN = ["_request_id", "_run_id", "_finished_at", "_model", "_attempts"]
NANO = Decimal("0.000000001")


def columns(desk: Desk, view: str = "trial_all") -> list[str]:
    query = f"select column_name from duckdb_columns() where table_name = '{view}' order by column_index"
    return [name for (name,) in desk.ask(query)]


def test_every_document_is_there_with_its_row_or_without(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.settle("b", None, outcome=Outcome.INVALID)
    desk.settle("b", None, outcome=Outcome.INVALID)
    with desk.ledger.transaction():
        desk.ledger.connection.execute(
            "insert into documents (job, doc_id, source, content_sha, request_no, outcome, reason, run_no, seq)"
            " values ('trial', 'c', 's', 'c', null, 'skipped', 'empty', ?, ?)",
            (desk.run_no, desk.ledger.next_seq()),
        )
    Desk(desk.folder, desk.ledger, job="other").settle("a", {"title": "not ours"})
    desk.publish()

    assert columns(desk) == [*FIRST, "title", *OWN]
    names = "doc_id, status, reason, source, run_id, cost_usd, title, _model"
    assert desk.ask(f"select {names} from trial_all order by 1") == [
        ("a", "succeeded", None, "s", "run of trial", NANO, "x", "m"),
        ("b", "invalid", "why", "s", "run of trial", 2 * NANO, None, None),
        ("c", "skipped", "empty", "s", "run of trial", None, None, None),
    ]
    assert desk.ask("select typeof(cost_usd), typeof(_finished_at) from trial_all limit 1") == [
        ("DECIMAL(38,9)", "TIMESTAMP WITH TIME ZONE")
    ]


def test_own_names_give_way_to_fields(desk: Desk) -> None:
    fields = ["status", "Reason", "run_id", "cost_usd"]
    desk.settle("a", dict.fromkeys(fields, "x"))
    desk.output(**dict.fromkeys(fields, "VARCHAR")).publish(wait_s=0)

    assert columns(desk) == [
        "doc_id",
        "_status",
        "_reason",
        "source",
        "__run_id",
        "_cost_usd",
        "reserved_usd",
        *fields,
        *OWN,
    ]
    found = desk.ask("select _status, status, reason, _reason, run_id, _run_id, __run_id, _cost_usd from trial_all")
    assert found == [("succeeded", "x", "x", None, "x", "run of trial", "run of trial", NANO)]


def test_the_view_follows_the_columns(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.settle("a", {"title": "x", "pages": 3})
    desk.publish()
    desk.output(title="VARCHAR", pages="BIGINT").publish(wait_s=0)
    desk.change("alter table trial add column mine integer default 7")
    desk.publish()
    assert columns(desk) == [*FIRST, "title", *OWN, "pages", "mine"]
    assert desk.ask("select title, mine from trial_all") == [("x", 7)]

    statements = recorded(monkeypatch)
    desk.settle("b", {"title": "y"})
    desk.publish()

    assert statements
    assert definitions(statements) == []
    assert desk.ask("select title, mine from trial_all order by doc_id") == [("x", 7), ("y", 7)]


def test_a_view_that_was_dropped_comes_again(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    desk.change("drop view trial_all")
    desk.publish()
    assert desk.ask("select title from trial_all") == [("x",)]

    desk.change("alter table trial rename to trial_old")
    desk.output(title="VARCHAR").publish(wait_s=0)
    assert desk.ask("select title from trial_all") == [("x",)]


@pytest.mark.parametrize("name", ["out", "batchrun", "main", "x.y", "select"])
@pytest.mark.parametrize("alias", ["y", "batchrun", "main_2", "trial"])
def test_the_file_may_be_attached_under_any_name(desk: Desk, name: str, alias: str) -> None:
    desk.database = desk.folder / f"{name}.duckdb"
    desk.settle("a", {"title": "x"})
    desk.publish()

    with contextlib.closing(duckdb.connect()) as session:
        session.execute("create table trial as select 'of the session' as doc_id, 'another' as title")
        session.execute("create schema _batchrun")
        session.execute("create table _batchrun.documents as select 'of the session' as doc_id")
        session.execute(f"attach '{desk.database}' as {alias} (read_only)")
        found = session.execute(f"select doc_id, status, title, cost_usd from {alias}.trial_all").fetchall()
        assert session.execute(f"select count(*) from {alias}._batchrun.attempts").fetchall() == [(1,)]
    assert found == [("a", "succeeded", "x", NANO)]


def test_a_copy_of_the_file_has_the_view(desk: Desk, tmp_path: Path) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    desk.database = desk.database.rename(tmp_path / "renamed.duckdb")

    assert desk.ask("select title from trial_all") == [("x",)]
    desk.settle("b", {"title": "y"})
    assert desk.publish() == 1
    assert desk.ask("select title from trial_all order by 1") == [("x",), ("y",)]


@pytest.mark.parametrize("name", ["_batchrun", "_Batchrun", "_batchrun.simulated"])
def test_a_file_with_the_name_of_the_schema_works_without_a_view(desk: Desk, name: str) -> None:
    desk.database = desk.folder / f"{name}.duckdb"
    desk.settle("a", {"title": "x"})
    desk.publish()
    desk.settle("b", {"title": "y"})
    desk.output().check()
    desk.output(title="VARCHAR", pages="BIGINT").publish(wait_s=0)

    assert desk.ask("select title from trial order by 1") == [("x",), ("y",)]
    catalog = name.partition(".")[0] if desk.ask("select current_catalog()") == [("_batchrun",)] else name
    assert desk.ask(f'select count(*) from "{catalog}"._batchrun.attempts') == [(2,)]


# --- whose name it is


@pytest.mark.parametrize("made", ["create table trial_all as select 7 as x", "create view Trial_All as select 7 as x"])
def test_what_somebody_else_made_stays(desk: Desk, made: str) -> None:
    desk.change(made)
    desk.settle("a", {"title": "x"})

    desk.publish()
    desk.output(title="VARCHAR", pages="BIGINT").publish(wait_s=0)

    assert desk.ask("from trial_all") == [(7,)]
    assert desk.ask() == [("a", "x")]


def test_a_view_with_a_comment_of_somebody_else_is_somebody_elses(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    desk.change("create or replace view trial_all as select 7 as x; comment on view trial_all is 'mine'")
    desk.publish()
    assert desk.ask("from trial_all") == [(7,)]


@pytest.mark.parametrize("first", ["x", "x_all"])
def test_a_table_wins_over_a_view_of_ours(desk: Desk, first: str) -> None:
    short, long = (Desk(desk.folder, desk.ledger, job=job) for job in ("x", "x_all"))
    for job in (short, long):
        job.settle("a", {"title": job.job})
    for job in (short, long, short, long) if first == "x" else (long, short, long, short):
        job.output(job.job).check()
        job.output(job.job).publish(wait_s=0)

    assert desk.ask("select title from x") == [("x",)]
    assert desk.ask("select title from x_all") == [("x_all",)]
    assert desk.ask("select title from x_all_all") == [("x_all",)]
    assert desk.ask("select table_name from duckdb_tables() where schema_name = 'main' order by 1") == [
        ("x",),
        ("x_all",),
    ]
    assert desk.ask("select view_name from duckdb_views() where not internal") == [("x_all_all",)]


def test_rows_of_a_view_of_ours_are_no_rows_of_a_job(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()

    with Desk(desk.folder, desk.ledger, job="trial_all").output("trial_all").stored_rows(wait_s=0) as rows:
        assert rows is None


def test_no_name_is_reserved(desk: Desk) -> None:
    names = ["runs", "documents", "attempts", "positions", "Runs_all", "batchrun"]
    for name in names:
        job = Desk(desk.folder, desk.ledger, job=name)
        job.settle("a", {"title": name})
        job.output(name).check()
        assert job.output(name).publish(wait_s=0) == 1

    for name in names:
        assert desk.ask(f"select title from {name}") == [(name,)]
    assert desk.ask("select title, status from documents_all") == [("documents", "succeeded")]
    assert desk.ask("select count(*) from _batchrun.documents") == [(len(names),)]


def test_another_job_is_refused_its_table(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    other = Desk(desk.folder, desk.ledger, job="other")
    other.settle("a", {"title": "y"})

    with pytest.raises(UsageProblem, match="belongs to the job trial"):
        other.output("trial").check()
    make_old(desk.database, "trial")
    with pytest.raises(UsageProblem, match="belongs to the job trial"):
        other.output("trial").check()


# --- comments


def said(desk: Desk) -> dict[str, str]:
    rows = desk.ask("select table_name || '.' || column_name, comment from duckdb_columns() where comment is not null")
    return dict(rows)


def test_the_file_explains_itself(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()

    own = {f"trial.{name}" for name in ("doc_id", *OWN)}
    assert said(desk).keys() == own | {f"trial_all.{name}" for name in [*FIRST, *OWN]}
    described = dict(desk.ask("select table_name, comment from duckdb_tables()"))
    described |= dict(desk.ask("select view_name, comment from duckdb_views() where not internal"))
    assert set(described) == {"trial", "trial_all", "runs", "documents", "attempts", "positions"}
    for sentence in [*said(desk).values(), *described.values()]:
        assert sentence.endswith(".")


def test_descriptions_of_fields_are_comments_and_written_when_they_change(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(description: str | None) -> None:
        column = Column("title", "VARCHAR", "VARCHAR", description=description)
        Output(desk.ledger, desk.job, OutputTable(desk.database, "trial", (column,))).publish(wait_s=0)

    desk.settle("a", {"title": "x"})
    publish("It's the title\0.")
    assert said(desk)["trial.title"] == said(desk)["trial_all.title"] == "It's the title."

    statements = recorded(monkeypatch)
    publish("It's the title\0.")
    assert statements
    assert definitions(statements) == []

    publish("Another.")
    assert said(desk)["trial.title"] == said(desk)["trial_all.title"] == "Another."
    publish(None)
    assert said(desk)["trial.title"] == "Another.", "who describes nothing takes no comment away"


# --- types


def test_amounts_are_exact_and_times_have_a_zone(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.ledger.connection.execute("update attempts set cost_nusd = 123456789012345678")
    desk.ledger.connection.execute("update runs set cap_nusd = 1000000000 * 1000000000, estimate_nusd = 333333333")
    desk.publish()

    ((budget, estimate),) = desk.ask("select budget_usd, estimate_usd from _batchrun.runs")
    assert (budget, estimate) == (Decimal(999_999_999), Decimal("0.333333333"))
    ((cost,),) = desk.ask("select cost_usd from _batchrun.attempts")
    assert cost == pytest.approx(Decimal("123456789.012345678"))
    types = desk.ask(
        "select distinct regexp_extract(column_name, '(_usd|_at)$') as ending, data_type from duckdb_columns()"
        " where schema_name = '_batchrun' and ending != '' order by 1"
    )
    assert types == [("_at", "TIMESTAMP WITH TIME ZONE"), ("_usd", "DECIMAL(18,9)")]


def test_what_is_reserved_for_lost_answers_is_told_apart(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    ledger = desk.ledger
    with ledger.transaction():
        ledger.connection.execute(
            "update attempts set cost_nusd = null, reserved_nusd = 7000, seq = ? where attempt_no = 1",
            (ledger.next_seq(),),
        )
    desk.publish()
    query = "select cost_usd::varchar, reserved_usd::varchar from {}"
    assert desk.ask(query.format("trial_all")) == [("0.000007000", "0.000007000")]
    assert desk.ask(query.format("_batchrun.attempts")) == [("0.000007000", "0.000007000")]
    assert desk.ask("select reserved_usd::varchar from _batchrun.runs") == [("0.000007000",)]
