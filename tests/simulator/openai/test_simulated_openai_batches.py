"""Batches and files of the simulator in the OpenAI dialect, as the real SDK sees them."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from test_simulated_chat import ASK, simulated

from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.openai.batches import written

AT_ONCE = ServiceTerms(median_s=0.0, per_request_s=0.0)
SLOW = ServiceTerms(median_s=1_000_000.0, per_request_s=0.0, spread=0.0)
MINUTES = ServiceTerms(median_s=120.0, per_request_s=0.0, spread=0.0)
CHAT = "/v1/chat/completions"


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {"custom_id": f"n-{number}", "method": "POST", "url": CHAT, "body": ASK} | changes


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


async def created(client: AsyncOpenAI, data: bytes, **more: Any) -> Any:
    file = await client.files.create(file=("in.jsonl", data), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", **({"metadata": {"nonce": "abc"}} | more)
    )


async def lines_of(client: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id
    return [json.loads(one) for one in (await client.files.content(file_id)).text.splitlines()]


def test_a_batch_is_done() -> None:
    async def scenario() -> None:
        async with simulated(terms=AT_ONCE) as (server, client):
            wrong = line(3, body=ASK | {"messages": []})
            batch = await created(client, jsonl(*map(line, range(3)), wrong))
            assert batch.id.startswith("batch_")
            batch = await client.batches.retrieve(batch.id)

            assert (batch.status, batch.metadata) == ("completed", {"nonce": "abc"})
            counts = batch.request_counts
            assert (counts.total, counts.completed, counts.failed) == (4, 3, 1)
            answered = await lines_of(client, batch.output_file_id)
            assert {one["custom_id"] for one in answered} == {"n-0", "n-1", "n-2"}
            for one in answered:
                assert set(one) == {"id", "custom_id", "response", "error"}
                assert (one["response"]["status_code"], one["error"]) == (200, None)
                answer = one["response"]["body"]["choices"][0]["message"]["content"]
                assert json.loads(answer) == {"governing_law": "Norway"}
            (failed,) = await lines_of(client, batch.error_file_id)
            assert (failed["custom_id"], failed["response"]["status_code"]) == ("n-3", 400)
            assert failed["response"]["body"]["error"]["message"].startswith("messages: ")
            books = server.books.summary()
            assert (books["batch_billed"], books["billed"], books["batch_creates"]) == (3, 0, 1)
            told = sum(one["response"]["body"]["usage"]["completion_tokens"] for one in answered)
            assert books["batch_output_tokens"] == told

    asyncio.run(scenario())


def test_the_counts_grow_and_the_status_follows() -> None:
    async def scenario() -> None:
        async with simulated(terms=MINUTES) as (server, client):
            await created(client, jsonl(*map(line, range(20))))
            (batch,) = server.simulator.batches.all
            told = [written(batch, batch.created_at + age) for age in (0.0, 30.0, 60.0, 119.9999, 120.0)]

            assert [one["status"] for one in told] == [
                "validating", "in_progress", "in_progress", "finalizing", "completed",
            ]  # fmt: skip
            counts: list[Any] = [one["request_counts"] for one in told]
            assert [one["total"] for one in counts] == [0, 20, 20, 20, 20]
            completed = [one["completed"] for one in counts]
            assert completed == sorted(completed)
            assert 0 < completed[1] < completed[2] < completed[3] == completed[4] == 20
            assert [one["output_file_id"] is not None for one in told] == [False] * 4 + [True]

    asyncio.run(scenario())


def test_a_cancelled_batch_keeps_what_was_done() -> None:
    async def scenario() -> None:
        async with simulated(terms=MINUTES, speed=1.0) as (server, client):
            batch = await created(client, jsonl(*map(line, range(20))))
            (simulated_batch,) = server.simulator.batches.all
            simulated_batch.created_at -= 60.0
            cancelling = await client.batches.cancel(batch.id)
            assert (cancelling.status, cancelling.output_file_id) == ("cancelling", None)
            simulated_batch.created_at -= 30.0
            cancelled = await client.batches.retrieve(batch.id)

            assert cancelled.status == "cancelled"
            done = await lines_of(client, cancelled.output_file_id)
            undone = await lines_of(client, cancelled.error_file_id)
            assert len(done) + len(undone) == 20
            assert {(one["response"], one["error"]["code"]) for one in undone} == {(None, "batch_cancelled")}
            assert server.books.summary()["batch_billed"] == len(done) == cancelled.request_counts.completed > 0
            with pytest.raises(openai.BadRequestError):
                await client.batches.cancel(batch.id)

    asyncio.run(scenario())


def test_a_batch_that_never_ends_expires() -> None:
    async def scenario() -> None:
        async with simulated("batch_never_ends", terms=MINUTES) as (server, client):
            batch = await created(client, jsonl(*map(line, range(20))))
            server.simulator.batches.all[0].created_at -= 24 * 3600.0
            expired = await client.batches.retrieve(batch.id)

            assert expired.status == "expired"
            codes = {one["error"]["code"] for one in await lines_of(client, expired.error_file_id)}
            assert codes == {"batch_expired"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "code", "number"),
    [
        (jsonl(line(0), line(0)), "duplicate_custom_id", 2),
        (jsonl(line(0), line(1, url="/v1/responses")), "invalid_json_line", 2),
        (jsonl(line(0), line(1, body=ASK | {"model": "llama3"})), "mismatched_model", 2),
        (jsonl(line(0)) + b"{", "invalid_json_line", 2),
        (jsonl({"custom_id": "x", "method": "POST", "url": CHAT}), "invalid_json_line", 1),
        (b"\n", "empty_file", None),
        (jsonl(*map(line, range(4))), "too_many_requests", None),
    ],
)
def test_a_file_with_a_wrong_line_fails(data: bytes, code: str, number: int | None) -> None:
    async def scenario() -> None:
        terms = ServiceTerms(median_s=0.0, per_request_s=0.0, most_requests=3)
        async with simulated(terms=terms) as (server, client):
            batch = await client.batches.retrieve((await created(client, data)).id)

            assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
            assert [(one.code, one.line) for one in batch.errors.data] == [(code, number)]
            assert server.books.summary()["batch_billed"] == 0

    asyncio.run(scenario())


def test_a_full_queue_fails_the_batch() -> None:
    async def scenario() -> None:
        async with simulated(terms=ServiceTerms(median_s=1e6, most_queued=3)) as (server, client):
            await created(client, jsonl(*map(line, range(3))))
            failed = await created(client, jsonl(line(4)))
            server.simulator.batches.all[-1].created_at -= 10.0

            failed = await client.batches.retrieve(failed.id)
            assert (failed.status, failed.errors.data[0].code) == ("failed", "token_limit_exceeded")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {f"k{number}": "v" for number in range(17)}},
        {"metadata": {"k": "v" * 513}},
        {"endpoint": "/v1/embeddings"},
        {"completion_window": "1h"},
    ],
)
def test_a_batch_that_is_not_created(change: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            file = await client.files.create(file=("in.jsonl", jsonl(line(0))), purpose="batch")
            asked = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"} | change
            with pytest.raises(openai.BadRequestError) as caught:
                await client.batches.create(**asked)

            assert next(iter(change)) in caught.value.message
            assert server.books.summary()["batches"] == []

    asyncio.run(scenario())


def test_the_list_is_paged_and_of_this_dialect_alone() -> None:
    async def scenario() -> None:
        async with simulated(terms=AT_ONCE) as (server, client):
            ids = [(await created(client, jsonl(line(number)), metadata={"n": str(number)})).id for number in range(3)]
            headers = {"authorization": "Bearer x", "anthropic-version": "2026-10-21"}
            async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as bare:
                assert (await bare.get("/v1/messages/batches")).json()["data"] == []
            listed = [batch async for batch in client.batches.list(limit=2)]

            assert [batch.id for batch in listed] == ids[::-1]
            assert [batch.metadata for batch in listed] == [{"n": "2"}, {"n": "1"}, {"n": "0"}]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "made"),
    [("batch_reset_after", 1), ("batch_error_after", 1), ("batch_hang_after", 1), ("batch_overloaded", 0)],
)
def test_faults_of_creating(fault: str, made: int) -> None:
    async def scenario() -> None:
        async with simulated(fault, terms=AT_ONCE) as (server, client):
            file = await client.files.create(file=("in.jsonl", jsonl(line(0))), purpose="batch")
            with pytest.raises((openai.APIConnectionError, openai.InternalServerError)):
                await client.with_options(timeout=0.2).batches.create(
                    input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"nonce": "abc"}
                )
            listed = [batch.metadata async for batch in client.batches.list()]

            assert listed == [{"nonce": "abc"}] * made
            assert server.books.summary()["batch_billed"] == made

    asyncio.run(scenario())


def test_faults_of_later_calls() -> None:
    async def scenario() -> None:
        script = ["batch_list_empty", "batch_poll_error", "batch_results_cut", "batch_request_errored"]
        async with simulated(*script, "batch_upload_error", terms=AT_ONCE) as (_, client):
            with pytest.raises(openai.InternalServerError):
                await client.files.create(file=("in.jsonl", b"{}"), purpose="batch")
            batch = await created(client, jsonl(line(0), line(1)))
            assert (await client.batches.list()).data == []
            with pytest.raises(openai.InternalServerError):
                await client.batches.retrieve(batch.id)
            batch = await client.batches.retrieve(batch.id)
            with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
                await client.files.content(batch.output_file_id)
            (failed,) = await lines_of(client, batch.error_file_id)
            assert failed["response"]["status_code"] == 500
            assert failed["response"]["body"]["error"]["type"] == "server_error"

    asyncio.run(scenario())


def test_the_files() -> None:
    async def scenario() -> None:
        async with simulated(terms=ServiceTerms(most_bytes=1_000)) as (_, client):
            files = [await client.files.create(file=(f"{one}.jsonl", b"{}\n"), purpose="batch") for one in "ab"]
            assert (files[0].bytes, files[0].filename, files[0].purpose) == (3, "a.jsonl", "batch")
            assert (await client.files.content(files[0].id)).content == b"{}\n"
            with pytest.raises(openai.NotFoundError):
                await client.files.content("file-batch_x-output")
            with pytest.raises(openai.BadRequestError):
                await client.files.create(file=("c.jsonl", b"{}"), purpose="vision")
            with pytest.raises(openai.APIStatusError) as caught:
                await client.files.create(file=("c.jsonl", b" " * 1_001), purpose="batch")
            assert caught.value.status_code == 413

    asyncio.run(scenario())
