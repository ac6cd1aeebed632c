"""Message Batches of the simulator, as the real SDK and a bare client see them, and their life in virtual time."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic

from batchrun.simulator.api_error import ApiError, ApiRefusal
from batchrun.simulator.batches.batch import SimulatedBatch
from batchrun.simulator.batches.body import ParamsFile, read_requests
from batchrun.simulator.batches.collection import SimulatedBatches
from batchrun.simulator.batches.life import EXPIRES_AFTER_S, Life, RequestEnding, ServiceTerms
from batchrun.simulator.faults.kinds import Call
from batchrun.simulator.faults.profiles import PROFILES, FaultChoice, Profile
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator

HEADERS = {"authorization": "Bearer x", "anthropic-version": "2026-10-21"}
AT_ONCE = ServiceTerms(median_s=0.0, per_request_s=0.0)
SLOW = ServiceTerms(median_s=120.0, per_request_s=0.0, spread=0.0)
COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


def params(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": f"Lease {number} — governed by the laws of Norway."}],
    } | changes


def asked(count: int, **changes: Any) -> list[Any]:
    return [{"custom_id": f"n-{number}", "params": params(number, **changes)} for number in range(count)]


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@asynccontextmanager
async def simulated(*script: str, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncAnthropic]]:
    simulator = Simulator(PROFILES["calm"], latency=INSTANT, script=script, **({"terms": AT_ONCE} | options))
    async with (
        SimulatorServer(simulator) as server,
        AsyncAnthropic(api_key="x", base_url=server.base_url, max_retries=0, timeout=5) as client,
    ):
        yield server, client


async def results_of(client: AsyncAnthropic, batch_id: str) -> dict[str, Any]:
    return {line.custom_id: line.result.to_dict() async for line in await client.messages.batches.results(batch_id)}


def test_a_batch_from_create_to_results() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            raw = await client.messages.batches.with_raw_response.create(requests=asked(5))
            created = await raw.parse()
            assert (len(created.id), created.id[:11]) == (33, "msgbatch_01")
            assert str(raw.headers["request-id"]).startswith("req_011C")
            assert raw.headers["anthropic-organization-id"]

            ended = await client.messages.batches.retrieve(created.id)
            assert (ended.processing_status, ended.request_counts.succeeded) == ("ended", 5)
            assert ended.results_url == f"{server.base_url}/v1/messages/batches/{created.id}/results"
            assert ended.expires_at - ended.created_at == timedelta(hours=24)

            results = await results_of(client, created.id)
            assert results.keys() == {f"n-{number}" for number in range(5)}
            message = results["n-3"]["message"]
            assert message["usage"]["service_tier"] == "batch"
            assert message["content"][-1]["text"].startswith("Lease 3 — governed")

            await client.messages.batches.delete(created.id)
            with pytest.raises(anthropic.NotFoundError, match=rf"Message Batch {created.id} not found\."):
                await client.messages.batches.retrieve(created.id)

    asyncio.run(scenario())


def test_the_words_of_the_api() -> None:
    async def scenario() -> None:
        async with simulated(terms=SLOW) as (server, _), aiohttp.ClientSession(headers=HEADERS) as session:
            url = f"{server.base_url}/v1/messages/batches"
            async with session.post(url, data=compact({"requests": asked(2)})) as response:
                created = await response.json()
            assert list(created) == [
                *("id", "type", "processing_status", "request_counts", "ended_at", "created_at", "expires_at"),
                *("archived_at", "cancel_initiated_at", "results_url"),
            ]
            assert created["request_counts"] == dict(zip(COUNTS, (2, 0, 0, 0, 0), strict=True))
            assert created["created_at"].endswith("+00:00")
            assert len(created["created_at"]) == len("2026-08-19T14:44:51.493319+00:00")
            async with session.get(f"{url}/{created['id']}") as response:
                assert await response.json() == created
                assert response.headers["retry-after"] == "10"
            async with session.get(f"{url}/{created['id']}/results") as response:
                assert response.status == 404
                assert response.headers["x-should-retry"] == "false"
                error = (await response.json())["error"]
                assert error["message"] == f"Message Batch {created['id']} has no available results."
            async with session.delete(f"{url}/{created['id']}") as response:
                assert response.status == 400
            async with session.post(f"{url}/{created['id']}/cancel") as response:
                canceled = await response.json()
            assert canceled["processing_status"] == "canceling"
            assert datetime.fromisoformat(canceled["cancel_initiated_at"]) > datetime.fromisoformat(
                created["created_at"]
            )

    asyncio.run(scenario())


def test_results_are_json_lines() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client), aiohttp.ClientSession(headers=HEADERS) as session:
            batch = await client.messages.batches.create(requests=asked(40))
            async with session.get(f"{server.base_url}/v1/messages/batches/{batch.id}/results") as response:
                body = await response.read()
                assert response.headers["content-type"] == "application/x-jsonl"
                assert f"{batch.id}_results.jsonl" in response.headers["content-disposition"]
            order = [json.loads(line)["custom_id"] for line in body.splitlines()]
            assert sorted(order) == sorted(f"n-{number}" for number in range(40))
            assert order != sorted(order, key=lambda name: int(name[2:]))

    asyncio.run(scenario())


def test_listing_and_paging() -> None:
    async def scenario() -> None:
        async with simulated() as (_, client):
            assert (await client.messages.batches.list()).to_dict() == {
                "data": [],
                "has_more": False,
                "first_id": None,
                "last_id": None,
            }
            made = [(await client.messages.batches.create(requests=asked(1))).id for _ in range(5)][::-1]

            assert len(set(made)) == 5
            assert [batch.id async for batch in client.messages.batches.list(limit=2)] == made
            page = await client.messages.batches.list(limit=2, after_id=made[0])
            assert ([batch.id for batch in page.data], page.has_more) == (made[1:3], True)
            page = await client.messages.batches.list(limit=2, after_id=made[2])
            assert ([batch.id for batch in page.data], page.has_more) == (made[3:], False)
            page = await client.messages.batches.list(limit=2, before_id=made[3])
            assert ([batch.id for batch in page.data], page.has_more) == (made[1:3], True)
            page = await client.messages.batches.list(before_id=made[2])
            assert ([batch.id for batch in page.data], page.has_more) == (made[:2], False)
            for limit in (0, 1001):
                with pytest.raises(anthropic.BadRequestError, match="limit: Input should be"):
                    await client.messages.batches.list(limit=limit)

    asyncio.run(scenario())


ONE = {"custom_id": "a", "params": {}}
BAD_BODIES: dict[str, tuple[object, str]] = {
    "no object": ([], "Input should be a valid dictionary"),
    "nothing": ({}, "requests: Field required"),
    "extra": ({"requests": [ONE], "name": "x"}, "name: Extra inputs are not permitted"),
    "no list": ({"requests": {}}, "requests: Input should be a valid list"),
    "empty": ({"requests": []}, "requests: List should have at least 1 item after validation, not 0"),
    "too many": (
        {"requests": [{**ONE, "custom_id": str(number)} for number in range(4)]},
        "requests: List should have at most 3 items after validation, not 4",
    ),
    "no request": ({"requests": [ONE, 1]}, "requests.1: Input should be a valid dictionary"),
    "no id": ({"requests": [{"params": {}}]}, "requests.0.custom_id: Field required"),
    "no params": ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
    "params": ({"requests": [{"custom_id": "a", "params": []}]}, "requests.0.params: Input should be a valid dict"),
    "request extra": ({"requests": [{**ONE, "x": 1}]}, "requests.0.x: Extra inputs are not permitted"),
    "id type": ({"requests": [{**ONE, "custom_id": 1}]}, "requests.0.custom_id: Input should be a valid string"),
    "id empty": ({"requests": [{**ONE, "custom_id": ""}]}, "requests.0.custom_id: String should match pattern '^[a-z"),
    "id sign": ({"requests": [ONE, {**ONE, "custom_id": "a:b"}]}, "requests.1.custom_id: String should match pattern"),
    "id accent": ({"requests": [{**ONE, "custom_id": "é"}]}, "requests.0.custom_id: String should match pattern"),
    "id long": ({"requests": [{**ONE, "custom_id": "a" * 65}]}, "requests.0.custom_id: String should have at most 64"),
    "id twice": (
        {"requests": [ONE, ONE]},
        "requests: custom_id's must be unique within a batch. Duplicate custom_id f",
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_no_batch_is_refused_at_once(name: str) -> None:
    body, message = BAD_BODIES[name]

    refused = refusal_of(compact(body))

    assert (refused.status, refused.type) == (400, "invalid_request_error")
    assert refused.message.startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"requests":[',
        b'{"requests":[]}x',
        b'{"requests":[{"custom_id":"a","params":{}}',
        b'{"a" 1}',
        b"{1:2}",
    ],
)
def test_a_body_that_is_no_json_is_refused_at_once(body: bytes) -> None:
    assert refusal_of(body).message.startswith("The request body is not valid JSON: ")


def refusal_of(body: bytes) -> ApiError:
    with pytest.raises(ApiRefusal) as refused:
        read_requests(body, ParamsFile(), most=3)
    return refused.value.error


def test_parameters_are_kept_as_the_sdk_writes_them() -> None:
    sent = [params(1), params(2, system='é"{[\\ 漢字 😀'), params(3, metadata={"user_id": None})]
    requests = [{"params": one, "custom_id": f"n-{number}"} for number, one in enumerate(sent)]
    file = ParamsFile()

    kept = read_requests(json.dumps({"requests": requests}, indent=2).encode(), file, most=10)

    assert [file.read(request.place) for request in kept] == [compact(one) for one in sent]
    assert [request.sha256 for request in kept] == [hashlib.sha256(compact(one)).digest() for one in sent]
    assert [request.error for request in kept] == [None, None, None]


def test_bodies_that_are_too_large() -> None:
    async def scenario() -> None:
        async with simulated(terms=ServiceTerms(most_bytes=1000)) as (server, client):
            with pytest.raises(anthropic.APIStatusError) as caught:
                await client.messages.batches.create(requests=asked(10))
            assert (caught.value.status_code, caught.value.type) == (413, "request_too_large")
            async with (
                aiohttp.ClientSession(headers=HEADERS) as session,
                session.post(f"{server.base_url}/v1/messages/batches", data=in_pieces(2000)) as response,
            ):
                assert response.status == 413

    async def in_pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b" "

    asyncio.run(scenario())


def test_a_client_that_dies_while_it_sends_creates_nothing() -> None:
    async def scenario() -> None:
        async with simulated() as (server, _):
            _, writer = await asyncio.open_connection(*server.base_url.removeprefix("http://").split(":"))
            head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
            body = compact({"requests": asked(3)})
            writer.write(
                f"POST /v1/messages/batches HTTP/1.1\r\nhost: x\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
                + body[:-1]
            )
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(5):
                while not server.books.creates or server.books.creates[0].status is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert server.books.summary()["batches"] == []

    asyncio.run(scenario())


BAD_PARAMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "model": (params(model="claude-none"), "not_found_error", "model: claude-none"),
    "stream": (params(stream=True), "invalid_request_error", '"stream=True" is not supported in the Message Batches'),
    "speed": (params(speed="fast"), "invalid_request_error", '"speed" is not supported'),
    "zero": (params(max_tokens=0), "invalid_request_error", "max_tokens: must be greater than or equal to 1"),
    "temperature": (params(temperature=1), "invalid_request_error", "`temperature` is deprecated for this model."),
    "nothing": ({}, "invalid_request_error", "max_tokens: Field required"),
    "schema": (
        params(output_config={"format": {"type": "json_schema", "schema": {"type": "nothing"}}}),
        "invalid_request_error",
        "",
    ),
}


def test_wrong_parameters_are_found_when_a_request_is_processed() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            requests: list[Any] = [{"custom_id": name, "params": bad} for name, (bad, _, _) in BAD_PARAMS.items()]
            batch = await client.messages.batches.create(requests=[*requests, *asked(1, stream=False)])
            assert (await client.messages.batches.retrieve(batch.id)).request_counts.errored == len(BAD_PARAMS)
            results = await results_of(client, batch.id)

            for name, (_, error_type, message) in BAD_PARAMS.items():
                error = results[name]["error"]
                assert (results[name]["type"], error["type"], error["request_id"]) == ("errored", "error", None), name
                assert error["error"]["type"] == error_type, name
                assert error["error"]["message"].startswith(message), name
            assert results["n-0"]["type"] == "succeeded"
            assert server.books.summary()["batch_billed"] == 1

    asyncio.run(scenario())


def test_requests_meet_the_faults_of_their_script() -> None:
    async def scenario() -> None:
        script = [
            f"batch_request_{name}" for name in ("errored", "ok", "overloaded", "expired", "refused", "truncated")
        ]
        async with simulated(*script) as (server, client):
            batch = await client.messages.batches.create(requests=asked(7))
            results = await results_of(client, batch.id)
            told = [results[f"n-{number}"] for number in range(7)]

            types = [result["type"] for result in told]
            assert types == ["errored", "succeeded", "errored", "expired", "succeeded", "succeeded", "succeeded"]
            assert told[0]["error"]["error"]["type"] == "api_error"
            assert told[2]["error"]["error"]["type"] == "overloaded_error"
            assert told[3] == {"type": "expired"}
            assert [told[number]["message"]["stop_reason"] for number in (4, 5, 6)] == [
                "refusal",
                "max_tokens",
                "end_turn",
            ]
            counts = (await client.messages.batches.retrieve(batch.id)).request_counts
            assert [getattr(counts, name) for name in COUNTS] == [0, 4, 2, 0, 1]
            assert server.books.summary()["batch_billed"] == 4

    asyncio.run(scenario())


CREATE_FAULTS: dict[str, tuple[type[Exception], int]] = {
    "batch_hang": (anthropic.APITimeoutError, 0),
    "batch_reset_before": (anthropic.APIConnectionError, 0),
    "batch_overloaded": (anthropic.InternalServerError, 0),
    "batch_rate_limited": (anthropic.RateLimitError, 0),
    "batch_hang_after": (anthropic.APITimeoutError, 1),
    "batch_reset_after": (anthropic.APIConnectionError, 1),
    "batch_error_after": (anthropic.InternalServerError, 1),
}


@pytest.mark.parametrize("fault", CREATE_FAULTS)
def test_creating_fails(fault: str) -> None:
    error, batches = CREATE_FAULTS[fault]

    async def scenario() -> None:
        async with simulated(fault) as (server, client):
            hasty = client.with_options(timeout=httpx2.Timeout(5, read=0.3))
            with pytest.raises(error):
                await hasty.messages.batches.create(requests=asked(2))
            assert len((await client.messages.batches.list()).data) == batches
            await client.messages.batches.create(requests=asked(2))

            books = server.books.summary()
            assert (books["batch_creates"], len(books["batches"])) == (2, batches + 1)
            assert books["batch_faults"] == {fault: 1}
            assert books["billed_twice"] == 2 * batches
            assert server.books.creates[0].fault == fault
            assert (server.books.creates[0].batch_id is not None) == bool(batches)

    asyncio.run(scenario())


def test_later_calls_fail_by_a_script_of_their_own() -> None:
    async def scenario() -> None:
        async with simulated(terms=SLOW) as (server, client), aiohttp.ClientSession() as session:
            script = ["batch_cancel_error", "batch_poll_ok", "batch_poll_error", "batch_list_error", "ok"]
            async with session.post(f"{server.base_url}/simulator/script", json=script) as response:
                assert await response.json() == {"waiting": 5}
            calls = client.messages.batches
            batch = await calls.create(requests=asked(1))
            await calls.retrieve(batch.id)
            for call in (calls.retrieve(batch.id), calls.list(), calls.cancel(batch.id)):
                with pytest.raises(anthropic.InternalServerError):
                    await call
            assert (await calls.retrieve(batch.id)).processing_status == "in_progress"
            assert (await calls.cancel(batch.id)).processing_status == "canceling"
            assert (await calls.cancel(batch.id)).processing_status == "canceling"

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [1, 2, 101])
def test_results_that_are_cut(count: int) -> None:
    async def scenario() -> None:
        async with simulated("batch_results_cut") as (_, client):
            batch = await client.messages.batches.create(requests=asked(count))
            got = []
            with pytest.raises((httpx2.RemoteProtocolError, ValueError)):  # noqa: PT012
                async for line in await client.messages.batches.results(batch.id):
                    got.append(line.custom_id)  # noqa: PERF401  what came before the break
            assert len(got) <= count // 2
            assert len(await results_of(client, batch.id)) == count

    asyncio.run(scenario())


def test_archived_results_are_gone_and_were_billed() -> None:
    async def scenario() -> None:
        async with simulated("batch_archived") as (server, client):
            created = await client.messages.batches.create(requests=asked(3))
            batch = await client.messages.batches.retrieve(created.id)
            assert (batch.processing_status, batch.results_url) == ("ended", None)
            assert batch.archived_at is not None
            with pytest.raises(anthropic.NotFoundError, match="has no available results"):
                await client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=httpx2.Response)
            assert server.books.summary()["batch_billed"] == 3

    asyncio.run(scenario())


def test_the_queue_is_limited() -> None:
    async def scenario() -> None:
        async with simulated(terms=ServiceTerms(most_queued=5)) as (server, client):
            batch = await client.messages.batches.create(requests=asked(3))
            with pytest.raises(anthropic.RateLimitError, match="5 batch requests in the processing queue") as caught:
                await client.messages.batches.create(requests=asked(3))
            assert caught.value.response.headers["retry-after"] == "60"
            server.simulator.batches.all[0].cancel(-1e9)
            assert (await client.messages.batches.retrieve(batch.id)).processing_status == "ended"
            await client.messages.batches.create(requests=asked(3))

    asyncio.run(scenario())


def test_the_same_request_streamed_and_batched_is_a_double_bill() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client), aiohttp.ClientSession(headers=HEADERS) as session:
            raw = [compact(params(number)) for number in range(3)]
            items = b",".join(b'{"custom_id":"n-%d","params":%s}' % (n, one) for n, one in enumerate(raw))
            async with session.post(f"{server.base_url}/v1/messages", data=raw[1]) as response:
                streamed = (await response.json())["usage"]
            url = f"{server.base_url}/v1/messages/batches"
            async with session.post(url, data=b'{"requests":[%s]}' % items) as response:
                batch = await response.json()
            async with session.get(f"{server.base_url}/simulator/books?entries=1") as response:
                books = await response.json()
            results = await results_of(client, batch["id"])

            usages = [result["message"]["usage"] for result in results.values()]
            assert (books["billed"], books["batch_billed"], books["billed_twice"]) == (1, 3, 1)
            assert (books["input_tokens"], books["output_tokens"]) == (
                streamed["input_tokens"],
                streamed["output_tokens"],
            )
            assert books["batch_input_tokens"] == sum(usage["input_tokens"] for usage in usages)
            assert books["batch_output_tokens"] == sum(usage["output_tokens"] for usage in usages)
            assert books["batch_model_usage"]["claude-haiku-5-5"]["requests"] == 3
            assert books["batches"] == [
                {
                    "id": batch["id"],
                    "status": "ended",
                    "requests": 3,
                    "created_at": batch["created_at"],
                    "fault": "batch_create_ok",
                }
            ]
            assert {entry["custom_id"] for entry in books["batch_entries"]} == set(results)
            assert books["batch_entries"][1]["sha256"] == books["entries"][0]["sha256"]
            assert [create["batch_id"] for create in books["creates"]] == [batch["id"]]

    asyncio.run(scenario())


# Life, in virtual time


def batches_of(
    profile: Profile = PROFILES["calm"], *script: str, speed: float = 1.0, seed: int = 1, **chosen: Any
) -> SimulatedBatches:
    choice = FaultChoice(profile)
    choice.extend_script(script)
    terms = ServiceTerms(**({"spread": 0.0} | chosen))
    return SimulatedBatches(choice, seed=seed, speed=speed, terms=terms, epoch_s=1.8e9)


def created(batches: SimulatedBatches, requests: int, *, now: float = 0.0, nonce: str = "") -> SimulatedBatch:
    items = [{"custom_id": nonce + item["custom_id"], "params": item["params"]} for item in asked(requests)]
    found = read_requests(compact({"requests": items}), batches.file, most=requests)
    batch = batches.create(found, now=now)[1]
    assert batch is not None
    return batch


def counted(batch: SimulatedBatch, now: float) -> list[int]:
    return list(batch.as_json(now, "")["request_counts"].values())


def test_many_batches_have_one_file() -> None:
    """A process may open some 1,000 files, and a rehearsal may create more batches."""
    batches = batches_of()
    created(batches, 1)
    before = len(list(Path("/dev/fd").iterdir()))
    several = [created(batches, 2, nonce=f"{number}-") for number in range(20)]

    assert len(list(Path("/dev/fd").iterdir())) == before
    assert len({line for batch in several for line in batch.results()}) == 40


def test_nothing_is_counted_before_the_end() -> None:
    batches = batches_of(median_s=100, per_request_s=0, speed=10)
    batch = created(batches, 4)

    assert (batch.status(9.9), counted(batch, 9.9)) == ("in_progress", [4, 0, 0, 0, 0])
    assert list(batches.bills(9.9)) == []
    assert (batch.status(10), counted(batch, 10)) == ("ended", [0, 4, 0, 0, 0])
    assert len(list(batches.bills(10))) == 4
    assert batch.as_json(10, "")["ended_at"] == "2027-01-15T08:00:10.000000+00:00"
    assert batch.as_json(10, "")["expires_at"] == "2027-01-16T08:00:00.000000+00:00"


def test_what_was_not_processed_is_canceled() -> None:
    batches = batches_of(median_s=1000, per_request_s=0)
    batch = created(batches, 100)
    batch.cancel(400)
    batch.cancel(410)

    assert [batch.status(now) for now in (399, 424, 425)] == ["canceling", "canceling", "ended"]
    assert batch.as_json(425, "")["cancel_initiated_at"] == "2027-01-15T08:06:40.000000+00:00"
    _, succeeded, _, canceled, _ = counted(batch, 425)
    assert succeeded + canceled == 100
    assert 25 < succeeded < 55
    assert len(list(batches.bills(425))) == succeeded
    assert ending_types(batch) == {"succeeded": succeeded, "canceled": canceled}


def ending_types(batch: SimulatedBatch) -> Counter[str]:
    return Counter(json.loads(line)["result"]["type"] for line in batch.results())


def test_a_batch_that_never_ends_expires() -> None:
    batches = batches_of(PROFILES["calm"], "batch_never_ends", median_s=100, per_request_s=0)
    batch = created(batches, 100)

    assert batch.status(EXPIRES_AFTER_S - 1) == "in_progress"
    _, succeeded, _, _, expired = counted(batch, EXPIRES_AFTER_S)
    assert succeeded + expired == 100
    assert 30 < expired < 70
    assert len(list(batches.bills(EXPIRES_AFTER_S))) == succeeded


def test_a_batch_that_never_ends_can_be_canceled() -> None:
    batches = batches_of(PROFILES["calm"], "batch_never_ends")
    batch = created(batches, 100)
    batch.cancel(1000)

    _, succeeded, _, canceled, _ = counted(batch, 1025)
    assert succeeded + canceled == 100
    assert 30 < canceled < 70


def test_results_are_kept_for_29_days() -> None:
    batches = batches_of()
    batch = created(batches, 1)
    days = 24 * 3600.0

    lines, cut = batches.results(batch.id, now=28.9 * days)
    assert (len(list(lines)), cut) == (1, False)
    with pytest.raises(ApiRefusal, match="has no available results"):
        batches.results(batch.id, now=29 * days)
    assert batch.as_json(29 * days, "")["archived_at"] == "2027-02-13T08:00:00.000000+00:00"


LIVES: dict[str, tuple[Life, float, RequestEnding | None]] = {
    "processed": (Life(lasts_s=100), 0.99, None),
    "too late": (Life(lasts_s=2 * EXPIRES_AFTER_S), 0.51, RequestEnding.EXPIRED),
    "in time": (Life(lasts_s=2 * EXPIRES_AFTER_S), 0.49, None),
    "before the cancel": (Life(lasts_s=100, canceled_at=50), 0.49, None),
    "after the cancel": (Life(lasts_s=100, canceled_at=50), 0.51, RequestEnding.CANCELED),
    "stuck": (Life(lasts_s=100, never_ends=True), 0.5, RequestEnding.EXPIRED),
    "stuck and canceled": (Life(lasts_s=100, never_ends=True, canceled_at=5000), 0.5, RequestEnding.CANCELED),
}


@pytest.mark.parametrize("name", LIVES)
def test_how_a_request_ends(name: str) -> None:
    life, moment, ending = LIVES[name]

    assert life.unprocessed(moment) == ending


def test_most_batches_end_within_an_hour() -> None:
    terms = ServiceTerms()
    chances = [number / 1000 for number in range(1000)]

    small, large = ([terms.duration(count, chance) for chance in chances] for count in (10, 100_000))
    assert sorted(small)[500] == pytest.approx(120, rel=0.01)
    assert sum(duration < 3600 for duration in small) > 990
    assert sum(duration < 3600 for duration in large) > 900


# Repeatable


def test_a_hostile_rehearsal_is_repeatable_whatever_the_ids() -> None:
    def rehearsed(nonce: str) -> tuple[object, ...]:
        batches = batches_of(PROFILES["hostile"], "batch_create_ok", seed=5)
        batch = created(batches, 300, nonce=nonce)
        polls = [poll_fails(batches, batch) for _ in range(100)]
        return batch.life, [without_ids(line) for line in batch.results()], polls

    assert rehearsed("a") == rehearsed("b")


def poll_fails(batches: SimulatedBatches, batch: SimulatedBatch) -> bool:
    try:
        batches.poll(batch.id)
    except ApiRefusal:
        return True
    return False


def without_ids(line: bytes) -> object:
    result = json.loads(line)["result"]
    return result if result["type"] != "errored" else result["error"]["error"]


def test_a_hostile_batch_has_failures_of_every_kind() -> None:
    batches = batches_of(PROFILES["hostile"], "batch_create_ok", seed=5)

    endings = ending_types(created(batches, 1000))
    assert set(endings) == {"succeeded", "errored", "expired"}
    assert 10 < endings["errored"] < 50
    assert 20 < endings["expired"] < 70


def test_a_retry_draws_anew() -> None:
    batches = batches_of(Profile({"batch_request_expired": 0.5}))
    first, second = created(batches, 50), created(batches, 50)

    assert [member.fault for member in first.members] != [member.fault for member in second.members]
    assert first.id != second.id


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_have_rates_for_every_call(name: str) -> None:
    profile = PROFILES[name]

    for call in Call:
        fault = profile.fault_at(0.0, call)
        assert fault is None or fault in profile.rates
        assert profile.fault_at(0.9, call) is None
