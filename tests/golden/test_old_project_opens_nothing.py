"""A project of batchrun 0.1.0: its documents are read once more, and not again while they do not change."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from old_project import FINISHED, lay_out
from recording_api import RecordingApi, batchrun, standing_in

from batchrun.planning import settled_files

pytestmark = pytest.mark.slow

WATCHED: list[str] = []
OPENED: list[str] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if WATCHED and event == "open" and isinstance(args[0], str) and "/docs/" in args[0] and WATCHED[0] in args[0]:
        OPENED.append(Path(args[0]).name)


sys.addaudithook(_hook)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingApi]:
    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))
    root = tmp_path / "elsewhere"
    lay_out(root)
    WATCHED.append(str(root))
    with RecordingApi().serving() as serving, standing_in(root, serving):
        yield serving
    WATCHED.clear()


def opened(command: str) -> list[str]:
    OPENED.clear()
    ran = batchrun(command)
    assert ran.code in {0, 1}, ran.err
    return sorted(set(OPENED))


@pytest.mark.parametrize("job", [job for job in FINISHED if job != "cascade"])
def test_the_second_submit_opens_no_document_and_nothing_is_paid_again(job: str, api: RecordingApi) -> None:
    assert opened(f"plan jobs/{job}.toml"), "the ledger knows nothing of files"
    assert opened(f"submit jobs/{job}.toml")
    assert opened(f"submit jobs/{job}.toml") == []
    assert opened(f"plan jobs/{job}.toml") == []
    assert api.calls == []


def test_what_changes_after_that_is_new_work_and_nothing_else(api: RecordingApi) -> None:
    opened("submit jobs/stream.toml")
    Path("docs/first.txt").write_text("another text")

    ran = batchrun("submit jobs/stream.toml")

    assert ran.code in {0, 1}, ran.err
    bodies = [call.body for call in api.calls if call.path == "/v1/messages"]
    assert len(bodies) == 1
    assert b"another text" in bodies[0]
    assert opened("submit jobs/stream.toml") == []


def test_a_document_that_went_and_came_back_is_not_paid_again(api: RecordingApi) -> None:
    opened("submit jobs/stream.toml")
    Path("docs/first.txt").rename("first.txt")
    opened("submit jobs/stream.toml")
    Path("first.txt").rename("docs/first.txt")

    assert opened("submit jobs/stream.toml") == ["first.txt"]
    assert opened("submit jobs/stream.toml") == []
    assert api.calls == []
