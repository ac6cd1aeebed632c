"""The checks of this machine: packages, vocabulary, prices, and the files that are written."""

import glob
import os
import platform
import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib import metadata
from pathlib import Path

from batchrun import __version__
from batchrun.catalog.notices import old_table
from batchrun.cli.configured import table_of
from batchrun.cli.doctor.check import Check, Subject, Verdict
from batchrun.cli.next_command import command
from batchrun.cli.views.format import below_here, count
from batchrun.documents.open_source import text_cache
from batchrun.duckdb_file import DamagedFile, opened
from batchrun.errors import BatchrunError
from batchrun.estimation.tokenizer import count_tokens
from batchrun.file_system import command_of, file_system_of, lock_owner
from batchrun.store.job_files import read_job
from batchrun.store.ledger.connection import SCHEMA_VERSION, OlderLedger, damage
from batchrun.store.ledger.job_lock import holder, is_locked
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import LedgerDamaged
from batchrun.store.paths import store_paths
from batchrun.wording import size

DISTRIBUTION = "batchrun-documents"
CHECK_S, MOMENT_S = 60.0, 1.0
"""How long the ledger is looked through at most, and how long a lock is waited for that runs hold for moments only."""
LOW_BYTES, FULL_BYTES = 1_000_000_000, 50_000_000
"""A store with less space on its disk is warned about, or cannot be relied on."""
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}


def packages(_: Subject) -> Iterator[Check]:
    """Python and the packages, against the lowest versions by batchrun's own metadata."""
    yield Check("python", Verdict.OK, f"{platform.python_version()} at {sys.executable}, batchrun {__version__}")
    found, bad = dict[str, str | None](), list[str]()
    for wanted in (installed(DISTRIBUTION) and metadata.requires(DISTRIBUTION)) or ():
        name, lowest = re.split(r"[\[<>=;~! ]", wanted, maxsplit=1)[0], re.search(r">=([\d.]+)", wanted)
        if "extra ==" not in wanted:
            found[name] = version = installed(name)
            if version is None or (lowest and numbers(version) < numbers(lowest[1])):
                bad.append(wanted)
    words = ", ".join(f"{name} {version or 'is missing'}" for name, version in found.items())
    if bad:
        fix = shlex.join([sys.executable, "-m", "pip", "install", *bad])
        yield Check("packages", Verdict.BROKEN, f"batchrun needs {', '.join(bad)}; there are {words}", fix)
    else:
        yield Check("packages", Verdict.OK, words or "batchrun is not installed: nothing tells which it needs")


def installed(name: str) -> str | None:
    """Return the version of a package. Returns None if the package is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> list[int]:
    """Return the numbers with which a version begins."""
    return [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]


def vocabulary(_: Subject) -> Iterator[Check]:
    """The table of the tokenizer, by which every plan counts."""
    count_tokens("Does it count?")
    yield Check("vocabulary", Verdict.OK, "cl100k is here and whole")


def prices(subject: Subject) -> Iterator[Check]:
    """The table of prices of the job, or of jobs that name none. What is wrong with the job file is told later."""
    if subject.path:
        with suppress(BatchrunError):
            subject.job = read_job(subject.path)
    job, today = subject.job, subject.today
    table = subject.prices = table_of(job)
    if old := old_table(table.date, table.source, today=today):
        words, _, remedy = old.partition(": ")
        yield Check("prices", Verdict.WARNING, words, remedy)
    else:
        yield Check("prices", Verdict.OK, f"{table.source}, of {table.date}")


def ledger(subject: Subject) -> Iterator[Check]:
    """Whether the ledger can be read and written, and is whole; who works with it."""
    path = subject.ledger
    try:
        with Ledger.read(path) as read:
            runs = int(read.connection.execute("select count(*) from runs").fetchone()[0])
        if why := path.exists() and damage(path, within_s=CHECK_S):
            raise LedgerDamaged(path, why)
    except OlderLedger as error:
        yield Check("ledger", Verdict.WARNING, str(error), error.hint)
        return
    there = f"version {SCHEMA_VERSION}, {count(runs, 'run')}" if path.exists() else "none yet"
    yield Check("ledger", Verdict.OK, f"{below_here(path)}: {there}")
    for lock in path.parent.glob(f"{glob.escape(path.stem)}.*.lock"):
        job = lock.name.removeprefix(f"{path.stem}.").removesuffix(".lock")
        if is_locked(path, job):
            words = f"the job {job} is being run by {holder(lock)}"
            yield Check("ledger", Verdict.WARNING, words, f"batchrun status {job} --watch")
    if path.exists() and os.access(path, os.W_OK):
        yield from foreign_lock(path)
    yield from place_of_file("ledger", path)
    if subject.job and (cache := text_cache(subject.job)):
        yield Check("text cache", Verdict.OK, f"{count(cache.count(), 'text')}, {size(cache.size())}")


def foreign_lock(path: Path) -> Iterator[Check]:
    """Whether the ledger can be locked for writing. The transaction is empty."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=MOMENT_S)) as connection:
            connection.execute("begin immediate")
            connection.execute("rollback")
    except sqlite3.DatabaseError as error:
        pid = lock_owner(path.with_name(f"{path.name}-shm"), path)
        who = f", by process {pid} ({command_of(pid) or 'another user'})" if pid else ""
        words = f"{below_here(path)} cannot be locked for writing: {error}{who}"
        yield Check("ledger", Verdict.BROKEN, words, "close it there")


def output(subject: Subject) -> Iterator[Check]:
    """Whether rows can be written to the output. Opening a whole file for a moment changes nothing of the file."""
    if subject.job is None:
        return
    path = store_paths(subject.job, simulated=False).database
    yield from place_of_file("output", path)
    if path.exists() and os.access(path, os.W_OK):
        try:
            with opened(path, read_only=False, wait_s=MOMENT_S):
                pass
        except DamagedFile as error:
            aside = shlex.join(["mv", below_here(path), f"{below_here(path)}.damaged"])
            yield Check("output", Verdict.BROKEN, str(error), f"{aside} && {command('sync', subject.path)}")
            return
    there = "can be written, and nobody holds it" if path.exists() else "none yet"
    yield Check("output", Verdict.OK, f"{below_here(path)}: {there}")


def place_of_file(name: str, path: Path) -> Iterator[Check]:
    """What is wrong with the place of a file that is to be written: permissions, space, a network file system."""
    shown, folder = below_here(path), next(one for one in path.absolute().parents if one.is_dir())
    for one in path.parents:
        if one.exists() and not one.is_dir():
            aside = shlex.join(["mv", below_here(one), f"{below_here(one)}.file"])
            yield Check(name, Verdict.BROKEN, f"{below_here(one)} is a file, and has to be a folder", aside)
    for one in (path, folder):
        if one.exists() and not os.access(one, os.W_OK):
            words = f"{below_here(one)} cannot be written"
            yield Check(name, Verdict.BROKEN, words, f"chmod u+w {shlex.quote(below_here(one))}")
    if (free := shutil.disk_usage(folder).free) < LOW_BYTES:
        verdict = Verdict.BROKEN if free < FULL_BYTES else Verdict.WARNING
        words = f"only {size(free)} free on the disk of {shown}"
        yield Check(name, verdict, words, f"make room; what takes it: du -xhd1 {shlex.quote(str(folder))} | sort -h")
    if (kind := file_system_of(folder)) in NETWORK:
        words = f"{shown} is on a network file system ({kind}), whose locks may fail"
        yield Check(name, Verdict.WARNING, words, "name files on a disk of this machine in [store]")
