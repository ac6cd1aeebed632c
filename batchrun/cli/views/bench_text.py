"""The scores of a published benchmark, for people and for programs."""

from dataclasses import asdict
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.views.format import count
from batchrun.quality.published.benchmark import Score
from batchrun.workflow.bench import Scored


def scored_as_text(scored: Scored, stamp: str) -> str:
    """The scores with their rule, and what they do not cover."""
    wide = max(len(score.name) for score in scored.scores)
    without = f" ({scored.unanswered:,} without an answer)" if scored.unanswered else ""
    documents = f"{count(scored.documents, 'document')}{without}"
    head = [scored.benchmark, documents, ", ".join(scored.models), dollars(scored.cost_nusd)]
    return "\n".join([
        f"{stamp}{' · '.join(filter(None, head))}",
        *(f"  {score.name:<{wide}}  {_shown(score)}" for score in scored.scores),
        f"rule     {scored.rule}",
        *(f"note     {note}" for note in scored.notes),
    ])  # fmt: skip


def _shown(score: Score) -> str:
    bounds = f"  (95%: {score.interval[0]:.4f} to {score.interval[1]:.4f})" if score.interval else ""
    return "undefined" if score.value is None else f"{score.value:.4f}{bounds}"


def scored_fields(scored: Scored) -> dict[str, Any]:
    """The same for programs."""
    fields = asdict(scored)
    return {"cost_usd": fields.pop("cost_nusd") / DOLLAR, **fields}
