"""The bound of what may be paid again after a kill: the worst cases of all streamed requests in flight together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MoneyAtRisk:
    """Lets requests pass, in order of arrival, while their worst cases together stay within the bound."""

    def __init__(self, most_nusd: int | None) -> None:
        """None means that there is no bound."""
        self._most_nusd = most_nusd
        self._nusd = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def holding(self, nusd: int) -> AsyncIterator[None]:
        """Hold a request's worst case from before its send until its settlement. What is above the bound goes alone."""
        if self._most_nusd is not None:
            async with self._turn:
                while self._nusd and self._nusd + nusd > self._most_nusd:
                    self._freed.clear()
                    await self._freed.wait()
                self._nusd += nusd  # with the turn still held: nobody can come in between
        try:
            yield
        finally:
            if self._most_nusd is not None:
                self._nusd -= nusd
                self._freed.set()
