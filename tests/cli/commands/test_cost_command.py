"""`batchrun cost`: what was spent, for people and for programs."""

import contextlib
import json
import re

import duckdb
import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.cli.views import cost_text
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
QUICK = 'poll_interval = "0.05s"\nmax_poll_interval = "0.1s"'
CLASSES = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")


def committed(project: TrialProject) -> int:
    ((nusd,),) = project.ask("select sum(committed_nusd) from runs")
    return int(nusd)


def nusd(usd: float) -> int:
    """Exactly what the ledger has."""
    return round(usd * 1e9)


def change(project: TrialProject, statement: str, *values: object) -> None:
    with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
        ledger.connection.execute(statement, values)


def test_nothing_yet(batchrun: CommandLine) -> None:
    ran = batchrun("cost")
    assert (ran.code, ran.out) == (ExitCode.OK, "")
    assert "nothing was spent" in ran.err
    told = batchrun("cost --json").json
    assert (told["rows"], told["total"]["cost_usd"], told["prices"]) == ([], 0, [])


def test_a_run_with_failures(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(4)
    api.simulator.extend_script(["schema_violation", "overloaded"])
    batchrun(SUBMIT)
    told = batchrun("cost --json").json
    (row,) = told["rows"]
    assert row.pop("job") == "trial"
    assert row == told["total"]
    assert (row["attempts"], row["documents"], row["failed"]["attempts"]) == (5, 4, 2)
    assert nusd(row["cost_usd"]) == committed(project)
    assert 0 < row["failed"]["cost_usd"] < row["cost_usd"]
    assert sum(nusd(row["class_cost_usd"][name]) for name in CLASSES) == committed(project)
    assert row["tokens"]["input"] * 1_000 == nusd(row["class_cost_usd"]["input"])
    assert row["tokens"]["output"] * 5_000 == nusd(row["class_cost_usd"]["output"])
    (price,) = told["prices"]
    assert (price["model"], price["table_date"], price["divisor"]) == ("claude-haiku-4-5", "2026-11-20", 1)
    assert price["usd_per_million"] == {
        "input": 1.0, "output": 5.0, "cache_write_5m": 1.25, "cache_write_1h": 2.0, "cache_read": 0.1,
    }  # fmt: skip
    assert price["attempts"] == 4


def test_the_table(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(4)
    api.simulator.extend_script(["schema_violation"])
    batchrun(SUBMIT)
    total = batchrun("cost --json").json["total"]
    lines = batchrun("cost").out.splitlines()
    assert lines[0].split() == ["JOB", "COST", "FAILED", "ATTEMPTS", "DOCUMENTS", "INPUT", "OUTPUT"]
    assert lines[1].split()[0] == "trial"
    assert lines[1].split()[1:] == lines[2].split()[1:]
    assert lines[2].split()[:2] == ["total", f"${total['cost_usd']:.4f}"]
    assert f"{total['tokens']['input']:,} ${total['class_cost_usd']['input']:.4f}" in lines[2]
    assert "FAILED: attempts" in "\n".join(lines)
    assert lines[-2].startswith("  claude-haiku-4-5: $1 in, $5 out")
    assert "the package's own table of 2026-11-20" in lines[-1]


@pytest.mark.parametrize("by", ["day", "model", "job", "run", "document"])
def test_every_grouping_comes_to_the_same(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, by: str
) -> None:
    project.job(batch=QUICK)
    project.documents(3)
    api.simulator.extend_script(["reset_after", "truncated"])
    batchrun(SUBMIT)
    project.document("0002.txt", "changed")
    batchrun(f"{SUBMIT} --route batch")
    told = batchrun(f"cost --by {by} --json").json
    total = told["total"]
    assert nusd(total["cost_usd"]) + nusd(total["held_usd"]) + nusd(total["open_usd"]) == committed(project)
    for name in ("cost_usd", "held_usd", "open_usd"):
        assert sum(nusd(row[name]) for row in told["rows"]) == nusd(total[name])
    for name in CLASSES:
        assert sum(nusd(row["class_cost_usd"][name]) for row in told["rows"]) == nusd(total["class_cost_usd"][name])
    assert sum(row["attempts"] for row in told["rows"]) == total["attempts"]
    assert {price["divisor"] for price in told["prices"]} == {1, 2}
    assert sum(price["attempts"] for price in told["prices"]) <= total["attempts"]
    assert by in told["rows"][0]
    assert len(batchrun(f"cost --by {by}").out.partition("\n\n")[0].splitlines()) == len(told["rows"]) + 2


def test_what_was_spent_by_a_tag(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(4)
    for name, tags in (
        ("a", 'team = "legal", matter = "4711"'),
        ("b", 'team = "sales"'),
        ("c", ""),
        ("d", 'team = "legal"'),
    ):
        path = project.job(name, prompt=f'user = "{name}: {{{{ doc.text }}}}"')
        path.write_text(path.read_text().replace(f'name = "{name}"\n', f'name = "{name}"\ntags = {{ {tags} }}\n', 1))
        assert batchrun(f"submit jobs/{name}.toml").code == ExitCode.OK

    told = batchrun("cost --by tag:team --json").json
    shown = batchrun("cost --by tag:team")
    of_matter = batchrun("cost --by tag:matter").out.splitlines()

    assert (told["by"], told["total"]["attempts"]) == ("tag:team", 16)
    assert [(row["tag"], row["attempts"], row["documents"]) for row in told["rows"]] == [
        ("", 4, 4), ("legal", 8, 8), ("sales", 4, 4),
    ]  # fmt: skip
    assert sum(nusd(row["cost_usd"]) for row in told["rows"]) == committed(project) == nusd(told["total"]["cost_usd"])
    header, *lines, total = shown.out.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in (header, *lines, total)] == ["TAG", "(none)", "legal", "sales", "total"]
    assert lines[1].split()[1] == f"${told['rows'][1]['cost_usd']:.4f}"
    assert len({len(line) for line in (header, *lines, total)}) == 1
    assert [line.split()[0] for line in of_matter[1:4]] == ["(none)", "4711", "total"]
    assert [row["tag"] for row in batchrun("cost b c --by tag:team --json").json["rows"]] == ["", "sales"]


def test_a_tag_that_no_run_has(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(1)
    none = batchrun("cost --by tag:team")
    assert (none.code, "no run has a tag" in none.err, "[job] tags" in none.err) == (ExitCode.USAGE, True, True)
    path = project.job()
    path.write_text(path.read_text().replace("[job]\n", '[job]\ntags = { team = "legal", matter = "1" }\n', 1))
    batchrun(SUBMIT)

    near, far, empty = (batchrun(f"cost --by tag:{name}") for name in ("taem", "'\x1bq'", "''"))

    assert (near.code, far.code, empty.code, near.out) == (ExitCode.USAGE, ExitCode.USAGE, ExitCode.USAGE, "")
    assert "no run has the tag `taem`; there are: matter, team." in near.err
    assert "did you mean --by tag:team?" in near.err
    assert r"no run has the tag `\x1bq`" in far.err
    assert "such as --by tag:matter" in far.err
    assert "there are: matter, team" in empty.err
    unknown = batchrun("cost --by tga")
    assert (unknown.code, "tag:NAME" in unknown.err) == (ExitCode.USAGE, True)


def test_status_and_plan_tell_programs_the_tags(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(1)
    assert batchrun("plan jobs/trial.toml --json").json["tags"] == {}
    batchrun(SUBMIT)
    path = project.job()
    path.write_text(path.read_text().replace("[job]\n", '[job]\ntags = { team = "legal", matter = "1" }\n', 1))
    project.document("more.txt", "more")

    assert batchrun("plan jobs/trial.toml --json").json["tags"] == {"team": "legal", "matter": "1"}
    batchrun(SUBMIT)

    assert [run["tags"] for run in batchrun("status --json").events] == [{"team": "legal", "matter": "1"}, {}]
    (last,) = batchrun("status last --json").events
    assert last["tags"] == {"team": "legal", "matter": "1"}


def test_only_some_jobs_and_runs(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    project.job("other", store='database = "results/other.duckdb"')
    batchrun(SUBMIT)
    project.document("0001.txt", "changed")
    batchrun(SUBMIT)
    batchrun("submit jobs/other.toml")
    by_run = batchrun("cost --by run --json").json["rows"]
    assert [(row["job"], row["attempts"]) for row in by_run] == [("trial", 2), ("trial", 1)]
    first, second = (row["run"] for row in by_run)
    both = [first, second]
    for words, runs in {
        "trial": both, "jobs/trial.toml": both, first: [first], f"{first} {second}": both, f"{second[:6]} trial": both,
    }.items():  # fmt: skip
        assert [row["run"] for row in batchrun(f"cost --by run --json {words}").json["rows"]] == runs
    assert batchrun("cost other --json").json["rows"] == [], "it found its answers in the ledger"
    unknown = batchrun("cost nothing-like-it")
    assert (unknown.code, "there is no run nothing-like-it" in unknown.err) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ("", ["2026-11-01", "2026-11-02", "2026-11-03"]),
        ("--since 2026-11-02", ["2026-11-02", "2026-11-03"]),
        ("--until 2026-11-02", ["2026-11-01", "2026-11-02"]),
        ("--since 2026-11-02 --until 2026-11-02", ["2026-11-02"]),
        ("--since 2026-12-01", []),
    ],
)
def test_only_some_days(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, options: str, days: list[str]
) -> None:
    project.documents(3)
    batchrun(SUBMIT)
    for number, seconds in enumerate((1793491200.0, 1793663999.5, 1793664000.0), 1):  # midnight, just before one, one
        change(project, "update attempts set started_at = ? where attempt_no = ?", seconds, number)
    assert [row["day"] for row in batchrun(f"cost --by day {options} --json").json["rows"]] == days


def test_a_day_that_is_none(batchrun: CommandLine) -> None:
    assert batchrun("cost --since yesterday").code == ExitCode.USAGE


def test_simulated_runs_are_apart(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    batchrun(f"{SUBMIT} --simulate --speed 1000")
    assert batchrun("cost").out.startswith("SIMULATED"), "there are no others"
    assert batchrun("cost --simulate").out == batchrun("cost").out
    told = batchrun("cost --simulate --by run --json").json
    (row,) = told["rows"]
    assert told["simulated"] is True
    assert batchrun(f"cost {row['run']} --by run --json").json["rows"] == [row]


def test_a_ledger_by_its_file(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(store='database = "results/out.duckdb"\nledger = "elsewhere/money.sqlite3"')
    project.documents(2)
    batchrun(SUBMIT)
    assert batchrun("cost --json").json["rows"] == []
    (row,) = batchrun("cost --json --ledger elsewhere/money.sqlite3").json["rows"]
    assert batchrun("cost --json jobs/trial.toml").json["rows"] == [row]
    project.job("second")
    assert "different ledgers" in batchrun("cost jobs/trial.toml jobs/second.toml").err


def test_what_is_under_way_and_what_was_lost_is_shown_apart(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    batchrun(SUBMIT)
    change(project, "update attempts set state = 'unknown', cost_nusd = null, reserved_nusd = 7 where attempt_no = 1")
    change(project, "update attempts set state = 'open', cost_nusd = null, reserved_nusd = 9 where attempt_no = 2")
    ran, total = batchrun("cost").out, batchrun("cost --json").json["total"]
    assert (nusd(total["held_usd"]), nusd(total["open_usd"])) == (7, 9)
    assert ran.splitlines()[0].split()[:5] == ["JOB", "COST", "RESERVED", "OPEN", "ATTEMPTS"]
    assert "RESERVED: the worst case" in ran
    assert "OPEN: reserved for" in ran


def test_what_was_spent_before_prices_were_recorded(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    batchrun(SUBMIT)
    change(project, "update attempts set price_no = null where attempt_no = 1")
    total = batchrun("cost --json").json["total"]
    assert nusd(total["cost_usd"]) == committed(project)
    assert sum(total["class_cost_usd"].values()) + total["unclassed_usd"] == pytest.approx(total["cost_usd"])
    assert re.search(r"^\$[\d.]+ of COST is in no class of token", batchrun("cost").out, re.MULTILINE)


def test_a_terminal_gets_the_dearest_documents_and_a_pipe_gets_all(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, size in enumerate((10, 4_000, 20, 2_000, 30)):
        project.document(f"{number}.txt", f"word {number} " * size)
    batchrun(SUBMIT)
    monkeypatch.setattr(cost_text, "MOST_ON_A_TERMINAL", 2)
    names = re.compile(r"docs/(\d)\.txt")
    assert names.findall(batchrun("cost --by document").out) == list("01234")
    monkeypatch.setattr(Terminal, "width", lambda _: 70)
    ran = batchrun("cost --by document")
    assert names.findall(ran.out) == ["1", "3"]
    assert "the costliest 2, and 3 more" in ran.out
    assert max(map(len, ran.out.partition("\n\n")[0].splitlines())) == 70
    assert len(batchrun("cost --by document --json").json["rows"]) == 5


def test_json_has_a_row_on_each_line(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    batchrun(SUBMIT)
    head, *rows, tail = batchrun("cost --by document --json").out.splitlines()
    assert [json.loads(row.removesuffix(","))["document"] for row in rows] == [f"docs/000{n}.txt" for n in range(3)]
    assert json.loads(f"{head}{tail}")["by"] == "document"


def test_names_cannot_command_the_terminal(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select id, text from documents"')
    with duckdb.connect(str(project.root / "in.duckdb")) as source:
        source.execute("create table documents (id varchar, text varchar)")
        source.execute("insert into documents values (?, 'text')", ["\x1b]0;evil\x07\n\u202e"])
    batchrun(SUBMIT)
    ran = batchrun("cost --by document")
    assert r"\x1b]0;evil\x07\n\u202e" in ran.out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ran.words)
    (row,) = batchrun("cost --by document --json").json["rows"]
    assert row["document"] == "\x1b]0;evil\x07\n\u202e"
