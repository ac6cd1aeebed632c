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
from dataclasses import replace
from datetime import UTC, datetime
from os import environ
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.bounds import Lines, UnreadableBodyError
from batchrun.providers.anthropic.client import CONNECT_S, malformed
from batchrun.providers.anthropic.json_values import count_in, fields_in
from batchrun.providers.anthropic.retry_after import server_time
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.clouds import batch_files as files
from batchrun.providers.clouds.amazon import region_of, session_of
from batchrun.providers.clouds.aws_failures import aws_failure
from batchrun.providers.clouds.batch_files import Cloud, FiledBatch
from batchrun.reply import Cause, Failure

if TYPE_CHECKING:
    from batchrun.providers.anthropic.provider import SdkFactory

BEDROCK = Cloud(
    version="bedrock-2023-05-31",
    name="recordId",
    request="modelInput",
    message="modelOutput",
    completed="Completed",
    canceling="Stopping",
    failed="Failed",
    left={
        "Stopped": ResultType.CANCELED,
        "Expired": ResultType.EXPIRED,
        "PartiallyCompleted": ResultType.EXPIRED,
    },
)
PART = 256 * 1024
"""How many bytes of a file are read at once."""


class BedrockBatches:
    """One call is one request, but for the call that creates: that one may be repeated, and creates once."""

    def __init__(self, platform: "SdkFactory", section: ProviderSection, *, timeout_s: float) -> None:
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
        folder, uri = files.folder_of(self._section, body.nonce), ""
        with files.before_create():
            self._refuse_unusable(body)
        with tempfile.TemporaryFile() as spool:
            async for name in files.written(BEDROCK, body, spool, self._platform.translated):
                uri = f"{folder}/{name}"
                bucket, key = files.place_of(uri)
                spool.seek(0)
                with files.before_create():
                    await self._call("s3", "put_object", Bucket=bucket, Key=key, Body=spool)
        created = await self._created(
            jobName=f"{files.NAMED}{body.nonce}",
            clientRequestToken=body.nonce,
            roleArn=self._section.role,
            modelId=self._platform.model_id(body.model),
            inputDataConfig={"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": uri}},
            outputDataConfig={"s3OutputDataConfig": {"s3Uri": f"{folder}/"}},
        )
        # To ask for the job now could fail, and a failure would say that there is no job.
        submitted_at = datetime.fromtimestamp(server_time(_headers_of(created)) or time.time(), UTC)
        known = {"status": "Submitted", "totalRecordCount": body.requests, "submitTime": submitted_at}
        return batch_of({"jobName": f"{files.NAMED}{body.nonce}", **known, **created})

    def _refuse_unusable(self, body: BatchBody) -> None:
        fewest = capabilities_of(self._section).min_batch_requests
        if body.requests < fewest:
            words = f"a batch at Bedrock has at least {fewest} requests, and this one has {body.requests}"
            raise AttemptError(Failure(cause=Cause.STATUS, status=400, message=words))
        if self._section.role is None:
            words = "[provider] role is missing, which names the role by which Bedrock reads the bucket"
            raise AttemptError(Failure(cause=Cause.MISCONFIGURED, message=words))

    async def _created(self, **order: Any) -> dict[str, Any]:
        """Create a job, in two calls at most. The second one is believed if it says yes: a no is of that call alone."""
        try:
            return await self._call("bedrock", "create_model_invocation_job", **order)
        except AttemptError as error:
            if error.failure.maybe_billed or (error.failure.status or 0) >= 500:
                with suppress(AttemptError):
                    return await self._call("bedrock", "create_model_invocation_job", **order)
            raise

    async def retrieve(self, batch_id: str) -> FiledBatch:
        """Ask for one batch. Raises AttemptError."""
        asked = {"jobIdentifier": files.checked(batch_id)}
        return batch_of(await self._call("bedrock", "get_model_invocation_job", **asked))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:  # noqa: ARG002 - one list for all models
        """Ask for a page of the jobs of this program in the region, the newest first, after the given one.

        Only the page behind one that was asked for can be asked for. Raises AttemptError.
        """
        token = "" if after_id is None else self._next_tokens.get(after_id)
        batches, told = tuple[FiledBatch, ...](), dict[str, Any]()
        while not batches and token is not None:  # a page may be empty although there are more
            told = await self._call(
                "bedrock",
                "list_model_invocation_jobs",
                nameContains=files.NAMED,
                sortBy="CreationTime",
                sortOrder="Descending",
                maxResults=min(limit, 1000),
                **({"nextToken": token} if token else {}),
            )
            batches = tuple(batch_of(job) for job in told.get("invocationJobSummaries") or ())
            token = told.get("nextToken")
        if batches and token:
            self._next_tokens[batches[-1].batch_id] = token
        return BatchPage(batches, has_more=bool(batches and token), server_time=server_time(_headers_of(told)))

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated. Raises AttemptError."""
        try:
            await self._call("bedrock", "stop_model_invocation_job", jobIdentifier=files.checked(batch_id))
        except AttemptError as error:
            if error.failure.status != 409:  # the job has ended, or is being stopped already
                raise
        return await self.retrieve(batch_id)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, and what became of requests without one. Raises AttemptError."""
        told = await self.retrieve(batch.batch_id)
        output = f"{told.output_uri}/{told.batch_id}/{told.input_uri.rpartition('/')[2]}.out"
        async with aclosing(files.results_of(BEDROCK, told, [output], self._lines)) as results:
            async for result in results:
                yield result

    async def _lines(self, uri: str) -> AsyncGenerator[bytes, None]:
        bucket, key = files.place_of(uri)
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
            if failure := aws_failure(error):
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
    total, succeeded, errored = (count_in(job.get(f"{kind}RecordCount")) for kind in ("total", "success", "error"))
    source, target = (
        fields_in(fields_in(job.get(f"{side.lower()}DataConfig")).get(f"s3{side}DataConfig")).get("s3Uri")
        for side in ("Input", "Output")
    )
    return files.filed_batch(
        BEDROCK,
        job.get("jobArn"),
        job.get("status"),
        at=(_seconds(job.get("submitTime")), _seconds(job.get("endTime"))),
        counted=(total, succeeded, errored),
        uris=(source, target),
        nonce=str(job.get("jobName") or "").removeprefix(files.NAMED),
        why=replace(files.failure_of(str(job.get("message") or "")), status=400),
    )


def _seconds(value: Any) -> float | None:
    return value.timestamp() if isinstance(value, datetime) else None


def _headers_of(told: Mapping[str, Any]) -> dict[str, str]:
    return fields_in(fields_in(told.get("ResponseMetadata")).get("HTTPHeaders"))
