"""`batchrun doctor`: whether everything around the jobs is in order; the table of prices."""

import contextlib
import re
import sqlite3
import time
from datetime import timedelta
from importlib import metadata, resources

import pytest
from command_line import KEY, CommandLine, Ran
from price_files import ROW, today, write_prices
from trial_project import TrialProject

from batchrun.catalog.price_table import load_prices
from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.cli.doctor import api as api_checks
from batchrun.errors import ExitCode
from batchrun.estimation import tokenizer
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.ledger.connection import SCHEMA_VERSION, SCRIPTS
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics


def verdicts(ran: Ran) -> dict[str, str]:
    """Each check's verdict by its name."""
    return {one["name"]: one["verdict"] for one in ran.json["checks"]}


def ran_with(project: TrialProject, *models: str) -> None:
    """Runs of these models, as the ledger has them."""
    with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
        for number, model in enumerate(models):
            ledger.connection.execute(
                "insert into runs (run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
                " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
                " values (?, 'j', 'jobs/j.toml', 'f', ?, 0, 'finished', 1, 1, 1, 1, 1, 1, 1, 'h', 1.0)",
                (f"r{number}", model),
            )


def in_order(ran: Ran) -> bool:
    return ran.code == ExitCode.OK and set(verdicts(ran).values()) == {"ok"}


# --- the checks


@pytest.mark.slow
def test_all_is_in_order(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_PRICES", str(write_prices(project.root / "prices.toml")))  # of today
    assert in_order(batchrun("doctor --json"))
    project.documents(2)
    batchrun("submit jobs/trial.toml")
    ran = batchrun("doctor --json")
    assert in_order(ran)
    assert ran.json["ok"] is True
    assert all(one["next"] == one["fix"] for one in ran.json["checks"])
    assert "claude-haiku-4-5" in verdicts(ran)
    words = batchrun("doctor").out
    assert f".batchrun/ledger.sqlite3: version {SCHEMA_VERSION}, 1 run\n" in words
    assert re.search("^ok +claude-haiku-4-5 +active, takes 200,000 tokens$", words, re.MULTILINE)
    assert "\n0 warnings, 0 broken\n" in words
    assert batchrun("doctor -q").words == ""


@pytest.mark.slow
def test_nothing_is_changed(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun("doctor")
    assert not project.ledger_path.parent.exists()
    assert api.books.entries == []


def test_a_package_that_is_missing(batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "tqdm":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    ran = batchrun("doctor --offline")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "tqdm is missing" in ran.out
    assert "batchrun needs aiolimiter>=1.2, " in ran.out, "version 1 is below most bounds"
    assert re.search(r"fix: \S*python\S* -m pip install 'aiolimiter>=1.2' .*'tqdm>=4.66'", ran.out)


def test_no_key(batchrun: CommandLine) -> None:
    ran = batchrun("doctor")
    assert ran.code == ExitCode.ENVIRONMENT
    assert re.search("^broken +credential +no API key", ran.out, re.MULTILINE)
    assert "fix: read -rs ANTHROPIC_API_KEY && export ANTHROPIC_API_KEY\n" in ran.out
    assert re.search("^skipped +api +not asked for clock, models and limits", ran.out, re.MULTILINE)


@pytest.mark.slow
def test_the_key_is_not_told(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    ran_with(project, "claude-opus-5")
    assert KEY[-5:] not in "".join(batchrun(f"doctor {options}").words for options in ("", "--json", "-vv"))


@pytest.mark.slow
def test_a_damaged_vocabulary(batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer._encoding.cache_clear()
    monkeypatch.setattr(tokenizer, "VOCABULARY_SHA256", "0" * 64)
    ran = batchrun("doctor --offline --json")
    assert (ran.code, verdicts(ran)["vocabulary"]) == (ExitCode.ENVIRONMENT, "broken")


@pytest.mark.slow
@pytest.mark.parametrize(("age", "verdict"), [(60, "ok"), (61, "warning")])
def test_old_prices(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch, age: int,
    verdict: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("BATCHRUN_PRICES", str(write_prices(project.root / "prices.toml", age=age)))
    ran = batchrun("doctor --json")
    assert (ran.code, verdicts(ran)["prices"]) == (ExitCode.OK, verdict)


@pytest.mark.slow
def test_a_wrong_price_file(batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHRUN_PRICES", "nowhere.toml")
    ran = batchrun("doctor --json")
    assert (ran.code, verdicts(ran)["prices"]) == (ExitCode.ENVIRONMENT, "broken")


@pytest.mark.slow
def test_a_damaged_ledger(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.ledger_path.parent.mkdir()
    project.ledger_path.write_text("id,text\n" * 2_000)
    ran = batchrun("doctor --json")
    assert (ran.code, verdicts(ran)["ledger"]) == (ExitCode.ENVIRONMENT, "broken")


def test_an_older_ledger_is_no_problem(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.ledger_path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(project.ledger_path)) as connection:
        connection.executescript(resources.files("batchrun.store.migrations").joinpath(SCRIPTS[0]).read_text("utf-8"))
        connection.execute("pragma user_version = 1")
    ran = batchrun("doctor --json")
    assert (ran.code, verdicts(ran)["ledger"]) == (ExitCode.OK, "warning")


# --- the models in use


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "code", "verdict", "said"),
    [
        ("claude-opus-5", ExitCode.OK, "ok", "active, takes 1,000,000 tokens"),
        ("claude-mythos-preview", ExitCode.OK, "warning", "retires on 2026-06-30, a day that has come"),
        ("claude-none", ExitCode.ENVIRONMENT, "broken", "no such model"),
        ("claude\x1b[2J", ExitCode.ENVIRONMENT, "broken", r"claude\x1b[2J"),
    ],
)
def test_what_the_api_says_of_a_model(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, model: str, code: int, verdict: str, said: str
) -> None:
    ran_with(project, model)
    ran = batchrun("doctor")
    assert (ran.code, said in ran.out, "\x1b" in ran.words) == (code, True, False)
    assert verdicts(batchrun("doctor --json"))[model] == verdict


@pytest.mark.slow
def test_only_a_few_models_are_asked_about_the_latest_first(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    claude = [name for name in load_prices(today=today()).prices if name.startswith("claude-")]
    ran_with(project, *["claude-opus-4-8"] * 1, *["claude-opus-5"] * 25, *claude)
    asked = [name for name in verdicts(batchrun("doctor --json")) if name.startswith("claude-")]
    assert asked == claude[: -api_checks.MOST_MODELS - 1 : -1]


@pytest.mark.slow
def test_offline_nothing_is_asked(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran_with(project, "claude-none")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    assert batchrun("doctor --offline").code == ExitCode.OK
    ran = batchrun("doctor")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "the API cannot be reached: no connection to http://127.0.0.1:9 (ANTHROPIC_BASE_URL)" in ran.out
    assert "fix: unset ANTHROPIC_BASE_URL\n" in ran.out


def test_a_key_that_the_api_refuses_is_said_once(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran_with(project, "claude-opus-5", "claude-haiku-5-5")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "invalid")
    ran = batchrun("doctor")
    assert ran.code == ExitCode.ENVIRONMENT
    assert ran.out.count("http_401") == 1


# --- the table of prices


def test_the_table(batchrun: CommandLine) -> None:
    out = batchrun("doctor --prices").out
    table = load_prices(today=today())
    assert out.startswith(f"{table.source}, of {table.date}: ")
    for name in table.prices:
        assert re.search(rf"^{name} ", out, re.MULTILINE)
    assert re.search(r"^claude-opus-4-6 +\$5 +\$25 +\$6\.25 +\$10 +\$0\.5 +4,096 +2026-11-20$", out, re.MULTILINE)
    assert re.search(r"^  prompts above 100,000 +\$0\.5 +\$2\.5 +\$0\.625 +\$1 +\$0\.05$", out, re.MULTILINE)
    assert "warning: claude-sonnet-4-5 retires on 2026-11-30" in out


def test_the_table_for_programs(batchrun: CommandLine) -> None:
    told = batchrun("doctor --prices --json").json
    table = load_prices(today=today())
    assert (told["source"], told["date"]) == (table.source, str(table.date))
    assert [row["model"] for row in told["models"]] == list(table.prices)
    (haiku,) = [row for row in told["models"] if row["model"] == "claude-haiku-5-5"]
    assert haiku["in_force"] is True
    assert haiku["usd_per_million"]["cache_write_5m"] == 0.125
    assert haiku["above"] == {
        "prompt_tokens": 100_000,
        "usd_per_million": {
            "input": 0.5, "output": 2.5, "cache_write_5m": 0.625, "cache_write_1h": 1.0, "cache_read": 0.05,
        },
    }  # fmt: skip
    assert haiku["min_cacheable_tokens"] == 512


def test_rows_to_come_and_old_files_are_told(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = today() + timedelta(days=9)
    later = ROW.format(usd="3", more=f"valid_from = {day}")
    new = ROW.replace("claude-haiku-4-5", "new-model").format(usd="8", more=f"valid_from = {day}")
    path = write_prices(project.root / "ours.toml", age=70, rows=later + new)
    monkeypatch.setenv("BATCHRUN_PRICES", str(path))
    now, _, to_come = batchrun("doctor --prices").out.partition("\nto come\n")
    assert f"{path} over the package's own table of 2026-11-20, of " in now
    assert re.search(r"^claude-haiku-4-5 +\$1 ", now, re.MULTILINE)
    assert re.search(rf"^claude-haiku-4-5 +{day} +\$3 ", to_come, re.MULTILINE)
    assert re.search(rf"^new-model +{day} +\$8 ", to_come, re.MULTILINE)
    assert "70 days old" in to_come
    rows = batchrun("doctor --prices --json").json["models"]
    assert [row["in_force"] for row in rows if row["model"] == "claude-haiku-4-5"] == [True, False]
    assert [row["in_force"] for row in rows if row["model"] == "new-model"] == [False]


# --- what was learnt of limits


def test_forgotten_limits_are_said_and_gone(project: TrialProject, batchrun: CommandLine) -> None:
    assert "nothing was learnt" in batchrun("doctor --forget-limits").out
    learnt = LearnedLimits(30, None, 8_000, concurrency=12, learnt_at=time.time() - 7_200)
    with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
        RunMetrics(ledger).learn("claude-haiku-4-5", learnt)

    ran = batchrun("doctor --forget-limits")

    assert ran.code == ExitCode.OK
    assert "claude-haiku-4-5  30 requests a minute, 8,000 output tokens a minute, 12 requests at once;" in ran.out
    assert "learnt 2.0 hours ago" in ran.out
    assert batchrun("doctor --forget-limits --json").json == {"v": 1, "forgotten": {}}
