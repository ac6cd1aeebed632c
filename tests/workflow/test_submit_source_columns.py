"""Columns of the source go along into the output, without a request of their own."""

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.documents.files import FileSource
from batchrun.errors import UsageProblem
from batchrun.planning import settled_files
from batchrun.planning.selection import Selection

pytestmark = pytest.mark.slow

FILES = 'type = "files"\ninclude = ["docs/*.txt"]\n'
ROWS = 'type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"\n'
ALL = 'columns = ["path", "size", "modified", "pages"]'
MODIFIED = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def table(project: TrialProject, rows: str, names: str) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute(f"create or replace table t as select * from (values {rows}) t({names})")


def dated(path: Path) -> None:
    os.utime(path, ns=(0, 1_772_368_215_250_000_000))


def test_what_a_file_is(project: TrialProject) -> None:
    project.job(source=FILES + ALL)
    project.document("a.txt", "text")
    dated(project.root / "docs" / "a.txt")

    project.submit(ScriptedProvider())

    query = "select src_path, src_size, src_modified::varchar, src_pages from trial_all"
    with duckdb.connect(str(project.database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        assert connection.execute(query).fetchall() == [("docs/a.txt", 4, "2026-03-01 12:30:15.25+00", None)]
    types = project.rows(
        "select data_type from duckdb_columns() where table_name = 'trial' and column_name like 'src%'"
    )
    assert [type_ for (type_,) in types] == ["VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE", "BIGINT"]


def test_named_later_they_come_without_a_request(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    requests = project.ask("select request_id from requests")
    project.job(source=FILES + 'columns = ["size"]')
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert project.rows("select src_size from trial") == [(6,), (6,), (6,)]
    assert project.ask("select request_id from requests") == requests
    project.submit(provider)
    assert project.ask("select count(*) from runs") == [(2,)], "nothing is left to be done"


def test_no_file_is_opened_for_columns_that_the_ledger_has(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))
    project.job(source=FILES + ALL)
    project.document("a.txt", "text")
    dated(project.root / "docs" / "a.txt")
    project.submit(ScriptedProvider())
    (project.root / "docs" / "a.txt").chmod(0)
    monkeypatch.setattr(FileSource, "_bytes", None)  # opening the file would be an error
    project.ask("update read_files set ctime_ns = ?", (project.root / "docs" / "a.txt").stat().st_ctime_ns, commit=True)
    project.database.unlink()
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert project.rows("select src_path, src_size from trial") == [("docs/a.txt", 4)]


def test_a_touched_file_has_its_new_time_without_a_request(project: TrialProject) -> None:
    project.job(source=FILES + 'columns = ["modified"]')
    project.document("a.txt", "text")
    project.submit(ScriptedProvider())
    dated(project.root / "docs" / "a.txt")
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert project.rows("select epoch_ms(src_modified) from trial") == [(round(MODIFIED.timestamp() * 1000),)]


def test_columns_that_are_named_no_longer_keep_what_rows_have(project: TrialProject) -> None:
    project.job(source=FILES + 'columns = ["size"]')
    project.document("a.txt", "text")
    project.submit(ScriptedProvider())
    project.job(source=FILES)
    project.document("b.txt", "another text")

    project.submit(ScriptedProvider())

    assert project.rows("select doc_id, src_size from trial order by 1") == [("docs/a.txt", 4), ("docs/b.txt", None)]


def test_columns_of_rows_are_typed(project: TrialProject) -> None:
    project.job(source=ROWS + 'columns = ["customer", "amount", "share", "is_new", "received"]')
    table(
        project,
        "(1, 'a', 'ACME', 7, 0.5::double, true, date '2026-01-02'), (2, 'b', null, null, null, null, null)",
        "id, text, customer, amount, share, is_new, received",
    )

    project.submit(ScriptedProvider())

    columns = "src_customer, src_amount, src_share, src_is_new, src_received"
    assert project.rows(f"select {columns} from trial order by doc_id") == [
        ("ACME", 7, 0.5, True, "2026-01-02"),
        (None, None, None, None, None),
    ]
    types = project.rows(
        "select data_type from duckdb_columns() where table_name = 'trial' and column_name like 'src%'"
    )
    assert [type_ for (type_,) in types] == ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR"]


@pytest.mark.parametrize(("later", "found"), [("2.5", [1.0, 2.5]), ("'x'", ["1", "x"])])
def test_a_type_grows_with_the_values(project: TrialProject, later: str, found: list[object]) -> None:
    project.job(source=ROWS + 'columns = ["n"]')
    table(project, "(1, 'a', 1)", "id, text, n")
    project.submit(ScriptedProvider())
    table(project, f"(2, 'b', {later}{'::double' if later == '2.5' else ''})", "id, text, n")

    project.submit(ScriptedProvider())

    assert [value for (value,) in project.rows("select src_n from trial order by doc_id")] == found


def test_a_name_that_rows_do_not_have_is_refused_with_those_there_are(project: TrialProject) -> None:
    project.job(source=ROWS + 'columns = ["custmer"]')
    table(project, "(1, 'a', 'x', 'y')", "id, text, customer, region")

    with pytest.raises(UsageProblem, match="no column custmer") as refused:
        project.plan(Selection())

    assert refused.value.hint == "columns of the source: customer, region"


def test_a_name_that_no_row_of_a_sheet_has_is_refused(project: TrialProject) -> None:
    project.job(source=FILES + 'rows = true\ncolumns = ["size", "Price"]')
    project.document("a.txt", "text")

    with pytest.raises(UsageProblem, match="no document has the column Price"):
        project.plan(Selection())


def test_a_column_of_a_row_that_is_left_out_is_a_column(project: TrialProject) -> None:
    project.job(
        source='type = "table"\npath = "docs/*.csv"\nid = "n"\ntext = "text"\ncolumns = ["x"]\non_empty = "skip"'
    )
    project.document("c.csv", 'n,text,x\n1,"",5\n')
    project.document("d.csv", "n,text,y\n2,hi,5\n")

    assert project.plan(Selection()).to_send == 1
