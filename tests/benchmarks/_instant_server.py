"""A server that answers every POST at once with one message that never changes; run as a script, prints its base URL.

Nothing but the length of a request's body is read. An answer has the headers of the API's answers, limits among them.
"""

import asyncio
import json
import re

MODEL = "claude-sonnet-5-5"
ANSWER = {"party_a": "Alpha Ltd", "governing_law": "Delaware", "term_months": 12}
BODY = json.dumps({
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": MODEL,
    "content": [{"type": "text", "text": json.dumps(ANSWER)}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {
        "input_tokens": 400, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 40, "service_tier": "standard",
    },
}).encode()  # fmt: skip
LIMITS = "".join(
    f"anthropic-ratelimit-{name}-limit: 100000000000\r\nanthropic-ratelimit-{name}-remaining: 99999999000\r\n"
    f"anthropic-ratelimit-{name}-reset: 2026-01-01T00:00:00Z\r\n"
    for name in ("requests", "input-tokens", "output-tokens", "tokens")
)
OTHER_HEADERS = """\
Date: Thu, 01 Jan 2026 00:00:00 GMT
Content-Type: application/json
Connection: keep-alive
request-id: req_011CSHoEeqs5C35K2UUqR7Fy
strict-transport-security: max-age=31536000; includeSubDomains; preload
anthropic-organization-id: 00000000-0000-0000-0000-000000000000
x-envoy-upstream-service-time: 1200
via: 1.1 google
cf-cache-status: DYNAMIC
X-Robots-Tag: none
Server: cloudflare
CF-RAY: 0000000000000000-FRA
""".replace("\n", "\r\n")
HEAD_END, LENGTH = b"\r\n\r\n", re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


def answer(body):
    """The bytes of an answer with status 200 and this body."""
    return f"HTTP/1.1 200 OK\r\n{OTHER_HEADERS}{LIMITS}Content-Length: {len(body)}\r\n\r\n".encode() + body


MESSAGE, COUNT = answer(BODY), answer(b'{"input_tokens":400}')
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.received = transport, b""

    def data_received(self, piece):
        self.received += piece
        while (head := self.received.find(HEAD_END)) >= 0:
            length = LENGTH.search(self.received, 0, head)
            end = head + len(HEAD_END) + (int(length[1]) if length else 0)
            if len(self.received) < end:
                return
            self.transport.write(answer_to(self.received))
            self.received = self.received[end:]


def answer_to(request):
    if request.startswith(b"POST /v1/messages "):
        return MESSAGE
    return COUNT if request.startswith(b"POST /v1/messages/count_tokens ") else NOT_FOUND


async def serve():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=2_000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
