"""Checks our signatures at moto, which computes them anew: of Bedrock's InvokeModel, and of the files of its batches.

    python tests/benchmarks/judge_moto.py

JUDGE_MOTO is the program moto_server (pip install 'moto[server,s3]'). moto has no models and no jobs of Bedrock
(CreateModelInvocationJob): an accepted request to a model is answered with `{}`, which is no message. A request that is
signed with another secret is refused with 403.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import boto3
from _judge_servers import HERE, free_port, serving, wanted
from judge_jobs import Case, batchrun, project

from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.factories import factory_of
from batchrun.reply import Cause, Failure
from batchrun.request import Request

REGION = "eu-central-1"
UNSIGNED_CALLS = 3
"""How many calls moto takes unsigned: those that make the user."""
DOCUMENTS = 120
"""A batch at Bedrock has 100 requests at least."""
ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": '{"title": "A letter", "pages": 3, "kind": "letter"}'}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 200, "output_tokens": 20},
}
REQUEST = Request.of(
    {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "ü, a letter"}]}
)


def new_user(address: str) -> tuple[str, str]:
    """Make a user that may do everything; return the id and the secret of its key."""
    iam = boto3.client(
        "iam", endpoint_url=address, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    iam.create_user(UserName="judge")
    key = iam.create_access_key(UserName="judge")["AccessKey"]
    iam.put_user_policy(UserName="judge", PolicyName="all", PolicyDocument=ALL)
    return key["AccessKeyId"], key["SecretAccessKey"]


async def asked(address: str) -> Failure:
    """Send a request, which cannot succeed."""
    section = ProviderSection.model_validate({"type": "bedrock", "region": REGION, "base_url": address})
    provider = factory_of(section).make(concurrency=1, timeout_s=20)
    try:
        reply = await provider.send(REQUEST)
    except AttemptError as error:
        return error.failure
    finally:
        await provider.close()
    sys.exit(f"moto has no models, and yet there is a reply: {reply}")


class Jobs(BaseHTTPRequestHandler):
    """The jobs of Bedrock, which moto lacks: they read requests from moto's S3 and write answers there, at once."""

    s3: Any = None
    jobs: ClassVar[dict[str, dict[str, Any]]] = {}

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        arn = f"arn:aws:bedrock:{REGION}:123456789012:model-invocation-job/{len(self.jobs) + 1:012}"
        self.jobs[arn] = order | {"jobArn": arn, "status": "Completed", "submitTime": _now(), "endTime": _now()}
        bucket, _, key = order["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://").partition("/")
        asked = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
        lines = [json.dumps({**json.loads(line), "modelOutput": ANSWER}) for line in asked]
        self.jobs[arn] |= {"totalRecordCount": len(lines), "successRecordCount": len(lines), "errorRecordCount": 0}
        target = order["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix(f"s3://{bucket}/")
        out = f"{target}{arn.rpartition('/')[2]}/{key.rpartition('/')[2]}.out"
        self.s3.put_object(Bucket=bucket, Key=out, Body="\n".join(lines).encode())
        self._say({"jobArn": arn})

    def do_GET(self) -> None:
        _, _, rest = unquote(self.path).partition("/model-invocation-job")
        named = [job for arn, job in self.jobs.items() if rest.startswith("/") and arn.endswith(rest)]
        self._say(named[0] if named else {"invocationJobSummaries": [*self.jobs.values()]})

    def _say(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _now() -> str:
    return datetime.now(UTC).isoformat()


def batch_at_moto(address: str, key: str, secret: str) -> bool:
    """Run a job in a batch, whose files are moto's; return whether every document has a row."""
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    Jobs.s3 = boto3.client("s3", endpoint_url=address, region_name=REGION, **keys)
    Jobs.s3.create_bucket(Bucket="judge-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Jobs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = f'region = "{REGION}"\nbucket = "s3://judge-bucket/files"\nrole = "arn:aws:iam::123456789012:role/judge"'
    case = Case(server="", type="bedrock", path="", model="claude-sonnet-5-5", provider=provider, route="batch")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = project(folder, case, f"http://127.0.0.1:{server.server_port}", DOCUMENTS)
        own = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_ENDPOINT_URL_S3": address}
        code, said = batchrun(folder, "submit", str(job), "--progress", "lines", "--partial-answers", **own)
        _, listed = batchrun(folder, "results", "--format", "jsonl")
    rows = sum(line.startswith("{") for line in listed.splitlines())
    kept = [one["Key"] for one in Jobs.s3.list_objects_v2(Bucket="judge-bucket").get("Contents", ())]
    print(f"a batch of {DOCUMENTS} over S3: exit {code}, {rows} rows, {len(Jobs.jobs)} jobs, files {kept}")
    if code or rows != DOCUMENTS or secret in said:
        print("".join(f"     | {line}\n" for line in said.splitlines()[-20:]))
    return code == 0 and rows == DOCUMENTS and secret not in said


def main() -> None:
    if len(sys.argv) == 2:  # in a process of its own, because the SDK keeps credentials for as long as a process lasts
        failure = asyncio.run(asked(sys.argv[1]))
        print(failure.cause, failure.name, failure.message[:120])
        return
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [wanted("JUDGE_MOTO", "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    good = True
    with serving(command, address, "/moto-api/", INITIAL_NO_AUTH_ACTION_COUNT=str(UNSIGNED_CALLS)):
        key, secret = new_user(address)
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {"AWS_ACCESS_KEY_ID": key, "PYTHONPATH": str(HERE.parent.parent)}
        for words, said, cause in (("right", secret, Cause.MALFORMED), ("wrong", "x" * 40, Cause.STATUS)):
            own = [sys.executable, __file__, address]
            asking = subprocess.run(
                own, env={**env, "AWS_SECRET_ACCESS_KEY": said}, capture_output=True, text=True, check=False
            )
            good &= asking.stdout.startswith(cause) and said not in asking.stdout + asking.stderr
            print(f"signed with the {words} secret: {asking.stdout}{asking.stderr}", end="")
        good &= batch_at_moto(address, key, secret)
    sys.exit(not good)


if __name__ == "__main__":
    main()
