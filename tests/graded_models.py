"""Models in memory with known accuracies and prices, a job that tunes over them, and the answers that are right."""

import hashlib
import json
import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

from price_files import today
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.reply import Reply, Usage
from batchrun.request import Request

FIELDS = [f"f{number}" for number in range(8)]
CORRELATION = 0.2
"""How far the errors of one document go together: the correlation of the normal variables that decide the errors."""
NORMAL = NormalDist()
ROW = """
[[model]]
names = ["{name}"]
input = "{usd}"
output = "{usd}"
cache_write_5m = "{usd}"
cache_write_1h = "{usd}"
cache_read = "{usd}"
context_window = 200_000
max_output_tokens = 64_000
tokenizer = "old"
thinking = {{ accepted = ["disabled"], by_default = false }}
limits = {{ requests_per_minute = 900_000, input_tokens_per_minute = 90_000_000, output_tokens_per_minute = 9_000_000 }}
"""


def model_name(number: int) -> str:
    """The name of a model; the cheapest has number 0."""
    return f"model-{number:02}"


def right_values(doc: str) -> dict[str, str]:
    """The right values for a document, given by its text."""
    return {name: f"{name} of {doc}" for name in FIELDS}


@dataclass
class GradedModels(ScriptedProvider):
    """Answers like models of these accuracies: the same model gives the same document the same answer."""

    accuracies: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    output_tokens: int = 40
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Model and document of every request."""

    async def send(self, request: Request) -> Reply:
        params = json.loads(request.body)
        model, doc = params["model"], params["messages"][0]["content"].split("\n")[0]
        self.asked.append((model, doc))
        usage = Usage(input_tokens=100, output_tokens=self.output_tokens)
        return replace(answer(self.values(model, doc)), model=model, usage=usage)

    def values(self, model: str, doc: str) -> dict[str, str]:
        """What a model answers."""
        right, limit = right_values(doc), NORMAL.inv_cdf(min(max(self.accuracies[model], 1e-9), 1 - 1e-9))
        digest = hashlib.sha256(f"{self.seed}/{model}/{doc}".encode()).digest()
        chance = random.Random(digest)
        shared = math.sqrt(CORRELATION) * chance.gauss()
        own = {name: math.sqrt(1 - CORRELATION) * chance.gauss() for name in FIELDS}
        return {name: f"{model} errs" if shared + own[name] > limit else right[name] for name in FIELDS}

    @property
    def count(self) -> Counter[str]:
        """How many requests each model had."""
        return Counter(model for model, _ in self.asked)


def graded_job(project: TrialProject, models: int, *, tune: str, documents: int = 200, **sections: str) -> Path:
    """Write a project whose job may tune over so many models, each a tenth of a dollar dearer than the one before."""
    rows = "".join(ROW.format(name=model_name(one), usd=round(0.1 * (one + 1), 1)) for one in range(models))
    (project.root / "prices.toml").write_text(f"date = {today()}\n{rows}")
    for number in range(documents):
        project.document(f"{number:04}.txt", f"document {number:04}\n" + "word " * 20)
    named = ", ".join(f'"{model_name(one)}"' for one in range(models))
    chosen: dict[str, Any] = {
        "model": f'name = "{model_name(models - 1)}"   # the dearest\nmax_tokens = 400',
        "output_fields": "\n".join(f'{name} = "string"' for name in FIELDS),
        "budget": 'max_cost_usd = 5.0\nprices_file = "prices.toml"',
        "run": "max_concurrency = 50",
        "tune": f"models = [{named}]\n{tune}",
    }
    return project.job(**(chosen | sections))
