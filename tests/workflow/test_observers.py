"""Who hears of a run: what they hear, in which context requests are sent, and who may fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.cli.interrupts import run_async
from batchrun.errors import ExitCode, Refused
from batchrun.events import AttemptEnded, DocumentSettled, Event, RunStarted
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.workflow.observer import HarmlessObservers, Observer
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.run import run_job
from batchrun.workflow.summary import Summary

CURRENT: ContextVar[str] = ContextVar("CURRENT", default="")


class Hears(Observer):
    """Notes what it hears, and fails when it should."""

    def __init__(self, fails_at: str = "") -> None:
        self.heard_of: list[str] = []
        self.started: RunStarted | None = None
        self._fails_at = fails_at

    def _note(self, what: str) -> None:
        self.heard_of.append(what)
        if what == self._fails_at:
            raise OSError(28, "No space left on device", "/x/y")

    def planned(self, *_: object, **__: object) -> None:
        self._note("planned")

    def planning(self, phase: str, documents: int) -> None:
        if self._fails_at == "planning":
            self._note("planning")

    def heard(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.started = event
        if isinstance(event, RunStarted | AttemptEnded | DocumentSettled):
            self._note(type(event).__name__)

    @contextmanager
    def sending(self, doc_id: str) -> Iterator[None]:
        self._note("sending")
        token = CURRENT.set(doc_id)
        yield
        CURRENT.reset(token)

    def ended(self, summary: Summary) -> None:
        self._note(f"ended {int(summary.exit_code)}")

    def failed(self, error: BaseException) -> None:
        self._note(f"failed {type(error).__name__}")


def run(project: TrialProject, observer: Observer, provider: ScriptedProvider, **options: object) -> Summary:
    with project.opened() as opened:
        wanted = SubmitOptions(**options)  # type: ignore[arg-type]
        running = run_job(opened, Selection(), provider, observer, options=wanted, counts=False)  # type: ignore[arg-type]
        return run_async(running)


def test_a_request_is_sent_in_the_context_of_its_document(project: TrialProject) -> None:
    project.documents(3)
    seen: set[str] = set()

    async def look(_: Request) -> Reply:
        seen.add(CURRENT.get())
        return answer()

    hears = Hears()
    run(project, hears, ScriptedProvider(default=look), deadline_s=600.0)
    assert seen == {f"docs/{number:04}.txt" for number in range(3)}
    assert CURRENT.get() == ""
    assert hears.heard_of[:2] == ["planned", "RunStarted"]
    assert hears.heard_of[-1] == "ended 0"
    assert hears.started is not None
    assert hears.started.deadline_at == pytest.approx(hears.started.started_at + 600)


def test_a_run_that_is_refused_is_heard_of(project: TrialProject) -> None:
    project.documents(1)
    hears = Hears()
    with pytest.raises(Refused):
        run(project, hears, ScriptedProvider(), max_cost_nusd=1)
    assert hears.heard_of == ["planned", "failed Refused"]


@pytest.mark.parametrize("fails_at", ["planning", "planned", "RunStarted", "sending", "DocumentSettled", "ended 0"])
def test_an_observer_that_fails_costs_no_run(project: TrialProject, fails_at: str) -> None:
    project.documents(2)
    hears, fails, said = Hears(), Hears(fails_at), list[str]()
    summary = run(project, HarmlessObservers([fails, hears], said.append), ScriptedProvider())
    assert summary.exit_code is ExitCode.OK
    assert hears.heard_of[-1] == "ended 0"
    assert said == ["Hears: No space left on device: /x/y; the run goes on without"]
    assert fails.heard_of[-1] == fails_at, "who failed hears of nothing more"


def test_an_observer_with_a_bug_shows_where_the_bug_is_and_not_what_the_error_says() -> None:
    class Buggy(Observer):
        def planning(self, phase: str, documents: int) -> None:
            raise KeyError(phase)

    said = list[str]()
    HarmlessObservers([Buggy()], said.append).planning("secret", 1)
    first, second = said
    assert first == "Buggy: KeyError; the run goes on without"
    assert second.startswith("this is a bug in batchrun:\n")
    assert "in planning" in second
    assert "secret" not in "".join(said)
