"""The providers of a job or of the project, for people and for programs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchrun.catalog.money import dollars
from batchrun.cli.configured import access_to
from batchrun.cli.next_command import as_called, command
from batchrun.cli.views.format import iso, labelled
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import readable_json
from batchrun.job.providers import Providers
from batchrun.providers.capabilities import capabilities_of
from batchrun.store.reports.costs import ModelUse
from batchrun.wording import size

WORDS = {
    "batches": "batches", "counts_tokens": "counts tokens", "limit_headers": "tells the rate limits",
    "structured_output": "structured output", "pdf": "PDF", "cache": "prompt cache",
    "models_api": "tells of its models", "files": "keeps files",
}  # fmt: skip
"""What a provider can do, in the words of the list."""


def show_providers(
    found: Mapping[str, Sequence[str]],
    providers: Providers,
    uses: Sequence[ModelUse],
    *,
    job: Path | None,
    simulated: bool,
    terminal: Terminal,
) -> None:
    """Print a passage for each provider, or one JSON object; the last line says what to type next."""
    told = [
        provider_as_json(name, models, providers, [use for use in uses if providers.split(use.model)[0] == name])
        for name, models in found.items()
    ]
    asked = min(told, key=lambda one: (bool(job) and not one["models"], one["problem"] is None))["name"]
    asking = command("doctor", job, ["--provider", asked])
    if terminal.json:
        terminal.result(readable_json({"v": 1, "simulated": simulated, "providers": told, "next": asking}, indent=2))
        return
    if simulated:
        terminal.result(terminal.styled("SIMULATED: none of this was paid", sys.stdout, fg="yellow"))
    for one in told:
        default = ", which answers models that name no provider" if one["default"] else ""
        kind = "" if one["name"] == one["type"] else f" ({one['type']})"
        terminal.result(f"{one['name']}{kind}{default}")
        for label, text in passage(one):
            terminal.result("\n".join(labelled(label, text, width=terminal.width())))
    terminal.exact(f"  next     {asking}   # asks {asked} for one free call\n")


def passage(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is told of a provider, each with its label."""
    can = one["can"]
    if one["address"]:
        yield "address", one["address"]
    if one["problem"]:
        yield "problem", f"{one['problem']}\n{as_called(one['hint'] or '')}".rstrip()
    for words in one["credential"]:
        yield "access", words
    yield "can", ", ".join([*(words for key, words in WORDS.items() if can[key]), f"{size(can['max_body'])} a request"])
    if missing := [words for key, words in WORDS.items() if not can[key]]:
        yield "lacks", ", ".join(missing)
    if one["models"]:
        yield "models", ", ".join(one["models"])
    spent, held = (dollars(round(one[name] * 1e9)) for name in ("today_usd", "today_held_usd"))
    reserved = f", and {held} reserved" if one["today_held_usd"] else ""
    yield "used", f"last {one['last_at']}; today {spent} spent{reserved}" if one["last_at"] else "never"


def provider_as_json(
    name: str, models: Sequence[str], providers: Providers, uses: Sequence[ModelUse]
) -> dict[str, Any]:
    """Return what is known of a provider for programs."""
    section = providers.section(name)
    access = access_to(section)
    last_at = max((use.last_at for use in uses), default=None)
    return {
        "default": name == providers.default,
        "name": name,
        "type": section.type,
        "address": access.endpoint and access.endpoint.words,
        "credential": [finding.words for finding in access.credential],
        "problem": access.problem and str(access.problem),
        "hint": access.problem and access.problem.hint,
        "can": asdict(capabilities_of(section)),
        "models": list(models),
        "last_at": iso(last_at) or None,
        "today_usd": sum(use.cost_nusd for use in uses) / 1e9,
        "today_held_usd": sum(use.held_nusd for use in uses) / 1e9,
    }
