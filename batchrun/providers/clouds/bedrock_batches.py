"""The batch jobs of Bedrock behind the port of batches: the files are in S3, and the calls are boto3's, in threads.

`clientRequestToken` makes the creation idempotent: a call with the nonce of a batch that exists creates nothing. So a
call without an answer is made once more, and either answer names the same job. A process that died has no requests to
call with any more, for they were on its spool; the name of the job has the nonce too, and the list finds the job.
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from os import environ
from typing import Any

from botocore.config import Config

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import PLAIN_ID
from batchrun.providers.anthropic.bounds import Lines, UnreadableBodyError
from batchrun.providers.anthropic.client import CONNECT_S, LONGEST_MESSAGE, malformed, not_found
from batchrun.providers.anthropic.json_values import count_in, fields_in, word_in
from batchrun.providers.anthropic.platform import Platform
from batchrun.providers.anthropic.retry_after import server_time
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.clouds.amazon import region_of, session_of
from batchrun.providers.clouds.aws_failures import aws_failure, misconfigured
from batchrun.providers.clouds.batch_files import (
    NAMED,
    FiledBatch,
    FileForm,
    before_create,
    counts_of,
    folder_of,
    nonce_in,
    place_of,
    results_of,
    written,
)
from batchrun.reply import Cause, Failure

FORM = FileForm("bedrock-2023-05-31", "recordId", "modelInput", "modelOutput")
PART = 256 * 1024
"""How many bytes of a file are read at once."""
MOST_LISTED = 1000
FAILED = "Failed"
LEFT = {
    "Stopped": ResultType.CANCELED,
    "Expired": ResultType.EXPIRED,
    "PartiallyCompleted": ResultType.EXPIRED,
    FAILED: ResultType.ERRORED,
}
"""What the requests are that a job with this status left unprocessed."""


class BedrockBatches:
    """One call is one request, but for the call that creates: that one may be repeated, and creates once."""

    def __init__(self, platform: Platform, section: ProviderSection, *, timeout_s: float) -> None:
        self._platform = platform
        self._section = section
        self._timeout_s = timeout_s
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._next_tokens: dict[str, str] = {}
        """What asks for the page of the list behind a batch, by the id of the batch."""

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await asyncio.to_thread(client.close)

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Put the requests into the bucket, and create the job. Raises AttemptError, and OSError of the disk."""
        with before_create():
            self._refuse_unusable(body)
        folder, uri = folder_of(self._section, body.nonce), ""
        with tempfile.TemporaryFile() as spool:
            async for name in written(body, spool, FORM, self._platform.translated):
                uri = f"{folder}/{name}"
                bucket, key = place_of(uri)
                spool.seek(0)
                with before_create():
                    await self._call("s3", "put_object", Bucket=bucket, Key=key, Body=spool)
        created = await self._created(
            jobName=f"{NAMED}{body.nonce}",
            clientRequestToken=body.nonce,
            roleArn=self._section.role,
            modelId=self._platform.model_id(body.model),
            inputDataConfig={"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": uri}},
            outputDataConfig={"s3OutputDataConfig": {"s3Uri": f"{folder}/"}},
        )
        return RemoteBatch(
            batch_id=_id_in(created),
            status="in_progress",
            counts={"processing": body.requests},
            created_at=server_time(_headers_of(created)) or time.time(),
            nonce=body.nonce,
        )

    async def _created(self, **order: Any) -> dict[str, Any]:
        """Create a job. What the second call says is believed only if it is a yes: a no is of that call alone."""
        try:
            return await self._call("bedrock", "create_model_invocation_job", **order)
        except AttemptError as error:
            if not error.failure.maybe_billed and (error.failure.status or 0) < 500:
                raise
            with suppress(AttemptError):
                return await self._call("bedrock", "create_model_invocation_job", **order)
            raise

    def _refuse_unusable(self, body: BatchBody) -> None:
        if self._section.role is None:
            raise AttemptError(misconfigured("[provider] role is missing: by this role Bedrock reads the bucket"))
        fewest = capabilities_of(self._section).min_batch_requests
        if body.requests < fewest:
            words = f"a batch at Bedrock has at least {fewest} requests, and this one has {body.requests}"
            raise AttemptError(Failure(cause=Cause.STATUS, status=400, message=words))

    async def retrieve(self, batch_id: str) -> FiledBatch:
        """Ask for one batch. Raises AttemptError."""
        return batch_of(await self._call("bedrock", "get_model_invocation_job", jobIdentifier=_checked(batch_id)))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:  # noqa: ARG002 - one list for all models
        """Ask for a page of the jobs of this program in the region, the newest first, after the given one.

        Only the page behind one that was asked for can be asked for. Raises AttemptError.
        """
        after = {} if after_id is None else {"nextToken": self._next_tokens.get(after_id, "")}
        told = await self._call(
            "bedrock",
            "list_model_invocation_jobs",
            nameContains=NAMED,
            sortBy="CreationTime",
            sortOrder="Descending",
            maxResults=min(limit, MOST_LISTED),
            **after,
        )
        batches = tuple(batch_of(job) for job in told.get("invocationJobSummaries") or ())
        token = told.get("nextToken")
        if batches and token:
            self._next_tokens[batches[-1].batch_id] = token
        return BatchPage(batches, has_more=bool(batches and token), server_time=server_time(_headers_of(told)))

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated. Raises AttemptError."""
        try:
            await self._call("bedrock", "stop_model_invocation_job", jobIdentifier=_checked(batch_id))
        except AttemptError as error:
            if error.failure.status != 409:  # the job has ended, or is being stopped already
                raise
        return await self.retrieve(batch_id)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, and what became of requests without one. Raises AttemptError."""
        told = await self.retrieve(batch.batch_id)
        name = told.input_uri.rpartition("/")[2]
        output = f"{told.output_uri.rstrip('/')}/{told.batch_id}/{name}.out"
        async with aclosing(results_of(told, FORM, [output], self._lines)) as results:
            async for result in results:
                yield result

    async def _lines(self, uri: str) -> AsyncGenerator[bytes, None]:
        bucket, key = place_of(uri)
        stream = (await self._call("s3", "get_object", Bucket=bucket, Key=key))["Body"]
        lines = Lines()
        try:
            while piece := await self._in_thread(stream.read, PART):
                for line in lines.whole(piece):
                    yield line
        except UnreadableBodyError as error:
            raise malformed(str(error), None) from error
        finally:
            await asyncio.to_thread(stream.close)
        for line in lines.rest():
            yield line

    async def _call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        client = await self._in_thread(self._client, service)
        return fields_in(await self._in_thread(getattr(client, operation), **arguments))

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return await asyncio.to_thread(call, *arguments, **named)
        except Exception as error:
            if failure := aws_failure(error, timeout_s=self._timeout_s):
                raise AttemptError(failure) from error
            raise

    def _client(self, service: str) -> Any:
        """Make the client of a service, once. An address in the environment is the service's own, and goes first."""
        with self._lock:
            if service not in self._clients:
                own = {f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"} & environ.keys()
                address = None if own else self._section.base_url
                config = Config(
                    connect_timeout=min(self._timeout_s, CONNECT_S),
                    read_timeout=self._timeout_s,
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    s3={"addressing_style": "path" if own or address else "auto"},
                    # Servers that imitate S3 know no checksum behind a body.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                self._clients[service] = session_of(self._section).client(
                    service, region_name=region_of(self._section), endpoint_url=address, config=config
                )
            return self._clients[service]


def batch_of(job: Mapping[str, Any]) -> FiledBatch:
    """Read a job. Raises AttemptError when the value is no job."""
    batch_id, status, created_at = _id_in(job), word_in(job.get("status")), _seconds(job, "submitTime")
    if status is None or created_at is None:
        raise malformed(f"the answer is no job: {batch_id} has no status or no date", None)
    left, ended = LEFT.get(status), status == "Completed" or status in LEFT
    total, succeeded, errored = (count_in(job.get(f"{name}RecordCount")) for name in ("total", "success", "error"))
    words = escape_control(str(job.get("message") or "no reason is told")[:LONGEST_MESSAGE])
    return FiledBatch(
        batch_id=batch_id,
        status="ended" if ended else "canceling" if status == "Stopping" else "in_progress",
        counts=counts_of(total, succeeded, errored, ended=ended, left=left),
        created_at=created_at,
        expires_at=_seconds(job, "jobExpirationTime"),
        ended_at=_seconds(job, "endTime") if ended else None,
        nonce=nonce_in(job.get("jobName")),
        input_uri=_uri_in(job, "input"),
        output_uri=_uri_in(job, "output"),
        completed=0 if succeeded is None and status == FAILED else succeeded,
        left=left,
        why=Failure(cause=Cause.STATUS, status=400, message=f"the job failed: {words}") if status == FAILED else None,
    )


def _id_in(told: Mapping[str, Any]) -> str:
    """Return the last part of the job's ARN, by which the job can be asked for. Raises AttemptError without one."""
    batch_id = str(told.get("jobArn") or "").rpartition("/")[2]
    if not PLAIN_ID.fullmatch(batch_id):
        raise malformed("the answer is no job: it has no ARN", None)
    return batch_id


def _checked(batch_id: str) -> str:
    if not PLAIN_ID.fullmatch(batch_id):
        raise not_found(f"no batch has the id {escape_control(batch_id)[:100]}")
    return batch_id


def _seconds(job: Mapping[str, Any], name: str) -> float | None:
    moment = job.get(name)
    return moment.timestamp() if isinstance(moment, datetime) else None


def _uri_in(job: Mapping[str, Any], side: str) -> str:
    config = fields_in(fields_in(job.get(f"{side}DataConfig")).get(f"s3{side.title()}DataConfig"))
    return str(config.get("s3Uri") or "")


def _headers_of(told: Mapping[str, Any]) -> dict[str, str]:
    return fields_in(fields_in(told.get("ResponseMetadata")).get("HTTPHeaders"))
