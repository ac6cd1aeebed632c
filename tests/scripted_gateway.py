"""A server in a thread that answers each path as a test wants, and remembers what it was asked."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": '{"title": "t"}'}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 4},
}


@dataclass
class Gateway:
    """What the server answers by the end of a path (status, body, headers), and otherwise; and what it was asked."""

    otherwise: tuple[int, Any, dict[str, str]]
    answers: dict[str, tuple[int, Any, dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[int, Any, dict[str, str]]:
        """The answer to a request for this path."""
        self.asked.append(path)
        return next((found for end, found in self.answers.items() if path.endswith(end)), self.otherwise)


@contextlib.contextmanager
def gateway(status: int, body: Any = "", **headers: str) -> Iterator[Gateway]:
    """Serve for as long as the block lasts."""
    made = Gateway((status, body, headers))

    class Answering(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            code, content, more = made.answer(self.path.partition("?")[0])
            sent = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(code, "Words")
            for name, value in {**more, "content-length": str(len(sent))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = answer  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
