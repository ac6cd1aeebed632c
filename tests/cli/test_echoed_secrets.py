"""A gateway that repeats whatever it was sent: no secret of the environment is in any output, or in any file."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from command_line import KEY, CommandLine
from trial_project import TrialProject

pytestmark = pytest.mark.slow

TOKEN = "gateway-token-2718281828"
TEAM = 'Bearer team"pass\\word-16180339'
PASSWORD = "hunter2hunter2"
SECRETS = [KEY, TOKEN, TEAM, 'team"pass', PASSWORD, KEY[:40], KEY[-12:]]
USAGE = {"input_tokens": 5, "output_tokens": 5}


class Echo(BaseHTTPRequestHandler):
    """Answers in turn with errors and with messages, all of which repeat the headers of the request."""

    protocol_version = "HTTP/1.1"
    answered = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        told = f"{self.headers['x-api-key']} {self.headers['x-team']} {TOKEN} {PASSWORD}"
        Echo.answered += 1
        padding = "x" * (1_000 - Echo.answered * 7)  # the cut after 1,000 characters is in the middle of a secret
        error = {"type": told, "message": padding + told, "details": {"error_code": told}}
        message = {
            "id": "msg", "type": "message", "role": "assistant", "model": told, "stop_reason": "end_turn",
            "content": [{"type": "text", "text": '{"title": "a title"}'}], "usage": USAGE,
        }  # fmt: skip
        good = Echo.answered % 3 == 0
        body = json.dumps(message if good else {"type": "error", "error": error, "request_id": told}).encode()
        self.send_response(200 if good else 422)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("request-id", told)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The gateway, and an environment full of secrets."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"x-team: {TEAM}\nx-token: {TOKEN}\nx-region: eu")
    monkeypatch.setenv("https_proxy", f"http://someone:{PASSWORD}@127.0.0.1:1")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("echo")
def test_no_secret_is_anywhere(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(retry="max_attempts = 1")
    project.documents(12)
    commands = [
        "submit jobs/trial.toml -vv --log run.log", "status --json", "status last", "results trial --status all",
        "results trial --status all --format jsonl", "results trial --doc docs/0000.txt --json", "cost",
        "retry jobs/trial.toml --json -vv --log run.log --status rejected", "doctor",
    ]  # fmt: skip
    said = "".join(batchrun(command).words for command in commands)
    assert Echo.answered > 12
    assert "***" in said
    files = {str(path): path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    for secret in SECRETS:
        assert secret not in said
        assert [path for path, content in files.items() if secret.encode() in content] == []


@pytest.mark.usefixtures("echo")
def test_a_traceback_does_not_tell_them(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"this cannot happen: {os.environ['ANTHROPIC_CUSTOM_HEADERS']} {KEY} {PASSWORD}")

    monkeypatch.setattr("batchrun.providers.anthropic.messages.reply_from", broken)
    monkeypatch.setattr("batchrun.planning.planner.Planner.plan", broken)
    project.documents(3)
    ran = batchrun("submit jobs/trial.toml")
    assert "this cannot happen" in ran.err
    assert [secret for secret in SECRETS if secret in ran.words] == []
