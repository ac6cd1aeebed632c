"""A provider in memory with a script for each model, and what each of them was asked."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace

from scripted_provider import ScriptedProvider, Step

from batchrun.reply import Reply
from batchrun.request import Request

FIRST, SECOND, THIRD = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-5"


@dataclass
class Models(ScriptedProvider):
    """A script for each model; who has none answers. Replies say who gave them."""

    of: dict[str, ScriptedProvider] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Model and document of every request."""

    async def send(self, request: Request) -> Reply:
        params = json.loads(request.body)
        model, prompt = params["model"], params["messages"][0]["content"]
        self.asked.append((model, prompt))
        return replace(await self.of.get(model, self.answering).send(request), model=f"{model}-20251001")

    answering: ScriptedProvider = field(default_factory=ScriptedProvider)

    @property
    def count(self) -> dict[str, int]:
        return dict(Counter(model for model, _ in self.asked))


def models(**scripts: dict[str, list[Step]]) -> Models:
    """Scripts of the first, second and third model."""
    names = {"first": FIRST, "second": SECOND, "third": THIRD}
    return Models(of={names[which]: ScriptedProvider(script) for which, script in scripts.items()})
