"""A node of a cluster reads only if it is like this machine and sees the documents; else it says so by name."""

import os
import pickle
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile_reading import Weigher, process_of
from trial_project import TrialProject

from batchrun import documents
from batchrun.documents.formats import all_readers
from batchrun.documents.open_source import open_source
from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.store.job_files import read_job
from batchrun.workers import greeting as greeting_module
from batchrun.workers import on_worker, open_pool
from batchrun.workers.greeting import Greeting, receive
from batchrun.workers.on_worker import versions
from batchrun.workers.pool import WorkerDied, WorkerRefused, result_of
from batchrun.workflow.open_job import SubmitOptions, open_job

NODE = platform.node()


def call(greeting: Greeting, fn: Any = process_of, *args: Any) -> Any:
    return result_of(receive(greeting, pickle.dumps((fn, args, {}))))


def other(name: str) -> tuple[tuple[str, str], ...]:
    return tuple((one, "another" if one == name else version) for one, version in versions())


def test_a_node_like_this_machine_reads() -> None:
    assert call((versions(), None, "")) == os.getpid()
    assert {"Python", "batchrun", "set of readers", "tiktoken", "duckdb"} <= dict(versions()).keys()
    assert dict(versions())["set of readers"] == all_readers()


@pytest.mark.parametrize("name", dict(versions()))
def test_a_node_with_another_version_is_refused_by_name(name: str) -> None:
    with pytest.raises(WorkerRefused, match=f"the node {NODE} has another {name}: .*this machine has another") as told:
        call((other(name), None, ""))
    assert told.value.exit_code == ExitCode.ENVIRONMENT
    assert (
        told.value.hint == f"give the node the same {name}; another one may make other requests of the same documents"
    )


def test_a_node_without_batchrun_says_so() -> None:
    source = Path(greeting_module.__file__).read_text("utf-8")
    code = f"{source}\nsys.stdout.buffer.write(receive({(versions(), None, '')!r}, b''))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, check=True)
    with pytest.raises(WorkerRefused, match=r"has another batchrun: none \(No module named 'batchrun'\), and"):
        result_of(done.stdout)


def test_a_node_must_see_the_documents(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("abc")
    status = file.stat()
    seen = str(file), status.st_size, status.st_mtime_ns
    assert call((versions(), seen, "")) == os.getpid()
    for canary, words in {
        (str(tmp_path / "b.txt"), 1, 2): "b.txt: No such file or directory",
        (seen[0], 4, seen[2]): "a.txt: another file is there",
        (seen[0], 3, seen[2] + 1): "a.txt: another file is there",
    }.items():
        with pytest.raises(WorkerRefused, match=f"the node {NODE} does not see the documents: .*{words}") as refused:
            call((versions(), canary, ""))
        assert "mount the folder of the documents there at the same path" in str(refused.value.hint)


def test_the_greeting_is_of_the_job_and_of_its_first_file(project: TrialProject) -> None:
    project.documents(3)
    with project.opened() as opened:
        weigher = opened.planner().workers.weigher
        greet = open_pool.greeter(opened.source, lambda: weigher.fingerprint)  # type: ignore[attr-defined]
        shard = next(opened.source.shards())
        first = project.root / "docs" / "0000.txt"
        named, canary, fingerprint = greet()
        assert canary == (str(first), 6, first.stat().st_mtime_ns)
        page = call((named, canary, fingerprint), weigher.weigh, shard, True)
        assert page == weigher.weigh(shard, True, documents.unguarded)
        with pytest.raises(WorkerRefused, match="another fingerprint of the job"):
            call((named, canary, "0" * 64), weigher.weigh, shard, True)
        first.write_text("longer than before")
        assert greet()[1] == (str(first), 18, first.stat().st_mtime_ns), "a node that comes later sees it as it is"
        first.unlink()
        assert greet()[1] is None
        assert len(pickle.dumps(greet())) < 2_000


@pytest.mark.parametrize(("source", "file"), [
    ('type = "table"\npath = "rows.csv"\nid = "id"\ntext = "body"', "rows.csv"),
    ('type = "table"\npath = "https://example.com/rows.csv"\nid = "id"\ntext = "body"', None),
])  # fmt: skip
def test_the_file_of_a_table(project: TrialProject, source: str, file: str | None) -> None:
    (project.root / "rows.csv").write_text("id,body\n1,a\n")
    canary = open_source(read_job(project.job(source=source))).canary()

    assert canary == (file and str(project.root / file))


def test_what_a_call_raises_is_raised_here() -> None:
    for error in (ValueError("a fault"), EnvironmentProblem("no room", hint="make room")):
        with pytest.raises(type(error), match=str(error)) as raised:
            call((versions(), None, ""), Raises(error).now)
        assert getattr(raised.value, "hint", None) == getattr(error, "hint", None)


class Raises:
    """Raises an error when called."""

    fingerprint = ""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def now(self, _: object) -> None:
        raise self.error


@pytest.mark.slow
def test_hostile_documents_end_a_child_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_pool.Children(1) as child:
        monkeypatch.setattr(on_worker, "CHILD", child)
        assert call((versions(), None, ""), Weigher().prepare, ["plain a"]) == ["text of plain a"]
        assert not child.started
        assert call((versions(), None, ""), Weigher().prepare, ["a"]) == ["text of a"]
        with pytest.raises(WorkerDied) as died:
            call((versions(), None, ""), Weigher().prepare, ["b", "abort"])
        assert died.value.source == "abort"


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_a_missing_extra_is_told(project: TrialProject, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_pool, "find_spec", lambda _: None)
    project.documents(1)
    path = project.job(run=f'workers = "{name}"')
    with open_job(path, simulated=False, to_run=False):
        pass  # a look at some documents needs no cluster
    with pytest.raises(EnvironmentProblem, match=f"needs {name}, which is not installed") as told:
        open_job(path, simulated=False, to_run=False, options=SubmitOptions()).__enter__()
    assert f"pip install 'batchrun-documents[{name}]'" in str(told.value.hint)
