"""The scores of a published benchmark, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.views.format import count
from batchrun.quality.published.benchmark import Benchmark, Score


@dataclass(frozen=True, slots=True)
class Scored:
    """A benchmark that has been run and scored."""

    benchmark: Benchmark
    scores: Sequence[Score]
    models: Sequence[str]
    documents: int
    of: int
    """How many documents the folder has."""
    unanswered: int
    cost_nusd: int
    simulated: bool

    @property
    def notes(self) -> list[str]:
        """What a person must know before the number is passed on."""
        said = ["simulated answers: the numbers say nothing of a model"] if self.simulated else []
        if self.documents < self.of:
            said.append(f"the first {self.documents:,} of {self.of:,} documents: not the number of the benchmark")
        return [*said, self.benchmark.not_covered]


def scored_as_text(scored: Scored, stamp: str) -> str:
    """The scores with their rule, and what they do not cover."""
    wide = max(len(score.name) for score in scored.scores)
    without = f" ({scored.unanswered:,} without an answer)" if scored.unanswered else ""
    return "\n".join([
        f"{stamp}{scored.benchmark.title} · {count(scored.documents, 'document')}{without}"
        f" · {', '.join(scored.models) or 'no model'} · {dollars(scored.cost_nusd)}",
        *(f"  {score.name:<{wide}}  {_shown(score)}" for score in scored.scores),
        f"rule     {scored.benchmark.rule}",
        *(f"note     {note}" for note in scored.notes),
    ])  # fmt: skip


def _shown(score: Score) -> str:
    if score.value is None:
        return "undefined"
    low, high = score.interval or (0.0, 0.0)
    return f"{score.value:.4f}" + (f"  (95%: {low:.4f} to {high:.4f})" if score.interval else "")


def scored_fields(scored: Scored) -> dict[str, Any]:
    """The same for programs."""
    return {
        "benchmark": scored.benchmark.title,
        "scores": [
            {
                "name": one.name,
                "value": one.value,
                "low": (one.interval or [None])[0],
                "high": (one.interval or [None])[-1],
            }
            for one in scored.scores
        ],
        "models": list(scored.models),
        "documents": scored.documents,
        "documents_in_folder": scored.of,
        "unanswered": scored.unanswered,
        "cost_usd": scored.cost_nusd / DOLLAR,
        "simulated": scored.simulated,
        "rule": scored.benchmark.rule,
        "notes": scored.notes,
    }
