"""A provider in memory that answers each document by a script, and remembers what it was sent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from batchrun.providers import AttemptError, Provider
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.request import Request

Step = Reply | Failure | Callable[[Request], Awaitable[Reply]]


def answer(output: object = None, **changes: Any) -> Reply:
    """A reply of the API whose text is this output."""
    text = output if isinstance(output, str) else json.dumps({"title": "a title"} if output is None else output)
    parts: dict[str, Any] = {
        "text": text,
        "stop_reason": "end_turn",
        "usage": Usage(input_tokens=100, output_tokens=10),
        "model": "claude-haiku-4-5-20251001",
        "api_request_id": "req_1",
        "raw": json.dumps({"content": [{"type": "text", "text": text}]}),
    }
    return Reply(**(parts | changes))


def status(code: int | None, message: str = "as it says", **more: Any) -> Failure:
    """An error status of the API; None: an error in a batch whose type has no status that is known."""
    return Failure(cause=Cause.STATUS, status=code, message=message, **more)


def lost(cause: Cause = Cause.DROPPED) -> Failure:
    """An attempt whose answer may have been billed."""
    return Failure(cause=cause, message="the connection broke")


TURNED_AWAY = status(429, "later", error_type="rate_limit_error")
OVERLOADED = status(529, "Overloaded", error_type="overloaded_error")
BAD_KEY = status(401, "API key is invalid.", error_type="authentication_error")


@dataclass
class ScriptedProvider:
    """Sends what the script says for a prompt, step by step; the last step repeats. Other prompts get `default`."""

    script: dict[str, list[Step]] = field(default_factory=dict)
    default: Step = field(default_factory=answer)
    latency_s: float = 0.0
    sent: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    max_tokens: list[int] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    closed: bool = False

    async def send(self, request: Request) -> Reply:
        params = json.loads(request.body)
        prompt = params["messages"][0]["content"]
        self.sent.append(prompt)
        self.sent_at.append(asyncio.get_running_loop().time())
        self.max_tokens.append(params["max_tokens"])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency_s)
            return await self._follow(self._next(prompt), request)
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        self.closed = True

    def check(self) -> None:
        """As a factory of itself, which is what `submit` takes: there is always a key."""

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """As a factory of itself."""
        return self

    def _next(self, prompt: str) -> Step:
        steps = self.script.get(prompt)
        if not steps:
            return self.default
        return steps.pop(0) if len(steps) > 1 else steps[0]

    async def _follow(self, step: Step, request: Request) -> Reply:
        match step:
            case Reply():
                return step
            case Failure():
                raise AttemptError(step)
            case _:
                return await step(request)
