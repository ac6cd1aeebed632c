"""`doctor --forget-limits`: the limits that earlier runs learnt, forgotten and shown."""

import contextlib
import time
from dataclasses import asdict
from pathlib import Path

from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.cli.find_run import place_of
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, readable_json
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics


def forget_learned(given: Path | None) -> dict[str, LearnedLimits]:
    """Forget what the runs of the project's ledger learnt of rate limits. Returns what was forgotten of each model."""
    path, _ = place_of(None, given).ledgers
    if not path.exists():
        return {}
    with contextlib.closing(Ledger.open(path)) as ledger, ledger.transaction():
        return RunMetrics(ledger).forget_learned()


def show_forgotten(forgotten: dict[str, LearnedLimits], terminal: Terminal) -> None:
    """Print a line for each model, or one JSON object."""
    if terminal.json:
        terminal.result(readable_json({"v": 1, "forgotten": {model: asdict(one) for model, one in forgotten.items()}}))
        return
    for model, one in forgotten.items():
        names = ("requests", "input tokens", "output tokens")
        parts = [f"{rate:,} {name} a minute" for name, rate in zip(names, one.rates, strict=True) if rate]
        if one.concurrency:
            parts.append(f"{one.concurrency:,} requests at once")
        hours = max(0.0, time.time() - one.learnt_at) / 3600
        terminal.result(f"forgotten  {escape_control(model)}  {', '.join(parts)}; learnt {hours:.1f} hours ago")
    if not forgotten:
        terminal.result("nothing was learnt of rate limits")
