"""A bug in a stream: what is in flight is recorded, and the bug is shown."""

import asyncio
import errno
from collections.abc import Sequence

import pytest
from scripted_provider import (
    ScriptedProvider,
    Step,
    answer,
    status,
)
from stream_run import attempts
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import Guard
from batchrun.documents.files import FileSource
from batchrun.errors import BatchrunError, ExitCode
from batchrun.events import DocumentSettled, Event
from batchrun.execution.halt import Bug
from batchrun.file_system import MachineFault
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.workflow.submit import submit


async def odd(_: Request) -> Reply:
    """A step that nobody expected."""
    await asyncio.sleep(0.5)
    raise ZeroDivisionError


UNEXPECTED: dict[str, Step] = {
    "a bug of the provider": odd,
    "a reply that cannot be judged": answer(stop_reason=["end_turn"]),
    "a reply that the ledger cannot hold": answer(model="\ud800"),
    "words that the ledger cannot hold": status(400, "bad \ud800"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("case", UNEXPECTED)
def test_a_bug_lets_what_is_in_flight_land(project: TrialProject, case: str) -> None:
    project.documents(20)
    provider = ScriptedProvider({"text 5": [UNEXPECTED[case]]}, latency_s=1.0)

    halted = project.execute(provider)

    assert isinstance(halted, Bug)
    assert halted.exit_code == ExitCode.BUG
    assert halted.__cause__ is not None
    assert 4 < len(provider.sent) < 20
    assert sorted(state for state, _ in attempts(project)) == ["answered"] * (len(provider.sent) - 1) + ["unknown"]
    assert project.statuses()["0005.txt"] == "pending"


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("error", "halt"),
    [
        (OSError(errno.EIO, "Input/output error"), MachineFault),
        (OSError(errno.EPERM, "Operation not permitted"), Bug),
        (BrokenPipeError(), Bug),
        (KeyError("x"), Bug),
    ],
)
def test_a_listener_that_fails_costs_no_answer(
    project: TrialProject, error: Exception, halt: type[BatchrunError]
) -> None:
    project.documents(20)
    provider = ScriptedProvider(latency_s=1.0)

    def listener(event: Event) -> None:
        if isinstance(event, DocumentSettled) and event.doc_id == "docs/0005.txt":
            raise error

    with project.opened() as opened:
        caller = caller_of(provider, listener)
        summary = run_async(submit(opened, Selection(), caller, show=project.plans.append))

    assert isinstance(summary.halted, halt)
    assert summary.halted.__cause__ is (error if halt is Bug else None)
    assert {state for state, _ in attempts(project)} == {"answered"}
    assert len(attempts(project)) == len(provider.sent) < 20
    assert project.ask("select state, exit_code from runs") == [("stopped", halt.exit_code)]
    assert len(project.rows()) == len(provider.sent), "the rows are brought all the same"


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_bug_of_the_source_lets_what_is_in_flight_land(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(30)
    read = FileSource.read

    def failing_later(self: FileSource, refs: Sequence[DocumentRef], guard: Guard) -> list[Document | Unreadable]:
        if refs[0].doc_id > "docs/0008.txt":
            raise ZeroDivisionError
        return read(self, refs, guard)

    monkeypatch.setattr(FileSource, "read", failing_later)
    provider = ScriptedProvider(latency_s=1.0)

    assert isinstance(project.execute(provider), Bug)

    assert {state for state, _ in attempts(project)} == {"answered"}
    assert provider.sent
