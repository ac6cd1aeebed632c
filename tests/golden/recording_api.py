"""A Messages API on this machine that keeps every body it is sent, and a command line that talks to it.

Nothing here but `batchrun.cli.run` is part of the package: what the tests of this folder pin are bytes on a socket and
rows in a file, so the tests go on as they are when the inside of the package changes.
"""

import contextlib
import io
import json
import os
import shlex
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import certifi

from batchrun import cli

KEY = "sk-ant-api03-golden"
MESSAGES, COUNT, BATCHES = "/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"
PREFIX_TOKENS = 700
"""What the API says it wrote to its prompt cache, or read from there, when a request has a mark."""
HEARD = ("ANTHROPIC_", "BATCHRUN_", "_BATCHRUN", "NO_COLOR", "FORCE_COLOR", "TQDM_", "PYTHONIOENCODING")
"""How the names of the environment variables begin that a command, or the SDK, listens to."""


@dataclass(frozen=True)
class Call:
    """One request as it came over the socket; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the API says to one request: a message, an error status, or nothing (the connection breaks)."""

    text: str | None = None
    """None stands for a valid answer, made from the schema."""
    stop_reason: str = "end_turn"
    status: int = 200
    breaks: bool = False


Script = Callable[[Mapping[str, Any]], Answer]


def valid(_: Mapping[str, Any]) -> Answer:
    """Every request gets a valid answer."""
    return Answer()


@dataclass
class Remote:
    """A batch that the API knows: what it was asked, by custom_id."""

    batch_id: str
    params: dict[str, dict[str, Any]]
    created_at: str = "2026-11-29T12:00:00Z"


@dataclass
class RecordingApi:
    """Answers by a script, at once, and keeps what it was sent."""

    script: Script = valid
    ends: bool = True
    """Whether batches have ended as soon as somebody asks for them."""
    calls: list[Call] = field(default_factory=list)
    batches: dict[str, Remote] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    """The models whose prompt cache has the prefix."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def bodies(self, path: str) -> list[bytes]:
        """What was posted to a path, in the order of arrival."""
        return [call.body for call in self.calls if call.method == "POST" and call.path.partition("?")[0] == path]

    @property
    def paid(self) -> int:
        """How many calls were made that may cost money."""
        return len(self.bodies(MESSAGES)) + len(self.bodies(BATCHES))

    @contextlib.contextmanager
    def serving(self) -> Iterator["RecordingApi"]:
        """Listen on a port of this machine."""
        api = self

        class Handler(_Handler):
            answering = api

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    # --- what the endpoints say

    def message(self, params: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        """The message that answers these parameters."""
        schema = params["output_config"]["format"]["schema"]
        text = json.dumps(value_of(schema)) if answer.text is None else answer.text
        return {
            "id": "msg_golden",
            "type": "message",
            "role": "assistant",
            "model": params["model"],
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": answer.stop_reason,
            "stop_sequence": None,
            "usage": self._usage(params),
        }

    def _usage(self, params: Mapping[str, Any]) -> dict[str, Any]:
        told = json.dumps(params, ensure_ascii=False)
        usage: dict[str, Any] = {"input_tokens": len(told) // 4, "output_tokens": 60}
        if '"cache_control"' not in told:
            return usage
        with self.lock:
            reads = params["model"] in self.marked
            self.marked.add(params["model"])
        for_an_hour = '"ttl": "1h"' in told
        written = {
            "ephemeral_5m_input_tokens": 0 if reads or for_an_hour else PREFIX_TOKENS,
            "ephemeral_1h_input_tokens": PREFIX_TOKENS if for_an_hour and not reads else 0,
        }
        return usage | {
            "cache_creation_input_tokens": sum(written.values()),
            "cache_creation": written,
            "cache_read_input_tokens": PREFIX_TOKENS if reads else 0,
        }

    def created(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Create a batch."""
        with self.lock:
            remote = Remote(
                f"msgbatch_golden{len(self.batches) + 1}", {one["custom_id"]: one["params"] for one in requests}
            )
            self.batches[remote.batch_id] = remote
        return self.told(remote, ended=False)

    def told(self, remote: Remote, *, ended: bool) -> dict[str, Any]:
        """A batch as the API shows it."""
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = len(remote.params)
        return {
            "id": remote.batch_id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": remote.created_at,
            "expires_at": "2099-01-01T00:00:00Z",
            "ended_at": remote.created_at if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.url}{BATCHES}/{remote.batch_id}/results" if ended else None,
        }

    def results(self, remote: Remote) -> bytes:
        """The lines of a batch's results."""
        lines = (
            {"custom_id": custom_id, "result": self._result(params, self.script(params))}
            for custom_id, params in remote.params.items()
        )
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def _result(self, params: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        """What became of one request of a batch; one whose connection would break has expired."""
        if answer.breaks:
            return {"type": "expired"}
        if answer.status != 200:
            return {"type": "errored", "error": refusal()}
        return {"type": "succeeded", "message": self.message(params, answer)}


class _Handler(BaseHTTPRequestHandler):
    """Keeps the call, then answers it."""

    answering: RecordingApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        """Say nothing."""

    def do_GET(self) -> None:
        api, path = self.answering, self._kept(b"").partition("?")[0]
        if path == BATCHES:
            newest_first = [api.told(remote, ended=api.ends) for remote in reversed(api.batches.values())]
            self._say({"data": newest_first, "has_more": False, "first_id": None, "last_id": None})
        elif path.startswith(f"{BATCHES}/"):
            remote = api.batches[path.split("/")[4]]
            if path.endswith("/results"):
                self._send(200, api.results(remote), "application/x-jsonl")
            else:
                self._say(api.told(remote, ended=api.ends))
        else:
            name = path.rpartition("/")[2]
            self._say({"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"})

    def do_POST(self) -> None:
        api, body = self.answering, self._read()
        path, params = self._kept(body).partition("?")[0], json.loads(body)
        if path == BATCHES:
            self._say(api.created(params["requests"]))
        elif path == COUNT:
            self._say({"input_tokens": len(body) // 4})
        else:
            self._answer(params, api.script(params))

    def _answer(self, params: Mapping[str, Any], answer: Answer) -> None:
        if answer.breaks:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        elif answer.status != 200:
            self._say(refusal(), status=answer.status)
        else:
            message = self.answering.message(params, answer)
            if params.get("stream"):
                self._send(200, b"".join(events(message)), "text/event-stream")
            else:
                self._say(message)

    def _kept(self, body: bytes) -> str:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.answering.calls.append(Call(self.command, self.path, headers, body))
        return self.path

    def _read(self) -> bytes:
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _say(self, body: Mapping[str, Any], *, status: int = 200) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("request-id", "req_golden")
        self.end_headers()
        self.wfile.write(body)


def refusal() -> dict[str, Any]:
    """The body of an error status."""
    return {"type": "error", "error": {"type": "invalid_request_error", "message": "not like this"}}


def events(message: Mapping[str, Any]) -> Iterator[bytes]:
    """A message as the events of a stream."""
    begun = {**message, "content": [], "stop_reason": None}
    yield event("message_start", message=begun)
    for index, block in enumerate(message["content"]):
        yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": block["text"]})
        yield event("content_block_stop", index=index)
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=ending, usage=message["usage"])
    yield event("message_stop")


def event(name: str, **fields: object) -> bytes:
    """One event of a stream."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def value_of(schema: Mapping[str, Any]) -> Any:
    """A value that a schema allows, always the same one."""
    if "anyOf" in schema:
        return value_of(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {name: value_of(child) for name, child in schema["properties"].items()}
        case "array":
            return [value_of(schema["items"])]
        case "string":
            return {"date": "2026-01-31", "date-time": "2026-01-31T12:30:00Z"}.get(schema.get("format", ""), "text")
        case plain:
            return {"integer": 12, "number": 1.5, "boolean": True}[plain]


def text_of(params: Mapping[str, Any]) -> str:
    """The user message of a request, with or without a mark in it."""
    (message,) = params["messages"]
    content = message["content"]
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, when it is one JSON value and nothing else."""
        return json.loads(self.out)


def batchrun(command: str) -> Ran:
    """Run a command as a person types it."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(shlex.split(command))
    return Ran(int(code), out.getvalue(), err.getvalue())


def one_certificate(root: Path) -> Path:
    """A file with one certificate: the SDK reads all that there are for each client, which takes 80 ms."""
    path, end = root / "certificate.pem", "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text("utf-8").partition(end)[0] + end)
    return path


@contextlib.contextmanager
def standing_in(root: Path, api: RecordingApi) -> Iterator[None]:
    """Stand in a project, with an environment that leads to the API and says nothing else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(HEARD) and not name.lower().endswith("_proxy")
    }
    spoken = {
        "HOME": str(root),
        "ANTHROPIC_BASE_URL": api.url,
        "ANTHROPIC_API_KEY": KEY,
        "SSL_CERT_FILE": str(one_certificate(root)),
    }
    with mock.patch.dict(os.environ, kept | spoken, clear=True), contextlib.chdir(root):
        yield
