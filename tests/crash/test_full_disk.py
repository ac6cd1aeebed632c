"""A disk that fills up in the middle of a run: it is said, nothing is lost, and the same command completes."""

import contextlib
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import serving, talking_to
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

DOCUMENTS = 60
DISK_MB = 24  # the ledger's ballast is 8


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(path: Path) -> None:
    """Take all the space that is left in one step: what a process gives up when its disk is full is not taken too."""
    with path.open("wb") as file:
        space = os.statvfs(path)
        free = space.f_bavail * space.f_frsize
        for taken_by_others in range(0, free, 16_384):
            with contextlib.suppress(OSError):  # somebody took some of the space meanwhile
                os.posix_fallocate(file.fileno(), 0, free - taken_by_others)
                return
        pytest.fail("the disk cannot be filled")


def test_a_disk_that_fills_up(small_disk: Path, submits: SubmitServer) -> None:
    project = TrialProject(small_disk / "project")
    project.job()
    project.documents(DOCUMENTS)
    filler = small_disk / "filler"
    with serving(latency=Latency(first_token_s=0.02, tokens_per_s=math.inf)) as api:
        cut_short = submits.submit(project.root, talking_to(api))
        cut_short.wait_for_requests(api, 10)
        fill(filler)
        code, _, err = cut_short.end()
        assert (code, "Traceback" in err) == (ExitCode.ENVIRONMENT, False), err
        assert "the disk is full" in err
        answered = len(api.books.entries)
        assert 10 <= answered < DOCUMENTS
        assert project.ask("select count(*) from attempts where state = 'answered'") == [(answered,)]

        fill(filler)
        code, _, err = submits.submit(project.root, talking_to(api)).end()
        assert (code, "Traceback" in err) == (ExitCode.ENVIRONMENT, False), err
        assert "run the same command again" in err
        assert len(api.books.entries) == answered, "nothing is spent that cannot be recorded"

        filler.unlink()
        code, _, err = submits.submit(project.root, talking_to(api)).end()
        assert code == ExitCode.OK, err
    assert len(project.rows()) == DOCUMENTS
    assert len(api.books.entries) == DOCUMENTS, "nothing was paid twice"
