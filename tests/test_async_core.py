"""The workflow is a library for any event loop: a notebook's, a thread's, or one of the command line's own."""

import asyncio
import re
import signal
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

import batchrun
from batchrun import cli
from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.errors import ExitCode
from batchrun.events import DocumentSettled, Event
from batchrun.execution.halt import Halt, Interrupted
from batchrun.execution.run import Caller
from batchrun.outcome import Outcome
from batchrun.planning.classification import PageClassifier
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.workflow.pilot import PilotSubmit
from batchrun.workflow.submit import submit
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow

T = TypeVar("T")
PACKAGE = Path(batchrun.__file__).parent
OWN_LOOP = re.compile(
    r"\basyncio\.(run|Runner)\(|\bsignal\.|\b(import|from) signal\b|_signal_handler\(|run_until_complete"
)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started by something that ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


async def submitted(project: TrialProject, provider: ScriptedProvider) -> Summary:
    caller = Caller(provider=provider, listener=project.events.append)
    with project.opened() as opened:
        return await submit(opened, Selection(), caller, show=project.plans.append)


def in_a_thread(main: Coroutine[Any, Any, T]) -> T:
    ends: list[T] = []
    thread = threading.Thread(target=lambda: ends.append(asyncio.run(main)))
    thread.start()
    thread.join(60)
    assert ends, "the thread ended with an error, or not at all"
    return ends[0]


def test_only_the_command_line_the_simulator_and_the_proof_run_loops_and_listen_to_signals() -> None:
    """The child processes of `workers` are deaf to signals of the terminal; that code runs in no caller's process.

    The Python API runs a loop too, in a thread of the submission alone, and listens to no signal.
    """
    texts = {path.relative_to(PACKAGE): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    users = {path.parts[0] for path, text in texts.items() if OWN_LOOP.search(text)}
    assert users == {"api", "cli", "simulator", "proof", "workers"}
    for room, names in (("workers", ["limits.py"]), ("api", ["submission.py"])):
        assert [path.name for path, text in texts.items() if path.parts[0] == room and OWN_LOOP.search(text)] == names
    loops = [found[0] for found in OWN_LOOP.finditer(texts[Path("api/submission.py")])]
    assert loops == ["asyncio.run("], "one loop, and no signal"


def test_a_running_loop_submits_and_goes_on_with_its_own_work(project: TrialProject) -> None:
    project.documents(3)

    async def notebook() -> tuple[Summary, int]:
        turns = 0

        async def own_work() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        work = asyncio.create_task(own_work())
        summary = await submitted(project, ScriptedProvider(latency_s=0.05))
        work.cancel()
        return summary, turns

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    summary, turns = asyncio.run(notebook())

    assert summary.outcomes == {Outcome.SUCCEEDED: 3}
    assert len(project.rows()) == 3
    assert turns > 3
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers


def test_two_jobs_are_submitted_side_by_side_in_one_loop(project: TrialProject, tmp_path: Path) -> None:
    other = TrialProject(tmp_path / "other")
    other.job()
    for one in (project, other):
        one.documents(5)

    async def both() -> list[Summary]:
        provider = ScriptedProvider(latency_s=0.02)
        return list(await asyncio.gather(submitted(project, provider), submitted(other, provider)))

    assert [summary.outcomes for summary in asyncio.run(both())] == [{Outcome.SUCCEEDED: 5}] * 2


def test_a_thread_submits_in_a_loop_of_its_own(project: TrialProject) -> None:
    project.documents(3)

    summary = in_a_thread(submitted(project, ScriptedProvider()))

    assert summary.outcomes == {Outcome.SUCCEEDED: 3}
    assert summary.exit_code == ExitCode.OK


def test_a_thread_submits_with_a_pilot(project: TrialProject) -> None:
    project.documents(6)

    async def piloted() -> Summary:
        caller = Caller(provider=ScriptedProvider(), listener=project.events.append)
        with project.opened() as opened:
            show, report = (lambda *_: None), (lambda _: None)
            return await PilotSubmit(opened, caller, show, report).submit(Selection(), None)

    assert in_a_thread(piloted()).outcomes == {Outcome.SUCCEEDED: 6}


@pytest.mark.parametrize("in_thread", [False, True])
def test_whoever_calls_may_interrupt_the_run_without_a_signal(project: TrialProject, *, in_thread: bool) -> None:
    project.documents(20)
    halts: list[Halt] = []

    class Button:
        """What a notebook would show while the run goes on."""

        def __init__(self, halt: Halt) -> None:
            self.halt = halt

        def __enter__(self) -> None:
            halts.append(self.halt)

        def __exit__(self, *_: object) -> None:
            halts.clear()

    def listener(event: Event) -> None:
        if isinstance(event, DocumentSettled) and halts:
            halts[0].interrupt(Interrupted("the button was pressed"), grace_s=5.0)

    async def pressed() -> Summary:
        caller = Caller(provider=ScriptedProvider(), listener=listener, interrupts=Button)
        with project.opened() as opened:
            return await submit(opened, Selection(), caller, show=lambda _: None)

    summary = in_a_thread(pressed()) if in_thread else asyncio.run(pressed())

    assert str(summary.halted) == "the button was pressed"
    assert summary.exit_code == ExitCode.INTERRUPTED
    assert 0 < summary.outcomes[Outcome.SUCCEEDED] < 20
    assert project.ask("select state from runs") == [("interrupted",)]
    assert not halts


def test_a_caller_that_cancels_its_task_leaves_no_attempt_open(project: TrialProject) -> None:
    project.documents(3)

    async def impatient() -> None:
        sent = asyncio.Event()

        async def hanging(_: Request) -> Reply:
            sent.set()
            await asyncio.sleep(30)
            return answer()

        task = asyncio.create_task(submitted(project, ScriptedProvider({"text 0": [hanging]})))
        await sent.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(impatient())

    assert project.ask("select distinct state from attempts") == [("unknown",)], "it may have been billed"


# --- Ctrl-C before and after the run


def test_ctrl_c_ends_what_never_awaits_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    after = []

    async def planning() -> None:
        signal.raise_signal(signal.SIGINT)
        after.append("the next line")

    with pytest.raises(KeyboardInterrupt):
        run_async(planning())

    assert not after
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["plan", "submit"])
def test_ctrl_c_while_a_command_plans_sends_nothing(
    project: TrialProject, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.documents(3)
    rows, read = PageClassifier.rows, []

    def interrupted(self: PageClassifier, *args: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        read.append(args)
        return rows(self, *args)

    monkeypatch.setattr(PageClassifier, "rows", interrupted)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "nobody's")

    assert cli.run([command, str(project.root / "jobs/trial.toml")]) == ExitCode.INTERRUPTED

    assert capsys.readouterr().err == "\ninterrupted; nothing is lost: the same command goes on\n"
    assert not read


def test_ctrl_c_while_the_api_is_asked_closes_the_connections_first(capsys: pytest.CaptureFixture[str]) -> None:
    closed = []

    async def counting() -> None:
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.gather(asyncio.sleep(30), asyncio.sleep(30))
        finally:
            await asyncio.sleep(0)
            closed.append("yes")

    with pytest.raises(KeyboardInterrupt):
        run_async(counting())

    assert closed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capsys.readouterr().err == ""


def test_ctrl_c_after_the_run_ends_the_command_as_before_it() -> None:
    halt, after = Halt(), []

    async def command() -> None:
        with halting_on_signals(halt):
            signal.raise_signal(signal.SIGINT)
            await halt.wait()
        after.append("published")
        signal.raise_signal(signal.SIGINT)
        after.append("the next line")

    with pytest.raises(KeyboardInterrupt):
        run_async(command())

    assert str(halt.reason) == "SIGINT received"
    assert after == ["published"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ignores_a_signal_goes_on_ignoring_it(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    halt = Halt()

    async def command() -> None:
        with halting_on_signals(halt):
            signal.raise_signal(number)
            await asyncio.sleep(0.01)

    try:
        run_async(command())
        assert halt.reason is None
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
