"""The clouds on loopback: one server in a thread of its own, which keeps what arrives and answers as a test wants."""

import asyncio
import base64
import binascii
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

MODEL = "claude-sonnet-5-5"
ANSWER = '{"title": "A letter"}'
STRANGE = "sk-ant-api03-of-the-api-of-anthropic-alone"
TOKEN = "ya29.stand-in-0123456789"
KEY_ID, SECRET = "AKIDSTANDIN0123456789", "stand/in+secret0123456789"
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": ANSWER}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 9},
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": {"title": "A letter"}}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    url: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def params(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, service: str, region: str) -> bool:
        """Whether the signature is the one that the secret makes of this very request."""
        given = self.headers["authorization"]
        names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        again = AWSRequest(self.method, self.url, {name: self.headers[name] for name in names}, self.body)
        again.context["timestamp"] = self.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(KEY_ID, SECRET), service, region)
        text = signer.string_to_sign(again, signer.canonical_request(again))
        return given.endswith(f"Signature={signer.signature(text, again)}") and f"/{region}/{service}/" in given


@dataclass
class CloudServer:
    """Answers every message, unless `answers` has something else for the next requests."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)

    async def answer(self, got: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in got.headers.items()}
        body = await got.read()
        if got.path == "/token":
            return web.json_response({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        self.seen.append(Seen(got.method, str(got.url), got.raw_path, headers, body))
        if self.answers:
            return self.answers.pop(0)
        if got.path.endswith(("count_tokens", "count-tokens:rawPredict")):
            return web.json_response({"input_tokens": 77})
        if "stream" in got.path:
            return streamed(EVENTS, framed="bedrock" in headers.get("authorization", ""))
        if json.loads(body or b"{}").get("stream"):
            return streamed(EVENTS)
        return web.json_response(MESSAGE, headers={"request-id": "req_1"})

    @contextmanager
    def listening(self) -> Iterator["CloudServer"]:
        loop, begun = asyncio.new_event_loop(), threading.Event()
        app = web.Application(client_max_size=10**9)
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.05)

        async def begin() -> None:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            begun.set()

        def serve() -> None:
            loop.create_task(begin())
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())
            loop.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert begun.wait(30)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """A frame of Amazon's event stream (docs.aws.amazon.com, "Event stream encoding")."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", len(packed) + len(payload) + 16, len(packed))
    whole = prelude + struct.pack("!I", binascii.crc32(prelude)) + packed + payload
    return whole + struct.pack("!I", binascii.crc32(whole))


def chunk(event: object) -> bytes:
    """An event of a streamed message as Bedrock frames it."""
    body = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abcd"}).encode()
    return frame({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, body)


def refused(kind: str, words: str) -> bytes:
    """An error inside an event stream."""
    return frame({":exception-type": kind, ":message-type": "exception"}, json.dumps({"message": words}).encode())


def streamed(events: list[dict[str, Any]], *, framed: bool = False) -> web.Response:
    if framed:
        body, kind = b"".join(map(chunk, events)), "application/vnd.amazon.eventstream"
    else:
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        body, kind = "".join(lines).encode(), "text/event-stream"
    return web.Response(body=body, headers={"content-type": kind, "request-id": "req_1"})
