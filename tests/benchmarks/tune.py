"""How often `tune` names the cheapest setting that is good enough, and what that costs, over models of known accuracy.

    python tests/benchmarks/tune.py [draws]

12 settings, 8 fields, 200 labelled documents, a target of 0.95; the errors of a document go together. Every draw
is a whole tune against models in memory. "2 points": the cheapest acceptable setting lies two points above the target,
and every cheaper one at least two points below. "1.1 below": every cheaper one lies 1.1 points below.
"""

import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import _paths  # noqa: F401 - the path of what tests share
from graded_models import GradedModels, graded_job, model_name, right_values
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.quality.tune.verdict import Ending
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.tune import Tune, TuneReport
from batchrun.workflow.tune_plan import open_tune, plan_tune

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS, DOCUMENTS, TARGET = 12, 200, 0.95


@dataclass
class Drawn:
    """What one tune did."""

    right: bool
    too_low: bool
    none: bool
    cost: float
    """The cost as a share of that of the full grid."""


def two_points(chance: random.Random) -> list[float]:
    """Draw accuracies, the cheapest setting first."""
    at = chance.randrange(SETTINGS)
    cheaper = [chance.uniform(0.80, TARGET - 0.02) for _ in range(at)]
    return [*cheaper, TARGET + 0.02, *(chance.uniform(0.93, 1.0) for _ in range(SETTINGS - at - 1))]


def all_just_below(chance: random.Random) -> list[float]:
    """Draw accuracies of which all but the dearest one lie just below the target."""
    return [*([TARGET - 0.011] * (SETTINGS - 1)), chance.uniform(0.97, 1.0)]


def drawn(accuracies: list[float], seed: int, root: Path) -> Drawn:
    """Tune once."""
    project = TrialProject(root)
    path = graded_job(project, SETTINGS, tune=f"target = {TARGET}", documents=DOCUMENTS)
    models = GradedModels(accuracies={model_name(at): one for at, one in enumerate(accuracies)}, seed=seed)
    labels = {f"docs/{number:04}.txt": right_values(f"document {number:04}") for number in range(DOCUMENTS)}
    with open_tune(path, simulated=False) as opened:
        caller = caller_of(models, lambda _: None)
        options = SubmitOptions(route="stream")

        async def tuned() -> TuneReport:
            plan = await plan_tune(opened, options, labels, by_agreement=False)
            return await Tune(opened, plan, caller, options, lambda _: None).run()

        report = run_async(tuned())
    assert report.halted is None, report.halted
    prices = {model_name(at): at + 1 for at in range(SETTINGS)}
    paid = sum(prices[model] * count for model, count in models.count.items())
    named = report.verdict.row.setting.model if report.verdict.ending is Ending.FOUND and report.verdict.row else None
    cheapest = next(model_name(at) for at, one in enumerate(accuracies) if one >= TARGET)
    too_low = named is not None and models.accuracies[named] < TARGET - 0.01
    return Drawn(named == cheapest, too_low, named is None, paid / (DOCUMENTS * sum(prices.values())))


def main() -> None:
    """Print a line for each way in which the accuracies lie."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    ways: dict[str, Callable[[random.Random], list[float]]] = {"2 points": two_points, "1.1 below": all_just_below}
    for name, way in ways.items():
        begin, results = time.monotonic(), list[Drawn]()
        for seed in range(draws):
            with tempfile.TemporaryDirectory() as folder:
                results.append(drawn(way(random.Random(seed)), seed, Path(folder) / "project"))
        print(
            f"{name:10} {draws} draws: the true cheapest {sum(one.right for one in results)},"
            f" more than a point below the target {sum(one.too_low for one in results)},"
            f" none named {sum(one.none for one in results)},"
            f" {sum(one.cost for one in results) / draws:.0%} of the full grid's cost"
            f" · {(time.monotonic() - begin) / draws:.1f} s a draw",
            flush=True,
        )


if __name__ == "__main__":
    main()
