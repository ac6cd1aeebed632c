"""[notify]: what receivers are told, and that no failure of a receiver costs a run or tells a secret."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from heard_run import run_with_observers, wait_for_senders
from json_page import EVENTS, OF_NOTIFY, breaches
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import BatchrunError, EnvironmentProblem, ExitCode, Refused, UsageProblem
from batchrun.events import DocumentSettled, RunStarted
from batchrun.integrations import notify, webhook
from batchrun.integrations.notify import Notify, run_program
from batchrun.integrations.webhook import post, usable_host
from batchrun.job.telling_sections import NotifySection
from batchrun.outcome import Outcome

TOKEN = "T0K3N-of-the-webhook"
OF_A_JOB = {name: EVENTS["run_end"][name] for name in ("job", "simulated")}


class Receiver:
    """A host with a webhook that answers with these statuses, one after the other; the last one repeats."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.bodies: list[Any] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.bodies.append(json.loads(body))
                status = receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0]
                self.send_response(status)
                self.send_header("location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}/hook/{TOKEN}"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(webhook, "PAUSES_S", (0.0, 0.0))
    receiver = Receiver()
    threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True).start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def notifier(section: NotifySection, said: list[str], project: TrialProject) -> Notify:
    opened = SimpleNamespace(name="x", simulated=True, job=SimpleNamespace(notify=section, root=project.root))
    return Notify(opened, said.append)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "calls", "problem"),
    [
        pytest.param([200], 1, None, id="taken"),
        pytest.param([503, 429, 204], 3, None, id="taken at last"),
        pytest.param([500], 3, "127.0.0.1 answered with status 500", id="never taken"),
        pytest.param([404], 1, "127.0.0.1 answered with status 404", id="refused"),
        pytest.param([302], 1, "127.0.0.1 answered with status 302", id="a redirect is not followed"),
    ],
)
def test_a_webhook(receiver: Receiver, statuses: list[int], calls: int, problem: str | None) -> None:
    receiver.statuses = statuses
    if problem is None:
        post(receiver.address, b"{}")
    else:
        with pytest.raises(EnvironmentProblem) as raised:
            post(receiver.address, b"{}")
        assert str(raised.value) == problem
    assert len(receiver.bodies) == calls


def test_a_host_that_answers_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.01)
    monkeypatch.setattr(webhook, "answered", lambda *_: ("", never.wait(60)))
    assert webhook.tried("https://hooks.example/", b"{}") == ("did not answer", True)
    never.set()


def test_a_certificate_that_is_not_trusted_is_no_reason_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        opened.append("once")
        raise webhook.URLError(ssl.SSLCertVerificationError(f"certificate of https://x/{TOKEN}"))

    monkeypatch.setattr("urllib.request.OpenerDirector.open", refuse)
    with pytest.raises(
        EnvironmentProblem, match=r"^hooks\.example has a certificate that this machine does not trust$"
    ):
        post(f"https://hooks.example/{TOKEN}", b"{}")
    assert opened == ["once"]


@pytest.mark.parametrize(
    "address",
    ["", TOKEN, f"ftp://x/{TOKEN}", f"http://hooks.example/{TOKEN}", f"https://[{TOKEN}", f"https:///{TOKEN}",
     f"https://x/{TOKEN}\r\nhost: y", f"file:///etc/{TOKEN}"],
)  # fmt: skip
def test_an_address_that_is_none_is_not_repeated(address: str) -> None:
    with pytest.raises(UsageProblem) as raised:
        usable_host(address)
    assert TOKEN not in str(raised.value)


def test_a_run_goes_on_whatever_the_receiver_does(
    project: TrialProject, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    path = project.job()
    path.write_text(path.read_text() + '[notify]\nwebhook_env = "HOOK"\n')
    monkeypatch.setenv("HOOK", receiver.address)
    receiver.statuses = [500]
    heard = run_with_observers(project, ScriptedProvider())
    wait_for_senders()
    assert heard.summary.exit_code is ExitCode.OK
    assert heard.said == ["[notify] webhook_env: 127.0.0.1 answered with status 500; nobody was told"]
    assert {body["event"] for body in receiver.bodies} == {"run_end"}
    assert run_with_observers(project, ScriptedProvider()).said == []
    wait_for_senders()
    assert len(receiver.bodies) == 3, "a run that had nothing to do is no news"


def test_a_variable_that_is_missing_is_told_before_the_run(project: TrialProject) -> None:
    project.documents(1)
    path = project.job()
    path.write_text(path.read_text() + '[notify]\nwebhook_env = "HOOK_OF_NOBODY"\n')
    heard = run_with_observers(project, ScriptedProvider())
    assert heard.summary.exit_code is ExitCode.OK
    assert heard.said == ["webhook_env: the environment has no HOOK_OF_NOBODY, so nobody will be told"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(Refused("too expensive"), 3, "too expensive", id="refused"),
        pytest.param(ValueError("the text of a document"), 70, "", id="a bug"),
        pytest.param(KeyboardInterrupt(), 130, "", id="interrupted"),
    ],
)
def test_a_run_that_does_not_begin_is_told(
    project: TrialProject, error: BaseException, code: int, message: str
) -> None:
    section = NotifySection(command=("/bin/sh", "-c", "cat > told.json"))
    notifier(section, [], project).failed(error)
    wait_for_senders()
    told = json.loads((project.root / "told.json").read_text())
    assert list(breaches(told, more=OF_NOTIFY | OF_A_JOB)) == []
    assert (told["event"], told["why"], told["exit_code"], told["message"]) == ("error", "stop", code, message)
    assert told["text"] == f"SIMULATED x: stopped with exit code {code}"


def test_a_deadline_in_danger_is_told_once(project: TrialProject) -> None:
    section = NotifySection(command=("/bin/sh", "-c", "cat >> told.json; echo >> told.json"))
    observer = notifier(section, [], project)
    observer.heard(RunStarted("8f3c", "x", "m", 9, "stream", False, 0, 10, started_at=0.0, deadline_at=60.0))
    for _ in range(3):
        observer.heard(DocumentSettled("a", Outcome.SUCCEEDED, None, 1))
    observer.failed(KeyboardInterrupt())
    wait_for_senders()
    told, stopped = map(json.loads, (project.root / "told.json").read_text().splitlines())
    assert list(breaches(told, more=OF_NOTIFY)) == []
    assert told["text"] == (
        "SIMULATED x: run 8f3c may miss its deadline of 1970-01-01T00:01:00Z: 0 of 9 documents are done"
    )
    assert (told["why"], told["deadline"], stopped["run"]) == ("deadline", "1970-01-01T00:01:00Z", "8f3c")


def test_only_what_is_asked_for_is_told(project: TrialProject) -> None:
    section = NotifySection(on=("end",), command=("/bin/sh", "-c", "touch told"))
    notifier(section, [], project).failed(Refused("no"))
    wait_for_senders()
    assert not (project.root / "told").exists()


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("/bin/false",), "/bin/false ended with exit code 1"),
        (("/bin/sleep", "60"), "/bin/sleep took longer than 0 s"),
        (("/no/such/program",), "No such file or directory"),
    ],
)
def test_a_program_that_fails(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], problem: str
) -> None:
    monkeypatch.setattr(notify, "COMMAND_S", 0.1)
    with pytest.raises((BatchrunError, OSError), match=problem):
        run_program(command, project.root, b"{}")
