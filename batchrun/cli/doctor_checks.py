"""The checks of `doctor`: whether each thing is in order, and what to do if a thing is not in order."""

import asyncio
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from batchrun import __version__
from batchrun.catalog.notices import life_notice, old_table
from batchrun.cli.find_run import place_of
from batchrun.cli.views.format import below_here, count
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import BatchrunError
from batchrun.escaping import escape_control, readable_json
from batchrun.estimation.tokenizer import count_tokens
from batchrun.planning.api_lookups import NO_MODELS
from batchrun.providers import AttemptError, ModelDirectory
from batchrun.providers.anthropic.errors import is_missing, is_unknown_model
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.store.ledger.connection import OlderLedger, damage
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import LedgerDamaged
from batchrun.store.reports.runs import recent_models
from batchrun.workflow.job_models import common_prices

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
    "pypdfium2",
    "lxml",
    "selectolax",
    "python-calamine",
    "striprtf",
    "tomlkit",
)
"""The packages that batchrun is installed with."""
RECENT_RUNS, MOST_MODELS = 20, 5
"""How many of the last runs count, and how many of their models the API is asked about at most."""
TIMEOUT_S = 10.0
CHECK_S = 60.0
"""How long the ledger is looked through at most."""


class Verdict(StrEnum):
    """Whether a thing is in order."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


COLORS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.BROKEN: "red"}


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """The result of one check."""

    name: str
    verdict: Verdict
    words: str
    next: str | None = None
    """What to do if the thing is not in order."""


def checks(ledger: Path | None, *, offline: bool, today: date) -> list[DoctorCheck]:
    """Check everything. Nothing is changed, and nothing is sent if `offline`."""
    path = place_of(None, ledger).ledgers[0]
    address, key, models = unless_broken("address", address_check), unless_broken("key", key_check), models_of(path)
    if offline:
        asked = [DoctorCheck("models", Verdict.OK, "not asked: --offline")]
    elif Verdict.BROKEN in {address.verdict, key.verdict}:
        asked = [DoctorCheck("models", Verdict.OK, "not asked: there is no key or no address to ask with")]
    elif not models:
        asked = [DoctorCheck("models", Verdict.OK, "not asked: there is no run yet whose models are in use")]
    else:
        asked = asyncio.run(ask_about(models, today=today))
    versions = f"{platform.python_version()} at {sys.executable}, batchrun {__version__}"
    python = DoctorCheck("python", Verdict.OK, versions)
    return [
        python,
        packages_check(),
        unless_broken("vocabulary", vocabulary_check),
        unless_broken("prices", lambda: prices_check(today)),
        address,
        key,
        unless_broken("ledger", lambda: ledger_check(path)),
        *asked,
    ]


def unless_broken(name: str, check: Callable[[], DoctorCheck]) -> DoctorCheck:
    """Make a check; an error that the check raises becomes the result."""
    try:
        return check()
    except BatchrunError as error:
        return DoctorCheck(name, Verdict.BROKEN, str(error), error.hint)


def packages_check() -> DoctorCheck:
    """The versions of the packages that batchrun needs."""
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
    """The table of the tokenizer, by which every plan counts."""
    count_tokens("Does it count?")
    return DoctorCheck("vocabulary", Verdict.OK, "cl100k is here and whole")


def prices_check(today: date) -> DoctorCheck:
    """The table of prices for jobs that name no table."""
    table = common_prices(today=today)
    if old := old_table(table.date, table.source, today=today):
        words, _, remedy = old.partition(": ")
        return DoctorCheck("prices", Verdict.WARNING, words, remedy)
    return DoctorCheck("prices", Verdict.OK, f"{table.source}, of {table.date}; see them: batchrun doctor --prices")


def address_check() -> DoctorCheck:
    """Where requests go: the base URL, and the proxy if there is one."""
    return DoctorCheck("address", Verdict.OK, AnthropicFactory().endpoint().words)


def key_check() -> DoctorCheck:
    """Whether there is a key for requests. The key itself is never shown."""
    AnthropicFactory().check_key()
    return DoctorCheck("key", Verdict.OK, "the environment has one")


def ledger_check(path: Path) -> DoctorCheck:
    """Whether the project's ledger can be read, and is whole."""
    try:
        with Ledger.read(path) as ledger:
            runs = int(ledger.connection.execute("select count(*) from runs").fetchone()[0])
        if why := path.exists() and damage(path, within_s=CHECK_S):
            raise LedgerDamaged(path, why)
    except OlderLedger as error:
        return DoctorCheck("ledger", Verdict.WARNING, str(error), error.hint)
    there = count(runs, "run") if path.exists() else "none yet"
    return DoctorCheck("ledger", Verdict.OK, f"{below_here(path)}: {there}")


def models_of(path: Path) -> list[str]:
    """The models of the last runs; none if the ledger cannot be read, which `ledger_check` reports."""
    try:
        with Ledger.read(path) as ledger:
            return recent_models(ledger, runs=RECENT_RUNS, most=MOST_MODELS)
    except BatchrunError:
        return []


async def ask_about(names: list[str], *, today: date) -> list[DoctorCheck]:
    """Ask the Models API, which costs nothing. A failure that is not about one model ends the questions."""
    models = AnthropicFactory().make_models(timeout_s=TIMEOUT_S)
    found: list[DoctorCheck] = []
    try:
        for name in names:
            try:
                found.append(await ask_about_one(models, name, today=today))
            except AttemptError as error:
                if is_missing(error.failure):
                    words = f"{NO_MODELS} ({error.failure.name}); this is no obstacle"
                    return [*found, DoctorCheck("models", Verdict.WARNING, words)]
                words = f"the API was asked, and: {error.failure.name}: {error.failure.message}"
                return [*found, DoctorCheck("models", Verdict.BROKEN, words)]
    finally:
        await models.close()
    return found


async def ask_about_one(models: ModelDirectory, name: str, *, today: date) -> DoctorCheck:
    """Ask about one model. Raises AttemptError if the failure is not about the model."""
    try:
        life = await models.life(name)
    except AttemptError as error:
        if not is_unknown_model(error.failure, name):
            raise
        return DoctorCheck(name, Verdict.BROKEN, "the API has no such model for this key", "choose another model")
    if notice := life_notice(life, today=today):
        verdict = Verdict.BROKEN if life.lifecycle == "retired" else Verdict.WARNING
        return DoctorCheck(name, verdict, notice)
    size = f", takes {life.max_input_tokens:,} tokens" if life.max_input_tokens else ""
    return DoctorCheck(name, Verdict.OK, f"{life.lifecycle or 'known to the API'}{size}")


def show_checks(found: list[DoctorCheck], terminal: Terminal) -> None:
    """Print a line for each check, or one JSON object; with -q only the checks of things not in order."""
    if terminal.json:
        ok = all(one.verdict is not Verdict.BROKEN for one in found)
        terminal.result(readable_json({"v": 1, "ok": ok, "checks": [asdict(one) for one in found]}, indent=2))
        return
    width = max(len(escape_control(one.name)) for one in found)
    for one in found:
        if terminal.quiet and one.verdict is Verdict.OK:
            continue
        verdict = terminal.styled(f"{one.verdict:7}", sys.stdout, fg=COLORS[one.verdict])
        terminal.result(f"{verdict}  {escape_control(one.name).ljust(width)}  {escape_control(one.words)}")
        if one.next and one.verdict is not Verdict.OK:
            terminal.result(f"{'':7}  {'':{width}}  next: {escape_control(one.next)}")
