"""The sample jobs plan and run as they are, against the simulator, in a copy of the files they need."""

import datetime as dt
import shutil
from pathlib import Path

import duckdb
import pytest
from command_line import REPOSITORY, CommandLine

from batchrun.errors import ExitCode
from batchrun.workflow import open_job

pytestmark = pytest.mark.slow


@pytest.fixture
def batchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line, in a copy of the samples."""
    for folder in ("jobs", "sample_data"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    return CommandLine(capsys)


def rows(query: str) -> list[tuple[object, ...]]:
    """Ask the simulated output."""
    with duckdb.connect("results/batchrun.simulated.duckdb", read_only=True) as output:
        return output.execute(query).fetchall()


def types(table: str) -> dict[str, str]:
    """The table's columns."""
    return {str(row[0]): str(row[1]) for row in rows(f"describe {table}")}


def test_the_plan_is_as_the_docs_show(batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_job, "utc_today", lambda: dt.date(2026, 11, 30))  # the prices get old later
    page = (REPOSITORY / "batchrun" / "docs" / "estimate.md").read_text("utf-8")
    command, _, shown = page.partition("```\n$ batchrun plan jobs/contracts.toml")[2].partition("\n")
    assert command == ""
    told = batchrun("plan jobs/contracts.toml").out
    assert told == shown.partition("```")[0]


def test_contracts(batchrun: CommandLine) -> None:
    plan = batchrun("plan jobs/contracts.toml --json").json
    files = [path for path in Path("sample_data/contracts").iterdir() if path.suffix in {".txt", ".md"}]
    assert plan["documents"].items() >= {"total": len(files), "new": len(files) - 1, "empty": 1}.items()
    assert plan["ok"] is True
    assert any("windows-1252" in note and "guessed" in note for note in plan["notes"])
    ran = batchrun("submit jobs/contracts.toml --simulate --speed 1000")
    assert ran.code == ExitCode.OK
    assert f"succeeded        {len(files) - 1}" in ran.out
    assert "skipped           1" in ran.out
    told = types("contracts")
    assert next(iter(told)) == "doc_id"
    expected = {
        "party_a": "VARCHAR", "effective_date": "DATE", "term_months": "BIGINT", "auto_renewal": "BOOLEAN",
        "liability_cap_usd": "DOUBLE", "evidence_quote": "VARCHAR", "_finished_at": "TIMESTAMP WITH TIME ZONE",
    }  # fmt: skip
    assert told.items() >= expected.items()
    assert rows("select count(*), count(distinct doc_id), count(party_a) from contracts") == [(len(files) - 1,) * 3]
    dates = [date for (date,) in rows("select effective_date from contracts where effective_date is not null")]
    assert dates
    assert all(isinstance(date, dt.date) for date in dates)
    assert rows("select doc_id, status from _batchrun.documents where status != 'succeeded'") == [
        ("sample_data/contracts/unsigned-draft.txt", "skipped")
    ]


def test_contracts_are_done_once(batchrun: CommandLine) -> None:
    for first in ("--limit 3", "--limit 3", "--next 3"):
        batchrun(f"submit jobs/contracts.toml --simulate --speed 1000 {first}")
    again = batchrun("plan jobs/contracts.toml --simulate --json").json["documents"]
    assert (again["reusable"], again["new"]) == (6, 17)


def test_tickets(batchrun: CommandLine) -> None:
    plan = batchrun("plan jobs/tickets.toml --json").json
    assert plan["documents"].items() >= {"total": 40, "new": 39, "empty": 1}.items()
    ran = batchrun("submit jobs/tickets.toml --simulate --speed 1000")
    assert ran.code == ExitCode.OK
    told = types("tickets")
    assert told.items() >= {"summary": "VARCHAR", "products": "VARCHAR[]"}.items()
    categories = {"billing", "bug", "feature", "account", "other"}
    assert {str(category) for (category,) in rows("select distinct category from tickets")} <= categories
    assert rows("select count(*) from tickets") == [(39,)]
    assert all(isinstance(products, list) for (products,) in rows("select products from tickets"))


def test_office(batchrun: CommandLine) -> None:
    plan = batchrun("plan jobs/office.toml --json").json
    assert plan["documents"].items() >= {"total": 15, "new": 14, "unreadable": 1}.items()
    assert plan["ok"] is True
    ran = batchrun("submit jobs/office.toml --simulate --speed 1000")
    assert ran.code == ExitCode.OK
    assert types("office").items() >= {"dated": "DATE", "amount_gbp": "DOUBLE", "parties": "VARCHAR[]"}.items()
    assert rows("select count(*), count(distinct doc_id), count(summary) from office") == [(14, 14, 14)]
    assert rows("select doc_id, status from _batchrun.documents where status != 'succeeded'") == [
        ("sample_data/office/delivery-note-scan.pdf", "skipped")
    ]
    again = batchrun("plan jobs/office.toml --simulate --json").json["documents"]
    assert (again["reusable"], again["new"]) == (14, 0)


@pytest.mark.parametrize("file", ["orders.csv", "orders.parquet"])
def test_orders(batchrun: CommandLine, file: str) -> None:
    job = Path("jobs/orders.toml")
    job.write_text(job.read_text("utf-8").replace("orders.csv", file, 1), "utf-8")
    plan = batchrun("plan jobs/orders.toml --json").json
    assert plan["documents"].items() >= {"total": 30, "new": 28, "empty": 2}.items()
    ran = batchrun("submit jobs/orders.toml --simulate --speed 1000")
    assert ran.code == ExitCode.OK
    assert types("orders").items() >= {"wanted_by": "DATE", "needs_answer": "BOOLEAN"}.items()
    assert rows("select count(*), min(doc_id), count(summary) from orders") == [(28, "W-3001", 28)]
    again = batchrun("plan jobs/orders.toml --simulate --json").json["documents"]
    assert (again["reusable"], again["new"]) == (28, 0)


def test_both_in_one_project(batchrun: CommandLine) -> None:
    for job in ("contracts", "tickets"):
        assert batchrun(f"submit jobs/{job}.toml --simulate --speed 1000 --limit 2 -q").code == ExitCode.OK
    counted = rows("select job, count(*) from _batchrun.documents where status = 'succeeded' group by all order by all")
    assert counted == [("contracts", 2), ("tickets", 2)]


def test_the_repository_is_not_written_to(batchrun: CommandLine, tmp_path: Path) -> None:
    batchrun("submit jobs/contracts.toml --simulate --speed 1000 --limit 1 -q")
    assert (tmp_path / ".batchrun").is_dir()
    assert (tmp_path / "results").is_dir()
