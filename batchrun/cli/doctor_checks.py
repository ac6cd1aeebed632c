"""What `doctor` looks at, one thing after the other: whether it is in order, and what to do when it is not."""

import asyncio
import contextlib
import json
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from batchrun import __version__
from batchrun.catalog.notices import life_notice, old_table
from batchrun.cli.find_run import ledger_paths
from batchrun.cli.views.format import below_here, count
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import BatchrunError
from batchrun.escaping import escape_control
from batchrun.estimation.tokenizer import count_tokens
from batchrun.providers import AttemptError, ModelDirectory
from batchrun.providers.anthropic.errors import is_not_found
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Failure
from batchrun.store.ledger.connection import OlderLedger
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.runs import recent_models
from batchrun.workflow.open_job import common_prices

PACKAGES = (
    "anthropic",
    "tenacity",
    "aiolimiter",
    "tqdm",
    "tiktoken",
    "duckdb",
    "click",
    "pydantic",
    "jsonschema",
    "charset-normalizer",
)
"""What batchrun is installed with."""
RECENT_RUNS, MOST_MODELS = 20, 5
"""Whose models are asked about, and about how many at most."""
TIMEOUT_S = 10.0


class Verdict(StrEnum):
    """Whether something is in order."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


COLORS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.BROKEN: "red"}


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """What came of looking at one thing."""

    name: str
    verdict: Verdict
    words: str
    next: str | None = None
    """What to do."""


def checks(ledger: Path | None, *, offline: bool, today: date) -> list[DoctorCheck]:
    """Look at everything. Nothing is changed, and nothing is sent when offline."""
    path = ledger_paths(ledger)[0]
    key, models = key_check(), models_of(path)
    if offline:
        asked = [DoctorCheck("models", Verdict.OK, "not asked: --offline")]
    elif key.verdict is Verdict.BROKEN:
        asked = [DoctorCheck("models", Verdict.OK, "not asked: there is no key to ask with")]
    elif not models:
        asked = [DoctorCheck("models", Verdict.OK, "not asked: there is no run yet whose models are in use")]
    else:
        asked = asyncio.run(ask_about(models, today=today))
    return [python_check(), packages_check(), vocabulary_check(), prices_check(today), key, ledger_check(path), *asked]


def python_check() -> DoctorCheck:
    """Which Python and which batchrun this is."""
    return DoctorCheck("python", Verdict.OK, f"{platform.python_version()} at {sys.executable}, batchrun {__version__}")


def packages_check() -> DoctorCheck:
    """The versions of what batchrun needs."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        words = f"missing: {', '.join(missing)}"
        return DoctorCheck("packages", Verdict.BROKEN, words, f"pip install {' '.join(missing)}")
    return DoctorCheck("packages", Verdict.OK, ", ".join(found))


def vocabulary_check() -> DoctorCheck:
    """The tokenizer's table, by which every plan counts."""
    try:
        count_tokens("Does it count?")
    except BatchrunError as error:
        return broken("vocabulary", error)
    return DoctorCheck("vocabulary", Verdict.OK, "cl100k is here and whole")


def prices_check(today: date) -> DoctorCheck:
    """The table of prices of jobs that name none."""
    try:
        table = common_prices(today=today)
    except BatchrunError as error:
        return broken("prices", error)
    if old := old_table(table.date, table.source, today=today):
        words, _, what_to_do = old.partition(": ")
        return DoctorCheck("prices", Verdict.WARNING, words, what_to_do)
    return DoctorCheck("prices", Verdict.OK, f"{table.source}, of {table.date}; see them: batchrun doctor --prices")


def key_check() -> DoctorCheck:
    """Whether requests could carry a key; which one is nobody's business."""
    try:
        AnthropicFactory().check()
    except BatchrunError as error:
        return broken("key", error)
    return DoctorCheck("key", Verdict.OK, "the environment has one")


def ledger_check(path: Path) -> DoctorCheck:
    """Whether the project's ledger can be read."""
    try:
        with contextlib.closing(Ledger.read(path)) as ledger:
            runs = int(ledger.connection.execute("select count(*) from runs").fetchone()[0])
    except OlderLedger as error:
        return DoctorCheck("ledger", Verdict.WARNING, str(error), error.hint)
    except BatchrunError as error:
        return broken("ledger", error)
    there = f"{below_here(path)}: {count(runs, 'run')}" if path.exists() else f"{below_here(path)}: none yet"
    return DoctorCheck("ledger", Verdict.OK, there)


def broken(name: str, error: BatchrunError) -> DoctorCheck:
    """What an error says of a thing."""
    return DoctorCheck(name, Verdict.BROKEN, str(error), error.hint)


def models_of(path: Path) -> list[str]:
    """The models of the last runs; none when the ledger cannot be read, which is said elsewhere."""
    try:
        with contextlib.closing(Ledger.read(path)) as ledger:
            return recent_models(ledger, runs=RECENT_RUNS, most=MOST_MODELS)
    except BatchrunError:
        return []


async def ask_about(names: list[str], *, today: date) -> list[DoctorCheck]:
    """Ask the Models API, which costs nothing; what would meet every other model too is said once."""
    models = AnthropicFactory().make_models(timeout_s=TIMEOUT_S)
    found: list[DoctorCheck] = []
    try:
        for name in names:
            try:
                found.append(await ask_about_one(models, name, today=today))
            except AttemptError as error:
                return [*found, DoctorCheck("models", Verdict.BROKEN, f"the API was asked, and: {said(error.failure)}")]
    finally:
        await models.close()
    return found


async def ask_about_one(models: ModelDirectory, name: str, *, today: date) -> DoctorCheck:
    """One model. Raises AttemptError when that says nothing of the model."""
    try:
        life = await models.life(name)
    except AttemptError as error:
        if not is_not_found(error.failure):
            raise
        return DoctorCheck(name, Verdict.BROKEN, "the API has no such model for this key", "choose another model")
    if notice := life_notice(life, today=today):
        verdict = Verdict.BROKEN if life.lifecycle == "retired" else Verdict.WARNING
        return DoctorCheck(name, verdict, notice)
    size = f", takes {life.max_input_tokens:,} tokens" if life.max_input_tokens else ""
    return DoctorCheck(name, Verdict.OK, f"{life.lifecycle or 'known to the API'}{size}")


def said(failure: Failure) -> str:
    """A failure in one line."""
    return f"{failure.name}: {failure.message}"


def show_checks(found: list[DoctorCheck], terminal: Terminal) -> None:
    """A line for each, or one JSON object; with -q only what is not in order."""
    if terminal.json:
        ok = all(one.verdict is not Verdict.BROKEN for one in found)
        terminal.result(json.dumps({"v": 1, "ok": ok, "checks": [asdict(one) for one in found]}, indent=2))
        return
    width = max(len(escape_control(one.name)) for one in found)
    for one in found:
        if terminal.quiet and one.verdict is Verdict.OK:
            continue
        verdict = terminal.styled(f"{one.verdict:7}", sys.stdout, fg=COLORS[one.verdict])
        terminal.result(f"{verdict}  {escape_control(one.name).ljust(width)}  {escape_control(one.words)}")
        if one.next and one.verdict is not Verdict.OK:
            terminal.result(f"{'':7}  {'':{width}}  next: {escape_control(one.next)}")
