"""The batch prediction jobs of Vertex AI behind the port of batches: the files are in Cloud Storage, by its JSON API.

The creation is not idempotent. A label carries the nonce, so that the list finds the job of a call without an answer.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, urljoin

import anthropic
import httpx2

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import checked
from batchrun.providers.anthropic.batches import SLOWEST_UPLOAD
from batchrun.providers.anthropic.client import ApiClient, answered_within, malformed, timeout_for
from batchrun.providers.anthropic.downloads import lines_of
from batchrun.providers.anthropic.json_values import count_in, decoded, fields_in, inner_value, seconds_in, word_in
from batchrun.providers.anthropic.retry_after import server_time
from batchrun.providers.clouds import batch_files as files
from batchrun.providers.clouds.batch_files import Cloud, CloudBatch

if TYPE_CHECKING:
    from batchrun.providers.anthropic.provider import SdkFactory

VERTEX = Cloud(
    version="vertex-2023-10-16",
    name="custom_id",
    request="request",
    message="response",
    canceling="JOB_STATE_CANCELLING",
    ends={
        "JOB_STATE_SUCCEEDED": None,
        "JOB_STATE_FAILED": ResultType.ERRORED,
        "JOB_STATE_CANCELLED": ResultType.CANCELED,
        "JOB_STATE_EXPIRED": ResultType.EXPIRED,
        "JOB_STATE_PARTIALLY_SUCCEEDED": ResultType.ERRORED,
    },
    unbegun=frozenset({"JOB_STATE_FAILED"}),
)
STORAGE = "https://storage.googleapis.com"
NONCE, REQUESTS = "batchrun_nonce", "batchrun_requests"
"""The labels of our jobs. A hyphen would have to be quoted in the filter of a list."""
MOST_LISTED = 100


class VertexBatches(ApiClient):
    """One call is one request: nothing is sent twice."""

    def __init__(self, platform: "SdkFactory", section: ProviderSection, *, timeout_s: float) -> None:
        super().__init__(platform, timeout_s=timeout_s)
        self._section = section
        sdk: Any = self._client
        self._jobs = f"/projects/{sdk.project_id}/locations/{sdk.region}/batchPredictionJobs"
        self._storage = urljoin(section.base_url or STORAGE, "/").rstrip("/")

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Put the requests into the bucket, and create the job. Raises AttemptError, and OSError of the disk.

        A project may have four jobs at once. The call for one more is refused with a status 429, and may be made later.
        """
        folder = files.folder_of(self._section, body.nonce)
        uri = await files.uploaded(VERTEX, body, folder, self._platform.translated, self._put)
        order = {
            "displayName": f"{files.NAMED}{body.nonce}",
            "model": f"publishers/anthropic/models/{self._platform.model_id(body.model)}",
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}},
            "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": f"{folder}/results"}},
            "labels": {NONCE: body.nonce, REQUESTS: str(body.requests)},
        }
        return batch_of(await self._post_json(self._jobs, order))

    async def retrieve(self, batch_id: str) -> CloudBatch:
        """Ask for one batch. Raises AttemptError."""
        return batch_of(_read(await self._get(f"{self._jobs}/{checked(batch_id)}")))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:  # noqa: ARG002 - one page for all models
        """Ask for all recent jobs of this program in the project and the region, the newest first, on one page.

        The API promises no order, and a page in another order could end before the job that is looked for. Raises
        AttemptError.
        """
        since = datetime.fromtimestamp(time.time() - files.LISTED_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked: dict[str, object] = {"filter": f'labels.{NONCE}:* AND createTime>"{since}"', "pageSize": MOST_LISTED}
        batches, answered_at = list[RemoteBatch](), None
        for _ in range(files.MOST_PAGES):
            answer = await self._get(self._jobs, asked)
            told, answered_at = _read(answer), answered_at or server_time(answer.headers)
            batches += [batch_of(job) for job in _listed(told, "batchPredictionJobs")]
            asked["pageToken"] = told.get("nextPageToken")
            if not asked["pageToken"]:
                batches.sort(key=lambda batch: batch.created_at, reverse=True)
                return BatchPage(tuple(batches), has_more=False, server_time=answered_at)
        raise malformed("the list of jobs has no end", None)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated. Raises AttemptError."""
        try:
            await self._post_json(f"{self._jobs}/{checked(batch_id)}:cancel", {})
        except AttemptError as error:
            if error.failure.status != 400:  # the job has ended already
                raise
        return await self.retrieve(batch_id)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, and what became of requests without one. Raises AttemptError."""
        told = await self.retrieve(batch.batch_id)
        outputs = await self._files_in(told.output_folder)
        async with aclosing(files.results_of(VERTEX, told, outputs, self._lines)) as results:
            async for result in results:
                yield result

    async def _files_in(self, folder: str) -> list[str]:
        """List the files with results. A job writes into a folder of its own, whose name nobody knows before."""
        bucket, prefix = files.place_of(folder)
        found, asked = list[str](), {"prefix": f"{prefix}/", "maxResults": 1000}
        told = _read(await self._get(f"{self._storage}/storage/v1/b/{_quoted(bucket)}/o", dict(asked)))
        for file in _listed(told, "items"):
            name = fields_in(file).get("name")
            if isinstance(name, str) and name.endswith(".jsonl"):
                found.append(f"gs://{bucket}/{name}")
        return found

    def _lines(self, uri: str) -> AsyncGenerator[bytes, None]:
        bucket, key = files.place_of(uri)
        url = f"{self._storage}/storage/v1/b/{_quoted(bucket)}/o/{_quoted(key)}?alt=media"
        return lines_of(
            lambda: self._client.get(url, cast_to=object, stream=True, stream_cls=anthropic.AsyncStream[object]),
            self._timeout_s,
        )

    async def _put(self, uri: str, spool: IO[bytes], size: int) -> None:
        bucket, key = files.place_of(uri)
        url = f"{self._storage}/upload/storage/v1/b/{_quoted(bucket)}/o?uploadType=media&name={_quoted(key)}"
        within_s = self._timeout_s + size / SLOWEST_UPLOAD
        headers = {"content-type": "application/jsonl", "content-length": str(size)}
        async with answered_within(within_s):
            await self._client.post(
                url,
                content=_Parts(spool),
                cast_to=httpx2.Response,
                options={"headers": headers, "timeout": timeout_for(within_s)},
            )

    async def _post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON as bytes: the SDK adds a key of the Messages API to every body that the SDK sees."""
        headers = {"content-type": "application/json"}
        async with answered_within(self._timeout_s):
            answer = await self._client.post(
                path, content=json.dumps(body).encode(), cast_to=httpx2.Response, options={"headers": headers}
            )
        return _read(answer)


def batch_of(job: Any) -> CloudBatch:
    """Read a job. Raises AttemptError when the value is no job."""
    fields = fields_in(job)
    sources = inner_value(job, "inputConfig", "gcsSource", "uris")
    return CloudBatch(
        **files.standing(
            VERTEX,
            name=fields.get("name"),
            state=fields.get("state"),
            created_at=seconds_in(fields.get("createTime")),
            total=_number(inner_value(job, "labels", REQUESTS)),
            succeeded=_number(inner_value(job, "completionStats", "successfulCount")),
            errored=_number(inner_value(job, "completionStats", "failedCount")),
        ),
        ended_at=seconds_in(fields.get("endTime")),
        nonce=word_in(inner_value(job, "labels", NONCE)),
        input_file=str(sources[0]) if isinstance(sources, list) and sources else None,
        output_folder=str(inner_value(job, "outputConfig", "gcsDestination", "outputUriPrefix") or ""),
        why=files.failure_of(fields.get("error")) if fields.get("state") == "JOB_STATE_FAILED" else None,
    )


def _read(answer: httpx2.Response) -> dict[str, Any]:
    """Read an answer. A job that failed has its error in it, and is no error of the call."""
    try:
        return fields_in(decoded(answer.content))
    except (ValueError, RecursionError) as error:
        raise malformed("the answer is not JSON", None) from error


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _listed(told: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list, which Google leaves out where it is empty. Raises AttemptError for anything else."""
    found = told.get(key, [])
    if not isinstance(found, list):
        raise malformed("the answer is no list", None)
    return found


def _number(value: Any) -> int | None:
    """Read a count. Google writes long numbers as texts."""
    return count_in(int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value, re.ASCII) else value)


class _Parts:
    """The parts of a file. The SDK copies whatever it sends, and this cannot be copied."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool

    def __deepcopy__(self, _: Any) -> Self:
        return self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._spool.seek, 0)
        while part := await asyncio.to_thread(self._spool.read, files.PART):
            yield part
