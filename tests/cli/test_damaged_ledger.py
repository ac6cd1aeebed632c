"""A damaged ledger is exit 5 in words, whatever is damaged: no traceback, no wait, and nothing is paid."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, submitted
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

PAGE = 4_096
COMMANDS = [
    "status", "status last", "plan jobs/trial.toml", "submit jobs/trial.toml", "submit jobs/trial.toml --route batch",
    "results trial", "results trial --doc docs/0003.txt", "cost", "verify", "doctor --offline", "sync jobs/trial.toml",
]  # fmt: skip


def bits(data: bytearray, draw: random.Random, *, times: int) -> None:
    for _ in range(times):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def page(data: bytearray, draw: random.Random, content: bytes) -> None:
    start = draw.randrange(len(data) // PAGE) * PAGE
    data[start : start + PAGE] = content


def cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(200, len(data)) :]


DAMAGES: dict[str, Callable[[bytearray, random.Random], None]] = {
    "a bit": lambda data, draw: bits(data, draw, times=1),
    "16 bits": lambda data, draw: bits(data, draw, times=16),
    "400 bits": lambda data, draw: bits(data, draw, times=400),
    "a page of zeros": lambda data, draw: page(data, draw, bytes(PAGE)),
    "a page of noise": lambda data, draw: page(data, draw, draw.randbytes(PAGE)),
    "cut": cut,
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, new_stores_are_written: None) -> Path:
    """A project whose job has run, by both routes."""
    project = TrialProject(tmp_path_factory.mktemp("ended"))
    project.job()
    project.documents(40)
    submitted(project.root)
    project.job(run='route = "batch"', batch='poll_interval = "0.05s"\nmax_poll_interval = "0.1s"')
    project.document("0001.txt", "changed")
    submitted(project.root)
    return project.root


@pytest.fixture
def there(ended: Path, project: TrialProject) -> Iterator[Path]:
    """The same project where the commands run."""
    shutil.copytree(ended, project.root, dirs_exist_ok=True)
    yield project.ledger_path
    for path in project.ledger_path.parent.glob("ledger*"):
        path.unlink()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_damaged(there: Path, batchrun: CommandLine, api: SimulatorServer, damage: str, seed: int) -> None:
    data = bytearray(there.read_bytes())
    DAMAGES[damage](data, random.Random(f"{damage} {seed}"))
    there.write_bytes(data)
    for command in COMMANDS:
        begin = time.monotonic()
        ran = batchrun(command)
        assert ran.code in {ExitCode.OK, ExitCode.ENVIRONMENT, ExitCode.USAGE}, (command, ran.words)
        assert "Traceback" not in ran.words
        assert time.monotonic() - begin < 30
        if ran.code == ExitCode.ENVIRONMENT:
            assert str(there.name) in ran.words
    assert api.books.entries == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update requests set outcome = 'succ%eded' where request_no = 3", "the table requests has a value"),
        ("update requests set outcome = cast(x'73ff' as text) where request_no = 3", "damaged"),
        ("delete from meta where key = 'ledger_id'", "it has no id"),
        ("drop table replies", "tables are missing"),
    ],
)
def test_what_no_structure_shows(
    there: Path, project: TrialProject, batchrun: CommandLine, api: SimulatorServer, statement: str, words: str
) -> None:
    project.ask("pragma foreign_keys = off")
    project.ask(statement, commit=True)
    ran = batchrun("submit jobs/trial.toml")
    assert (ran.code, "Traceback" in ran.err) == (ExitCode.ENVIRONMENT, False), ran.err
    assert words in ran.err
    assert "batchrun adopt" in ran.err
    assert api.books.entries == []


def test_doctor_says_how_to_go_on(there: Path, batchrun: CommandLine) -> None:
    assert "ledger: " not in batchrun("doctor --offline").out.replace("ledger.sqlite3: ", "")
    data = bytearray(there.read_bytes())
    data[5 * PAGE : 6 * PAGE] = bytes(PAGE)
    there.write_bytes(data)
    ran = batchrun("doctor --offline")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "damaged" in ran.out
    assert "go on from the output: batchrun adopt" in ran.out
