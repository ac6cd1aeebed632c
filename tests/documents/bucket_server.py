"""Buckets on loopback, in the languages of Amazon S3 and of Google Cloud Storage, with two files on each page."""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

MODIFIED = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


@dataclass
class Buckets:
    """One bucket, `letters`; any other name is refused as there is none."""

    files: dict[str, bytes]
    address: str = ""
    denied: set[str] = field(default_factory=set)
    broken: dict[str, int] = field(default_factory=dict)
    """How often the connection breaks amid a file."""
    asked: list[str] = field(default_factory=list)
    """What was read, and `list`."""

    def page(self, prefix: str, start: str) -> tuple[list[str], str]:
        """Return some keys in order, and where the next page begins."""
        self.asked.append("list")
        keys = sorted((key for key in self.files if key.startswith(prefix) and key >= start), key=str.encode)
        return keys[:2], next(iter(keys[2:]), "")

    def stamp(self, key: str) -> int:
        """Return a number of the content."""
        return int.from_bytes(hashlib.sha256(self.files[key]).digest()[:6])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    buckets: Buckets

    def log_message(self, *_: Any) -> None:
        """Tell nobody."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path.startswith("/storage/v1/b/"):
            bucket, _, key = parts.path.removeprefix("/storage/v1/b/").partition("/o")
            self._google(bucket, unquote(key.removeprefix("/")), query)
        elif parts.path.startswith("/open/"):
            self._open(parts.path.removeprefix("/open/"))
        else:
            assert "Credential=AKID" in self.headers["Authorization"]
            bucket, _, key = parts.path.removeprefix("/").partition("/")
            self._amazon(bucket, unquote(key), query)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _open(self, key: str) -> None:
        content = self.buckets.files[key]
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        stop = min(int(last or len(content)), len(content) - 1)
        self._send(content[int(first) : stop + 1], 206 if "Range" in self.headers else 200, of=len(content))

    def _amazon(self, bucket: str, key: str, query: dict[str, str]) -> None:
        if bucket != "letters":
            self._refuse(404, "NoSuchBucket")
        elif query.get("list-type") == "2":
            keys, more = self.buckets.page(query["prefix"], query.get("continuation-token", ""))
            told = "".join(
                f"<Contents><Key>{escape(quote(one))}</Key><LastModified>{MODIFIED:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
                f'<ETag>"{self.buckets.stamp(one)}"</ETag><Size>{len(self.buckets.files[one])}</Size></Contents>'
                for one in keys
            )
            token = f"<NextContinuationToken>{escape(more)}</NextContinuationToken>" if more else ""
            truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated><EncodingType>url</EncodingType>"
            self._send(f"<ListBucketResult>{truncated}{token}{told}</ListBucketResult>".encode())
        elif key in self.buckets.denied or key not in self.buckets.files:
            self._refuse(*((403, "AccessDenied") if key in self.buckets.denied else (404, "NoSuchKey")))
        else:
            self._content(key)

    def _google(self, bucket: str, key: str, query: dict[str, str]) -> None:
        if bucket != "letters":
            self._send(b"{}", 404)
        elif not key:
            keys, more = self.buckets.page(query["prefix"], query["pageToken"])
            items = [
                {
                    "name": one,
                    "size": str(len(self.buckets.files[one])),
                    "updated": MODIFIED.isoformat().replace("+00:00", "Z"),
                    "generation": str(self.buckets.stamp(one)),
                }
                for one in keys
            ]
            self._send(json.dumps({"items": items} | ({"nextPageToken": more} if more else {})).encode())
        elif key in self.buckets.denied or key not in self.buckets.files:
            self._send(b"{}", 403 if key in self.buckets.denied else 404)
        else:
            self._content(key)

    def _content(self, key: str) -> None:
        self.buckets.asked.append(key)
        content = self.buckets.files[key]
        if self.buckets.broken.get(key, 0) > 0:
            self.buckets.broken[key] -= 1
            self._send(content[: len(content) // 2], claimed=len(content))
            self.close_connection = True
        else:
            self._send(content)

    def _refuse(self, status: int, code: str) -> None:
        self._send(f"<Error><Code>{code}</Code><Message>The server says {code}</Message></Error>".encode(), status)

    def _send(self, body: bytes, status: int = 200, claimed: int | None = None, of: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        if status == 206:
            self.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{of}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", formatdate(MODIFIED.timestamp(), usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may hang up: it has read enough."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving_buckets(files: dict[str, bytes]) -> Iterator[Buckets]:
    """Serve one bucket, `letters`, until the block ends."""
    buckets = Buckets(files)
    handler = type("Handler", (_Handler,), {"buckets": buckets})
    with _Server(("127.0.0.1", 0), handler) as server:
        buckets.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield buckets
        finally:
            server.shutdown()
            thread.join()
