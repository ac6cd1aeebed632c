"""The scores of a published benchmark, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.views.format import count
from batchrun.quality.published.benchmark import Benchmark, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A benchmark that has been run and scored."""

    benchmark: Benchmark
    scores: Sequence[Score]
    models: Sequence[str]
    documents: int
    unanswered: int
    cost_nusd: int
    simulated: bool

    @property
    def notes(self) -> list[str]:
        """What a person must know before the number is passed on."""
        said, whole = list[str](), sum(len(group.cases) for group in self.benchmark.groups)
        if self.simulated:
            said.append("the answers are simulated: the numbers say nothing of a model")
        if self.documents < whole:
            said.append(f"the first {self.documents:,} of {whole:,} documents: this is not the benchmark's number")
        return [*said, self.benchmark.not_covered]


def scored_as_text(scored: Scored, stamp: str) -> str:
    """The scores with their rule, and what they do not cover."""
    wide = max(len(score.name) for score in scored.scores)
    without = f" ({scored.unanswered:,} without an answer)" if scored.unanswered else ""
    head = [f"{count(scored.documents, 'document')}{without}", ", ".join(scored.models), dollars(scored.cost_nusd)]
    return "\n".join([
        f"{stamp}{' · '.join([scored.benchmark.title, *filter(None, head)])}",
        *(f"  {score.name:<{wide}}  {_shown(score)}" for score in scored.scores),
        f"rule     {scored.benchmark.rule}",
        *(f"note     {note}" for note in scored.notes),
    ])  # fmt: skip


def _shown(score: Score) -> str:
    bounds = f"  (95%: {score.interval[0]:.4f} to {score.interval[1]:.4f})" if score.interval else ""
    return "undefined" if score.value is None else f"{score.value:.4f}{bounds}"


def scored_fields(scored: Scored) -> dict[str, Any]:
    """The same for programs."""
    return {
        "benchmark": scored.benchmark.title,
        "scores": [{"name": one.name, "value": one.value, "interval": one.interval} for one in scored.scores],
        "models": list(scored.models),
        "documents": scored.documents,
        "unanswered": scored.unanswered,
        "cost_usd": scored.cost_nusd / DOLLAR,
        "simulated": scored.simulated,
        "rule": scored.benchmark.rule,
        "notes": scored.notes,
    }
