"""Files that are written whole or not at all, in place of those that are there."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrun.cli.permissions import to_file
from batchrun.errors import EnvironmentProblem
from batchrun.file_system import whole_file


def test_a_failure_leaves_the_file_of_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("before")

    def broken() -> Iterator[str]:
        yield "the beginning"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        to_file(broken(), path)
    assert ([one.name for one in tmp_path.glob("*rows*")], path.read_text()) == (["rows.csv"], "before")


def test_a_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "rows.csv", tmp_path / "link.csv"
    path.touch(mode=0o600)
    link.symlink_to(path)
    to_file(["new"], link)
    assert (path.read_text(), path.stat().st_mode & 0o777, link.is_symlink()) == ("new", 0o600, True)


def test_a_pipe_is_written_to_if_a_person_names_it(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    with pytest.raises(EnvironmentProblem, match="cannot be written: it is a named pipe"), whole_file(pipe):
        pass
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    to_file(["a", "b"], pipe)
    reader.join()
    assert (read, pipe.is_fifo()) == (["ab"], True)
