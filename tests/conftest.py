"""Fixtures that several folders of tests share."""

import asyncio
import gc
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import forked
import hypothesis
import new_ledgers
import pytest
from scripted_batches_memory import WallClock
from trial_project import TrialProject, Unpublished
from virtual_time import VirtualTimeLoop, answered_by_a_thread

from batchrun import duckdb_file
from batchrun.execution import ledger_writer
from batchrun.execution.run_context import RunContext
from batchrun.job.load import load_job
from batchrun.planning.request_template import RequestTemplate
from batchrun.store.ledger import connection as ledger_file
from batchrun.workers import children
from batchrun.workflow.open_job import OpenJob, OpenStore

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of hundreds of processes compiles all that it imports

# Tests send themselves SIGINT, which a shell lets its background jobs ignore.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine with much else to do is slow, and no property is about how long it takes.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

SMALL_JOB = """\
[job]
name = "x"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 100
[prompt]
{prompt}
[output.fields]
title = {{ type = "string", max_length = 9 }}
[budget]
max_cost_usd = 1
"""


class Subprocess:
    """What `batchrun.workers.children` needs of `subprocess`."""

    Popen = staticmethod(forked.popen)
    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired


ALL_SLOW = re.compile(r"^pytestmark = .*\bpytest\.mark\.slow\b", re.MULTILINE)
WRITE_EMPTY = duckdb_file._write_empty
COLLECTED = pytest.StashKey[Counter[Path]]()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run more slow tests at once than there are cores: slow tests wait a third of their time."""
    return None if config.option.markexpr == "not slow" else (os.cpu_count() or 1) * 3 // 2


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files in which every test is slow where slow tests are left out: importing a file takes its time."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return True if ALL_SLOW.search(collection_path.read_text("utf-8")) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember how many tests each file has, before `-m` or `-k` leaves some of them out."""
    config.stash[COLLECTED] = Counter(item.path for item in items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there now stays: no search for garbage looks through all that was imported, again and again."""
    gc.freeze()


@pytest.fixture(scope="session")
def collected(request: pytest.FixtureRequest) -> Counter[Path]:
    """How many tests each file has."""
    return request.config.stash[COLLECTED]


@pytest.fixture(scope="session", autouse=True)
def in_no_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests stand in an empty folder: a clone in which a job was run is a project, which would take their jobs in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("nowhere"))
        patch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)  # or commands would say to type `uv run batchrun`
        yield


@pytest.fixture(scope="session", autouse=True)
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients and processes trust a single certificate: reading all of them takes each client a tenth of a second."""
    end = "-----END CERTIFICATE-----"
    path = tmp_path_factory.mktemp("trusted") / "certificate.pem"
    path.write_text(Path(certifi.where()).read_text("utf-8").partition(end)[0] + end)
    usual = ssl.get_default_verify_paths()._replace(openssl_cafile=str(path), openssl_capath="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        patch.setattr(ssl, "get_default_verify_paths", lambda: usual)  # for clients that look at no environment
        yield


@pytest.fixture(scope="session", autouse=True)
def forked_children() -> Iterator[None]:
    """Processes that read documents for a test are forked: starting one takes half a second else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children, "subprocess", Subprocess)
        yield


@pytest.fixture(scope="session", autouse=True)
def new_stores_are_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New ledgers and outputs are laid out as the first one was: a fifth of what a submit of a few documents takes."""
    empty = tmp_path_factory.mktemp("empty") / "out.duckdb"
    WRITE_EMPTY(empty)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_file, "create_missing", new_ledgers.create_missing)
        patch.setattr(duckdb_file, "_write_empty", lambda path: shutil.copyfile(empty, path))
        yield


@pytest.fixture(scope="module")
def new_stores_are_written() -> Iterator[None]:
    """New ledgers and outputs are no copies, for tests to which the bytes of the files matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_file, "create_missing", new_ledgers.as_the_program_does)
        patch.setattr(duckdb_file, "_write_empty", WRITE_EMPTY)
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """A project with a job file and no documents yet."""
    monkeypatch.setattr(ledger_writer, "BALLAST_BYTES", 4096)  # a test should not write 8 MB
    monkeypatch.setattr(ledger_writer, "PATIENCE_S", 0.2)  # nor wait a minute for a disk that stays full
    monkeypatch.setattr(ledger_writer, "TRY_AGAIN_S", 0.01)
    trial = TrialProject(tmp_path / "project")
    trial.job()
    return trial


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `asyncio.run` of the test happens in virtual time."""
    monkeypatch.setattr(asyncio.events, "new_event_loop", VirtualTimeLoop)
    monkeypatch.setattr(ledger_writer.LedgerWriter, "write", answered_by_a_thread(ledger_writer.LedgerWriter.write))


@pytest.fixture
def no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs bring no rows to a DuckDB file: faster, for tests that look at the ledger only."""
    monkeypatch.setattr(OpenJob, "output", lambda *_: Unpublished())
    monkeypatch.setattr(OpenStore, "output", lambda *_: Unpublished())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """The time on the wall, which jumps with the timers."""
    clock = WallClock()
    monkeypatch.setattr(asyncio.events, "new_event_loop", clock.new_loop)
    monkeypatch.setattr(ledger_writer.LedgerWriter, "write", answered_by_a_thread(ledger_writer.LedgerWriter.write))
    monkeypatch.setattr("time.time", clock)
    monkeypatch.setitem(RunContext.__init__.__kwdefaults__, "clock", clock)
    return clock


@pytest.fixture(scope="module")
def template_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RequestTemplate]:
    """Makes the request template of a job with these lines in [prompt], after some changes of the job file."""
    path = tmp_path_factory.mktemp("job") / "job.toml"

    def template_of(prompt: str, *changes: tuple[str, str]) -> RequestTemplate:
        text = SMALL_JOB.format(prompt=prompt)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text)
        return RequestTemplate(load_job(path))

    return template_of
