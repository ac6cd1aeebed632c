"""Bedrock's batch jobs over S3, and Vertex AI's over Cloud Storage, on one port of loopback, with books and faults."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

INPUT_TOKENS, OUTPUT_TOKENS = 20, 10
SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=\w+/\d{8}/[\w-]+/(s3|bedrock)/aws4_request, SignedHeaders=.+")
TOKEN = "ya29.stand-in-of-the-token"
TEXT = '{"title": "a title"}'
REFUSALS = {"429": "ThrottlingException", "403": "AccessDeniedException", "quota": "ServiceQuotaExceededException"}
Record = dict[str, Any]


def answered(record: Record) -> Record:
    """The message that answers a request: a call if there is a tool, else the JSON as a text."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": json.loads(TEXT)}
    tools = "tools" in record
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [call if tools else {"type": "text", "text": TEXT}],
        "stop_reason": "tool_use" if tools else "end_turn",
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }


@dataclass
class Job:
    """A job of either cloud."""

    number: int
    cloud: str
    order: Record
    created_at: float
    ends_at: float
    status: str = ""
    """How the job ended, in the words of its cloud; empty until then."""
    message: str = ""
    succeeded: list[str] = field(default_factory=list)
    """The names of the requests that were answered, and are billed."""
    errored: int = 0
    total: int = 0

    @property
    def id(self) -> str:
        return f"{self.number:012}"

    @property
    def name(self) -> str:
        return str(self.order.get("jobName") or self.order["displayName"])


@dataclass
class Clouds:
    """The state of both, and what they do next."""

    takes_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    """What becomes of the next calls that create: `ok`, `lost`, `never`, `500`, `429`, `403`, `quota`."""
    fates: dict[str, str] = field(default_factory=dict)
    """How requests end, by a word in them: `error`, `left`; others are answered."""
    ends: list[str] = field(default_factory=list)
    """How the next jobs end; otherwise they complete."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the next downloads break."""
    page: int = 1000
    objects: dict[str, bytes] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    unsigned: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin_anew(self) -> None:
        """Forget everything."""
        with self.lock:
            for one in fields(self):
                if one.default_factory is not MISSING and one.name != "lock":
                    setattr(self, one.name, one.default_factory())
            self.takes_s, self.page, self.unsigned = 0.0, 1000, 0

    def created(self, cloud: str, order: Record) -> Job:
        """Create a job; with the token of a job that there is, that job."""
        token = order.get("clientRequestToken")
        for job in self.jobs:
            if token and job.order.get("clientRequestToken") == token:
                return job
        now = time.time()
        job = Job(len(self.jobs) + 1, cloud, order, now, now + self.takes_s)
        job.total = len(self.asked(job))
        self.jobs.append(job)
        return job

    def asked(self, job: Job) -> list[Record]:
        config = job.order["inputConfig" if job.cloud == "vertex" else "inputDataConfig"]
        uri = config["gcsSource"]["uris"][0] if job.cloud == "vertex" else config["s3InputDataConfig"]["s3Uri"]
        return [json.loads(line) for line in self.objects[uri.partition("://")[2]].splitlines()]

    def settle(self, job: Job) -> Job:
        """Bring a job to its end, if it is time."""
        if job.status or time.time() < job.ends_at:
            return job
        vertex = job.cloud == "vertex"
        usual = "JOB_STATE_SUCCEEDED" if vertex else "Completed"
        status, _, job.message = (self.ends.pop(0) if self.ends else usual).partition(": ")
        lines = []
        for record in [] if "ailed" in status.lower() else self.asked(job):
            name, request = (
                (record["custom_id"], record["request"]) if vertex else (record["recordId"], record["modelInput"])
            )
            fate = next((fate for word, fate in self.fates.items() if word in json.dumps(request)), "")
            if fate == "left":
                continue
            if fate == "error":
                job.errored += 1
                error = {"errorCode": 400, "errorMessage": "prompt is too long"}
                lines.append(record | ({"status": "prompt is too long"} if vertex else {"error": error}))
            else:
                job.succeeded.append(name)
                lines.append(record | {"response" if vertex else "modelOutput": answered(request)})
        self.objects[self.output(job)] = "".join(json.dumps(line) + "\n" for line in lines).encode()
        if not lines:
            del self.objects[self.output(job)]
        job.status = status
        return job

    def output(self, job: Job) -> str:
        if job.cloud == "vertex":
            folder = job.order["outputConfig"]["gcsDestination"]["outputUriPrefix"].partition("://")[2]
            return f"{folder}/prediction-claude-2026/predictions.jsonl"
        config = job.order["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].partition("://")[2]
        name = job.order["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].rpartition("/")[2]
        return f"{config}{job.id}/{name}.out"

    def told(self, job: Job) -> Record:
        """A job as its cloud tells it."""
        self.settle(job)
        created, ended = (datetime.fromtimestamp(at, UTC).isoformat() for at in (job.created_at, job.ends_at))
        if job.cloud == "vertex":
            stats = {"successfulCount": str(len(job.succeeded)), "failedCount": str(job.errored)}
            state = job.status or "JOB_STATE_RUNNING"
            known = {"name": f"projects/p/locations/l/batchPredictionJobs/{job.id}", "state": state}
            more = {"endTime": ended, "completionStats": stats} if job.status else {}
            error = {"error": {"code": 3, "message": job.message}} if job.message else {}
            return job.order | known | {"createTime": created} | more | error
        known = {
            "jobArn": f"arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/{job.id}",
            "status": job.status or "InProgress",
            "submitTime": created,
            "totalRecordCount": job.total,
        }
        more = {"successRecordCount": len(job.succeeded), "errorRecordCount": job.errored, "endTime": ended}
        return job.order | known | (more if job.status else {}) | ({"message": job.message} if job.message else {})


class Handler(BaseHTTPRequestHandler):
    """Speaks for both clouds."""

    protocol_version = "HTTP/1.1"
    clouds: Clouds

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        self.take()

    def do_POST(self) -> None:
        self.take()

    def do_PUT(self) -> None:
        self.take()

    def take(self) -> None:
        body, url = self.body(), urlsplit(self.path)
        path, query = url.path, {name: one[0] for name, one in parse_qs(url.query).items()}
        with self.clouds.lock:
            if path == "/token":
                self.say({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
                return
            told = self.headers.get("authorization", "")
            is_google = "/storage/v1/" in path or "batchPredictionJobs" in path
            if not (told == f"Bearer {TOKEN}" if is_google else SIGNED.fullmatch(told)):
                self.clouds.unsigned += 1
                self.say({"message": "who are you?"}, 403)
                return
            if "/storage/v1/" in path:
                self.storage(path, query, body)
            elif "batchPredictionJobs" in path or path.startswith("/model-invocation-job"):
                self.job(path, query, body)
            else:
                self.s3(unquote(path.removeprefix("/")), body)

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def s3(self, key: str, body: bytes) -> None:
        self.clouds.calls[f"s3 {self.command}"] += 1
        if self.command == "PUT":
            self.clouds.objects[key] = body
            self.send(b"")
        elif key in self.clouds.objects:
            self.download(self.clouds.objects[key])
        else:
            self.send(b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", 404)

    def storage(self, path: str, query: dict[str, str], body: bytes) -> None:
        self.clouds.calls[f"gcs {self.command}"] += 1
        bucket, _, name = path.partition("/b/")[2].partition("/o")
        key = f"{bucket}/{query.get('name') or unquote(name.removeprefix('/'))}"
        if self.command == "POST":
            self.clouds.objects[key] = body
            self.say({"name": query["name"]})
        elif "prefix" in query:
            names = [one.partition("/")[2] for one in self.clouds.objects if one.startswith(f"{bucket}/")]
            self.say({"items": [{"name": one} for one in names if one.startswith(query["prefix"])]})
        elif key in self.clouds.objects:
            self.download(self.clouds.objects[key])
        else:
            self.say({"error": {"code": 404, "message": "no such object", "status": "NOT_FOUND"}}, 404)

    def job(self, path: str, query: dict[str, str], body: bytes) -> None:
        cloud = "vertex" if "batchPredictionJobs" in path else "bedrock"
        last = path.rpartition("/")[2]
        number, _, verb = last.partition(":")
        if path.endswith("/stop"):
            number, verb = path.split("/")[-2], "stop"
        is_new = self.command == "POST" and not verb
        what = "create" if is_new else verb or ("one" if last.isdigit() else "list")
        self.clouds.calls[f"{cloud} {what}"] += 1
        if is_new:
            self.create(cloud, json.loads(body))
        elif what == "list":
            self.list(cloud, query)
        elif not (number.isdigit() and 0 < int(number) <= len(self.clouds.jobs)):
            self.refuse(404, "ResourceNotFoundException", "no such job")
        else:
            job = self.clouds.jobs[int(number) - 1]
            if verb and self.clouds.settle(job).status:
                self.refuse(400, "ConflictException", "the job has ended")
            elif verb:
                self.clouds.ends.insert(0, "JOB_STATE_CANCELLED" if cloud == "vertex" else "Stopped")
                job.ends_at = time.time()
                self.say({})
            else:
                self.say(self.clouds.told(job))

    def create(self, cloud: str, order: Record) -> None:
        fault = self.clouds.faults.pop(0) if self.clouds.faults else "ok"
        assert "anthropic_version" not in order
        if fault == "never":
            self.drop()
        elif fault in REFUSALS:
            status = {"quota": 400 if cloud == "bedrock" else 429}.get(fault) or int(fault)
            self.refuse(status, REFUSALS[fault], "not now")
        else:
            job = self.clouds.created(cloud, order)
            if fault == "lost":
                self.drop()
            elif fault == "500":
                self.refuse(500, "InternalServerException", "internal error")
            else:
                self.say({"jobArn": self.clouds.told(job)["jobArn"]} if cloud == "bedrock" else self.clouds.told(job))

    def list(self, cloud: str, query: dict[str, str]) -> None:
        jobs = [job for job in reversed(self.clouds.jobs) if job.cloud == cloud]
        if cloud == "bedrock":
            assert (query["sortBy"], query["sortOrder"]) == ("CreationTime", "Descending")
        token = int(query.get("nextToken") or query.get("pageToken") or 0)
        size = min(self.clouds.page, int(query.get("maxResults") or query.get("pageSize") or 100))
        wanted = query.get("nameContains", "")  # a page has as many jobs as were looked at, or fewer
        told = [self.clouds.told(job) for job in jobs[token : token + size] if wanted in job.name]
        more = str(token + size) if token + size < len(jobs) else ""
        if cloud == "bedrock":
            self.say({"invocationJobSummaries": told} | ({"nextToken": more} if more else {}))
        else:
            told.reverse()  # no order is promised
            self.say({"batchPredictionJobs": told} | ({"nextPageToken": more} if more else {}))

    def download(self, data: bytes) -> None:
        cut = self.clouds.cuts.pop(0) if self.clouds.cuts else None
        self.send(data, cut=cut)

    def refuse(self, status: int, code: str, words: str) -> None:
        rpc = {403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 400: "FAILED_PRECONDITION"}
        google = {"error": {"code": status, "message": words, "status": rpc.get(status, "INTERNAL")}}
        self.say(google if "batchPredictionJobs" in self.path else {"message": words}, status, code)

    def say(self, told: Record, status: int = 200, error: str = "") -> None:
        self.send(json.dumps(told).encode(), status, error)

    def send(self, data: bytes, status: int = 200, error: str = "", cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.send_header("content-type", "application/json" if data[:1] == b"{" else "application/xml")
        if error:
            self.send_header("x-amzn-errortype", error)
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        self.close_connection = cut is not None

    def drop(self) -> None:
        self.close_connection = True


class Server(ThreadingHTTPServer):
    """Leaves no thread behind that anybody waits for."""

    daemon_threads = True


def started(clouds: Clouds) -> tuple[Server, str]:
    """Start a server in a thread; return its address too."""
    server = Server(("127.0.0.1", 0), type("CloudHandler", (Handler,), {"clouds": clouds}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


@contextmanager
def serving(clouds: Clouds) -> Iterator[str]:
    """Serve for as long as the block lasts."""
    server, address = started(clouds)
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()


def google_account(address: str) -> str:
    """The file of a service account whose tokens the stand-in gives out."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps({
        "type": "service_account", "project_id": "p", "client_email": "a@p.iam.gserviceaccount.com",
        "private_key_id": "1", "private_key": key.decode(), "token_uri": f"{address}/token",
    })  # fmt: skip


AWS = {
    "AWS_ACCESS_KEY_ID": "AKIDSTANDIN",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-stand-in",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
