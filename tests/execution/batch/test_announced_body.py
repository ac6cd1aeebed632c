"""A batch may exist only after it was announced: before the last part leaves, or when all members were taken."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from batchrun.execution.batch.create import AnnouncedBody
from batchrun.providers.anthropic.wire import batch_around
from batchrun.providers.routing import RenamedBody

MEMBERS = [b'{"custom_id":"n-%d","params":{"model":"home/m","x":1}}' % number for number in range(3)]


@dataclass
class Body:
    model: str = "home/m"
    nonce: str = "n"
    requests: int = len(MEMBERS)
    size: int = 1

    async def members(self) -> AsyncIterator[bytes]:
        for member in MEMBERS:
            yield member

    def parts(self) -> AsyncIterator[bytes]:
        return batch_around(self.members())


@pytest.mark.parametrize("renamed", [False, True])
def test_the_end_of_the_members_is_announced_and_the_last_is_not(renamed: bool) -> None:
    async def run() -> None:
        heard: list[str] = []

        async def announce() -> None:
            heard.append("announced")

        body = AnnouncedBody(Body(), announce)
        members = (RenamedBody(body, "m") if renamed else body).members()
        taken = [await anext(members) for _ in MEMBERS]
        assert [b'"m"' in member for member in taken] == [renamed] * 3
        assert (heard, body.whole) == ([], False)
        with pytest.raises(StopAsyncIteration):
            await anext(members)
        assert (heard, body.whole) == (["announced"], True)

    asyncio.run(run())


@pytest.mark.parametrize("renamed", [False, True])
def test_the_last_part_leaves_after_it_is_announced(renamed: bool) -> None:
    async def run() -> None:
        heard: list[str] = []

        async def announce() -> None:
            heard.append("announced")

        body = AnnouncedBody(Body(), announce)
        async for part in (RenamedBody(body, "m") if renamed else body).parts():
            heard.append(part[-2:].decode())  # noqa: PERF401 - between the parts something else is heard
        assert heard[-2:] == ["announced", "]}"]
        assert heard.count("announced") == 1
        assert body.whole

    asyncio.run(run())
