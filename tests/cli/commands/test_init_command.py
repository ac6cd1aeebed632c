"""`batchrun init`: a job that works as it is, for what is there; and never one in the place of another."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest
from command_line import REPOSITORY, CommandLine
from trial_project import TrialProject

from batchrun.cli.commands.init import enough
from batchrun.errors import ExitCode
from batchrun.workflow import look_around

LETTER = "Sehr geehrte Frau Alder, wir haben Ihr Schreiben erhalten und danken Ihnen dafür. Die Rechnung ist bezahlt."


@pytest.fixture
def folder(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is no project yet."""
    here = project.root.parent / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def documents(folder: Path) -> None:
    """What the scaffold's sources name."""
    (folder / "documents").mkdir()
    (folder / "documents" / "letter.txt").write_text("Dear Ms Alder, we met on 3 May 2026.")
    with duckdb.connect("inbox.duckdb") as inbox:
        inbox.execute("create table tickets as select 7 as ticket_id, 'It does not start.' as body")


def written(name: str) -> dict[str, Any]:
    return tomllib.loads(Path("jobs", f"{name}.toml").read_text())


def planned(batchrun: CommandLine, out: str) -> Any:
    """Type the line that was printed, and return the plan."""
    return batchrun(f"{out.rstrip().rpartition('batchrun ')[2]} --json").json


# --- a folder


@pytest.mark.slow
def test_a_mixed_folder(folder: Path, batchrun: CommandLine) -> None:
    letters = folder / "Unsere Briefe [neu]*"
    office = REPOSITORY / "sample_data" / "office"
    letters.mkdir()
    for name in ("delivery-note-scan.pdf", "invoice-pellworth.pdf", "services-agreement.docx", "quote-shelving.eml"):
        shutil.copy(office / name, letters)
    shutil.copy(REPOSITORY / "sample_data" / "orders.csv", letters)
    (letters / "leer.txt").touch()
    (letters / 'a "brief"\n.txt').write_text(LETTER)
    ran = batchrun("init", letters.name)
    assert ran.code == ExitCode.OK
    assert "  formats    pdf 2, text 1, eml 1, docx 1, by their names\n" in ran.out
    assert "  empty      Unsere Briefe [neu]*/leer.txt\n" in ran.out
    assert "batchrun init 'Unsere Briefe [neu]*/orders.csv'\n" in ran.out
    assert "  skipped    Unsere Briefe [neu]*/delivery-note-scan.pdf: a PDF without a text layer" in ran.out
    assert "German (1)" in ran.out
    plan = planned(batchrun, ran.out)
    assert (plan["job"], plan["ok"]) == ("unsere-briefe-neu", True)
    assert {kind: plan["documents"][kind] for kind in ("new", "empty", "unreadable")} == {
        "new": 5,  # the mail has an attachment
        "empty": 1,
        "unreadable": 1,
    }
    job = written("unsere-briefe-neu")
    assert job["source"]["include"] == ["Unsere Briefe [[]neu][*]/**"]
    assert job["source"]["exclude"] == ["Unsere Briefe [[]neu][*]/**/*.csv"]
    assert job["budget"]["max_cost_usd"] > plan["estimate_usd"]["high"]


def test_it_makes_the_project(folder: Path, batchrun: CommandLine) -> None:
    (folder / "letters").mkdir()
    (folder / "letters" / "one.txt").write_text(LETTER)
    (folder / "batchrun.toml").write_text("[budget]\nmax_cost_usd = 1.00\n")
    assert batchrun("init letters").code == ExitCode.OK
    assert (folder / "batchrun.toml").read_text() == "[budget]\nmax_cost_usd = 1.00\n"
    assert (folder / ".batchrun" / ".gitignore").read_text() == "*\n"
    first = (folder / "jobs" / "letters.toml").read_text().partition("\n")[0]
    assert (folder / "jobs" / first.removeprefix("#:schema ")).resolve() == folder / ".batchrun" / "job.schema.json"
    assert sorted(path.name for path in folder.rglob("*draft*")) == []


def test_the_folder_is_the_project_if_it_is_elsewhere(
    folder: Path, project: TrialProject, batchrun: CommandLine
) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "one.txt").write_text(LETTER)
    ran = batchrun(f"init {other}")
    assert f"project: {other}\n" in ran.out
    job = tomllib.loads((other / "jobs" / "other.toml").read_text())
    assert job["source"]["include"] == ["**"]
    assert batchrun(f"plan {other}/jobs/other.toml --json").json["documents"]["new"] == 1


@pytest.mark.parametrize("links", [False, True])
def test_nothing_to_read(folder: Path, batchrun: CommandLine, links: bool) -> None:
    (folder / "empty").mkdir()
    if links:
        (folder / "empty" / "out").symlink_to("/etc")
        (folder / "empty" / "loop").symlink_to("loop")
    ran = batchrun("init empty")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "nothing to read" in ran.err
    assert sorted(path.name for path in folder.iterdir()) == ["empty"]


def test_many_files_are_counted_and_few_are_read(
    folder: Path, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_around, "MOST_READ", 2)
    (folder / "many").mkdir()
    for number in range(20):
        (folder / "many" / f"{number}.txt").write_text(LETTER * number)
    ran = batchrun("init many")
    assert "  files      20, " in ran.out
    assert "  read       2 documents, of which 2 can be sent\n" in ran.out
    assert written("many")["source"]["include"] == ["many/**"]


# --- a table


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table(folder: Path, batchrun: CommandLine, ending: str) -> None:
    shutil.copy(REPOSITORY / "sample_data" / f"orders{ending}", folder)
    ran = batchrun(f"init orders{ending}")
    assert "  id         order_id, without gaps and repeats in 30 rows\n" in ran.out
    source = written("orders")["source"]
    assert (source["path"], source["id"], source["text"]) == (f"orders{ending}", "order_id", "message")
    assert planned(batchrun, ran.out)["documents"]["new"] == 28


def test_a_database_without_a_key(folder: Path, batchrun: CommandLine) -> None:
    with duckdb.connect("odd.duckdb") as odd:
        odd.execute('create schema "my s"')
        odd.execute("""create table "my s"."my t" as select 'same "quoted" text' as "The Text", 1 as n from range(3)""")
    ran = batchrun("init odd.duckdb")
    assert "  id         rowid, since no other column is without gaps and repeats in 3 rows\n" in ran.out
    assert planned(batchrun, ran.out)["documents"]["identical"] == 2


@pytest.mark.parametrize("name", ["broken.xlsx", "no.duckdb", "nothing-there", "bytes\udcff"])
def test_what_cannot_be_read(folder: Path, batchrun: CommandLine, name: str) -> None:
    if name != "nothing-there":
        Path(name).write_text("x")
    ran = batchrun("init", name)
    assert ran.code in {ExitCode.USAGE, ExitCode.ENVIRONMENT}
    assert "Traceback" not in ran.err
    assert not (folder / "jobs").exists()


# --- a job file alone


@pytest.mark.slow
@pytest.mark.parametrize("source", ["files", "duckdb"])
@pytest.mark.usefixtures("documents")
def test_what_it_writes_can_be_planned(batchrun: CommandLine, source: str) -> None:
    ran = batchrun(f"init jobs/invoices.toml --source {source}")
    assert ran.code == ExitCode.OK
    assert ran.out.startswith("wrote jobs/invoices.toml\n")
    plan = planned(batchrun, ran.out)
    assert (plan["job"], plan["documents"]["new"], plan["ok"]) == ("invoices", 1, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Q3 Invoices (new).toml", "q3-invoices-new"),
        ("rechnungen_müller.toml", "rechnungen-mueller"),
        ("§.toml", "job"),
    ],
)
@pytest.mark.usefixtures("documents")
def test_any_file_name_makes_a_valid_job_name(batchrun: CommandLine, file: str, name: str) -> None:
    assert batchrun("init", file).code == ExitCode.OK
    assert batchrun("plan --json", file).json["job"] == name


def test_it_overwrites_nothing_unasked(project: TrialProject, batchrun: CommandLine) -> None:
    path = project.root / "jobs" / "trial.toml"
    before = path.read_text()
    ran = batchrun("init jobs/trial.toml")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "--force" in ran.err
    assert path.read_text() == before
    assert batchrun("init jobs/trial.toml --force").code == ExitCode.OK
    assert path.read_text() != before


def test_a_place_that_cannot_be_written(project: TrialProject, batchrun: CommandLine) -> None:
    Path("file").touch()
    ran = batchrun("init file/new.toml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "file/new.toml cannot be written" in ran.err


@pytest.mark.parametrize(("nusd", "dollars"), [(0, 0.05), (45_000_000, 0.05), (1e9, 2), (4.4e9, 5), (90e9, 100)])
def test_a_budget_is_a_round_number(nusd: float, dollars: float) -> None:
    assert enough(nusd) == pytest.approx(dollars)
