"""A long wait is said once in the API's own words: by `submit` through a pipe, and by `status` beside it."""

import http.server
import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from command_line import KEY, CommandLine, process
from trial_project import TrialProject

pytestmark = pytest.mark.slow

QUOTA = "Daily quota of 20 requests is used up"
REFUSAL = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": QUOTA}}).encode()


class UsedUp(http.server.BaseHTTPRequestHandler):
    """Answers 429 to everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(429)
        for name, value in {"retry-after": "3600", "content-type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(REFUSAL)))
        self.end_headers()
        self.wfile.write(REFUSAL)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def used_up() -> Iterator[str]:
    """The base URL of an API whose quota is used up."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), UsedUp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_quota_that_is_used_up_is_said_in_submit_and_status(
    project: TrialProject, batchrun: CommandLine, used_up: str
) -> None:
    project.documents(5)
    environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": used_up}
    seen: list[str] = []
    with process("submit jobs/trial.toml", cwd=project.root, environment=environment) as running:
        assert running.stderr
        for line in running.stderr:
            seen.append(line)
            if line.endswith("; waiting\n"):
                break
        shown = ""
        while running.poll() is None and f"{QUOTA}; waiting" not in shown:
            shown = batchrun("status trial").out
        (told,) = batchrun("status trial --json").events
        running.send_signal(signal.SIGINT)
        seen += running.stderr

    uncounted, *waits = [line for line in seen if QUOTA in line]
    assert uncounted == f"the API did not count: {QUOTA}\n", "the estimate asks before the run does"
    assert [line.endswith(f"429: {QUOTA}; waiting\n") for line in waits] == [True], "once"
    assert f"429: {QUOTA}; waiting" in shown
    assert (told["state"], told["note"]) == ("running", f"429: {QUOTA}")
    assert running.returncode == 130
    assert QUOTA not in batchrun("status trial").out, "it no longer waits"
