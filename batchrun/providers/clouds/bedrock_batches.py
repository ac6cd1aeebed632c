"""The batch jobs of Bedrock behind the port of batches: the files are in S3, and the calls are boto3's, in threads.

`clientRequestToken` makes the creation idempotent: a call with the nonce of a batch that exists creates nothing. So a
call without an answer is made once more, and either answer names the same job. A process that died has no requests to
call with any more, for they were on its spool; the name of the job has the nonce too, and the list finds the job.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from os import environ
from typing import IO, TYPE_CHECKING, Any

from botocore.config import Config

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import checked
from batchrun.providers.anthropic.bounds import Lines, UnreadableBodyError
from batchrun.providers.anthropic.client import CONNECT_S, malformed
from batchrun.providers.anthropic.json_values import count_in, fields_in, inner_value
from batchrun.providers.anthropic.retry_after import server_time
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.clouds import batch_files as files
from batchrun.providers.clouds.amazon import region_of, session_of
from batchrun.providers.clouds.aws_failures import aws_failure
from batchrun.providers.clouds.batch_files import Cloud, CloudBatch
from batchrun.reply import Cause, Failure

if TYPE_CHECKING:
    from batchrun.providers.anthropic.provider import SdkFactory

BEDROCK = Cloud(
    version="bedrock-2023-05-31",
    name="recordId",
    request="modelInput",
    message="modelOutput",
    canceling="Stopping",
    ends={
        "Completed": None,
        "Failed": ResultType.ERRORED,
        "Stopped": ResultType.CANCELED,
        "Expired": ResultType.EXPIRED,
        "PartiallyCompleted": ResultType.EXPIRED,
    },
    unbegun=frozenset({"Failed", "Expired"}),
)
MOST_LISTED = 1000


class BedrockBatches:
    """One call is one request, but for the call that creates: that one may be repeated, and creates once."""

    def __init__(self, platform: "SdkFactory", section: ProviderSection, *, timeout_s: float) -> None:
        self._platform = platform
        self._section = section
        self._timeout_s = timeout_s
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await asyncio.to_thread(client.close)

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Put the requests into the bucket, and create the job. Raises AttemptError, and OSError of the disk."""
        fewest, folder = capabilities_of(self._section).min_batch_requests, files.folder_of(self._section, body.nonce)
        if body.requests < fewest:  # some of its requests have gone elsewhere, and the rest is packed anew
            words = f"a batch at Bedrock has at least {fewest} requests, and this one has {body.requests}"
            raise AttemptError(Failure(cause=Cause.STATUS, status=429, message=words), before_create=True)
        uri = await files.uploaded(BEDROCK, body, folder, self._platform.translated, self._put)
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

    async def _created(self, **order: Any) -> dict[str, Any]:
        """Create a job, in two calls at most. The second one is believed if it says yes: a no is of that call alone."""
        try:
            return await self._call("bedrock", "create_model_invocation_job", **order)
        except AttemptError as error:
            if error.failure.maybe_billed or (error.failure.status or 0) >= 500:
                with suppress(AttemptError):
                    return await self._call("bedrock", "create_model_invocation_job", **order)
            raise

    async def retrieve(self, batch_id: str) -> CloudBatch:
        """Ask for one batch. Raises AttemptError."""
        asked = {"jobIdentifier": checked(batch_id)}
        return batch_of(await self._call("bedrock", "get_model_invocation_job", **asked))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:  # noqa: ARG002 - one list for all models
        """Ask for all recent jobs of this program in the region, the newest first, on one page. Raises AttemptError."""
        client = await self._in_thread(self._client, "bedrock")
        answers = client.get_paginator("list_model_invocation_jobs").paginate(
            nameContains=files.NAMED,
            submitTimeAfter=datetime.fromtimestamp(time.time() - files.LISTED_S, UTC),
            sortBy="CreationTime",
            sortOrder="Descending",
            PaginationConfig={"PageSize": MOST_LISTED},
        )
        told = await self._in_thread(list, islice(answers, files.MOST_PAGES + 1))
        if len(told) > files.MOST_PAGES:
            raise malformed("the list of jobs has no end", None)
        batches = tuple(batch_of(job) for answer in told for job in answer.get("invocationJobSummaries", ()))
        return BatchPage(batches, has_more=False, server_time=server_time(_headers_of(told[0])))

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated. Raises AttemptError."""
        try:
            await self._call("bedrock", "stop_model_invocation_job", jobIdentifier=checked(batch_id))
        except AttemptError as error:
            if error.failure.status != 409:  # the job has ended, or is being stopped already
                raise
        return await self.retrieve(batch_id)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, and what became of requests without one. Raises AttemptError."""
        told = await self.retrieve(batch.batch_id)
        output = f"{told.output_folder}/{told.batch_id}/{str(told.input_file).rpartition('/')[2]}.out"
        async with aclosing(files.results_of(BEDROCK, told, [output], self._lines)) as results:
            async for result in results:
                yield result

    async def _put(self, uri: str, spool: IO[bytes], _: int) -> None:
        bucket, key = files.place_of(uri)
        await self._call("s3", "put_object", Bucket=bucket, Key=key, Body=spool)

    async def _lines(self, uri: str) -> AsyncGenerator[bytes, None]:
        bucket, key = files.place_of(uri)
        stream = (await self._call("s3", "get_object", Bucket=bucket, Key=key))["Body"]
        lines = Lines()
        try:
            while piece := await self._in_thread(stream.read, files.PART):
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


def batch_of(job: Mapping[str, Any]) -> CloudBatch:
    """Read a job. Raises AttemptError when the value is no job."""
    output_uri, why = inner_value(job, "outputDataConfig", "s3OutputDataConfig", "s3Uri"), job.get("message")
    return CloudBatch(
        **files.standing(
            BEDROCK,
            name=job.get("jobArn"),
            state=job.get("status"),
            created_at=_seconds(job.get("submitTime")),
            total=count_in(job.get("totalRecordCount")),
            succeeded=count_in(job.get("successRecordCount")),
            errored=count_in(job.get("errorRecordCount")),
        ),
        ended_at=_seconds(job.get("endTime")),
        nonce=str(job.get("jobName") or "").removeprefix(files.NAMED),
        input_file=str(inner_value(job, "inputDataConfig", "s3InputDataConfig", "s3Uri") or ""),
        output_folder=str(output_uri or "").rstrip("/"),
        why=replace(files.failure_of(why), status=400) if why else None,
    )


def _seconds(value: Any) -> float | None:
    return value.timestamp() if isinstance(value, datetime) else None


def _headers_of(told: Mapping[str, Any]) -> dict[str, str]:
    return fields_in(inner_value(told, "ResponseMetadata", "HTTPHeaders"))
