"""The Files API of the simulator: its limits, and files that are named in requests."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import anthropic
import pytest
from native_samples import agreement, png

from batchrun.simulator.batches.uploaded_files import LEAST_LIFE_S, LONGEST_LIFE_S
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator

MODEL = "claude-sonnet-5-5"
PDF = agreement()
Use = Callable[[anthropic.AsyncAnthropic, Simulator], Awaitable[None]]


def talk(use: Use) -> None:
    async def run() -> None:
        simulator = Simulator(PROFILES["calm"], speed=1000.0)
        async with (
            SimulatorServer(simulator) as server,
            anthropic.AsyncAnthropic(base_url=server.base_url, api_key="k", max_retries=0) as client,
        ):
            await use(client, simulator)

    asyncio.run(run())


def block(source: dict[str, Any], kind: str = "document") -> dict[str, Any]:
    return {"type": kind, "source": source}


def messages(one: dict[str, Any]) -> Any:
    return [{"role": "user", "content": [{"type": "text", "text": "Read this."}, one]}]


def named(file_id: str, kind: str = "document") -> Any:
    return messages(block({"type": "file", "file_id": file_id}, kind))


def test_a_named_file_counts_and_is_answered_as_its_bytes() -> None:
    async def use(client: anthropic.AsyncAnthropic, simulator: Simulator) -> None:
        file = await client.files.upload(file=("a.pdf", PDF, "application/pdf"))
        inline = messages(block({
            "type": "base64", "media_type": "application/pdf", "data": b64encode(PDF).decode(),
        }))  # fmt: skip
        counts = [await client.messages.count_tokens(model=MODEL, messages=one) for one in (named(file.id), inline)]
        assert counts[0].input_tokens == counts[1].input_tokens > 1_568
        replies = [
            await client.messages.create(model=MODEL, max_tokens=2_000, messages=one)
            for one in (named(file.id), inline)
        ]
        assert replies[0].content[-1] == replies[1].content[-1]
        assert replies[0].usage.input_tokens == replies[1].usage.input_tokens
        assert file.expires_at is None
        assert file.size_bytes == len(PDF)
        await client.files.delete(file.id)
        with pytest.raises(anthropic.NotFoundError, match=f"File not found: {file.id}"):
            await client.messages.count_tokens(model=MODEL, messages=named(file.id))

    talk(use)


@pytest.mark.parametrize("file_id", ["file_1", "", "x"])
def test_an_unknown_file_is_not_found(file_id: str) -> None:
    async def use(client: anthropic.AsyncAnthropic, _: Simulator) -> None:
        with pytest.raises(anthropic.NotFoundError, match="File not found"):
            await client.messages.create(model=MODEL, max_tokens=100, messages=named(file_id))

    talk(use)


def test_a_file_that_has_expired_and_a_file_of_another_kind() -> None:
    async def use(client: anthropic.AsyncAnthropic, simulator: Simulator) -> None:
        file = await client.files.upload(file=("a.pdf", PDF, "application/pdf"), expires_in_seconds=LEAST_LIFE_S)
        image = await client.files.upload(file=("a.png", png(3, 2), "image/png"))
        with pytest.raises(anthropic.BadRequestError, match="image/png is not supported in a document block"):
            await client.messages.count_tokens(model=MODEL, messages=named(image.id))
        await client.messages.count_tokens(model=MODEL, messages=named(image.id, "image"))
        simulator.files.all[0].expires_at = 0.0
        with pytest.raises(anthropic.NotFoundError) as caught:
            await client.messages.count_tokens(model=MODEL, messages=named(file.id))
        assert caught.value.body["error"]["details"] == {"error_code": "file_expired"}  # type: ignore[index]

    talk(use)


@pytest.mark.parametrize("life_s", [LEAST_LIFE_S - 1, LONGEST_LIFE_S + 1, -1])
def test_a_life_beyond_the_bounds_is_refused(life_s: int) -> None:
    async def use(client: anthropic.AsyncAnthropic, simulator: Simulator) -> None:
        with pytest.raises(anthropic.BadRequestError, match="expires_in_seconds"):
            await client.files.upload(file=("a.pdf", PDF, "application/pdf"), expires_in_seconds=life_s)
        assert simulator.files.all == []

    talk(use)


def test_an_upload_without_a_file_is_refused() -> None:
    async def use(client: anthropic.AsyncAnthropic, _: Simulator) -> None:
        with pytest.raises(anthropic.BadRequestError, match="file: Field required"):
            await client.post("/v1/files", body={"expires_in_seconds": 4_000}, cast_to=object)

    talk(use)


def test_an_upload_that_arrives_in_small_pieces_is_read() -> None:
    """aiohttp warns of itself when less than a boundary arrives before more than it reads at once."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b'--a-boundary-of-some-length\r\nContent-Disposition: form-data; name="other"\r\n\r\n'
        for piece in (b"ten bytes.", b"five.", b"x" * 20_000):
            await asyncio.sleep(0.05)
            yield piece
        yield b'\r\n--a-boundary-of-some-length\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
        yield b"Content-Type: application/pdf\r\n\r\n" + PDF + b"\r\n--a-boundary-of-some-length--\r\n"

    async def use(client: anthropic.AsyncAnthropic, simulator: Simulator) -> None:
        headers = {
            "Content-Type": "multipart/form-data; boundary=a-boundary-of-some-length",
            "Authorization": "Bearer k",
            "anthropic-version": "2023-06-01",
        }
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(str(client.base_url.join("/v1/files")), data=pieces()) as response,
        ):
            assert response.status == 200, await response.text()
        assert [file.data for file in simulator.files.all] == [PDF]

    talk(use)


def test_the_list_has_pages_with_the_newest_first() -> None:
    async def use(client: anthropic.AsyncAnthropic, _: Simulator) -> None:
        ids = [(await client.files.upload(file=(f"{n}.pdf", PDF, "application/pdf"))).id for n in range(5)]
        await client.files.delete(ids[3])
        assert [file.id async for file in client.files.list(limit=2)] == [ids[4], ids[2], ids[1], ids[0]]
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            await client.files.list(limit=1_001)

    talk(use)


def test_a_batch_keeps_what_was_there_when_it_was_created() -> None:
    async def use(client: anthropic.AsyncAnthropic, _: Simulator) -> None:
        file = await client.files.upload(file=("a.pdf", PDF, "application/pdf"))
        params: Any = {"model": MODEL, "max_tokens": 100}
        requests: Any = [
            {"custom_id": name, "params": params | {"messages": named(file_id)}}
            for name, file_id in (("good", file.id), ("bad", "file_0"))
        ]
        batch = await client.messages.batches.create(requests=requests)
        await client.files.delete(file.id)
        for _ in range(1_000):
            if (await client.messages.batches.retrieve(batch.id)).processing_status == "ended":
                break
            await asyncio.sleep(0.01)
        results = {one.custom_id: one.result async for one in await client.messages.batches.results(batch.id)}
        assert results["good"].type == "succeeded"
        assert results["good"].message.usage.input_tokens > 1_568
        assert results["bad"].type == "errored"
        assert results["bad"].error.error.type == "not_found_error"

    talk(use)
