"""One document with its attempts and its answer, for people and for programs."""

import json
from collections.abc import Mapping
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.format import table, utc
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.store.reports.runs import document_story

HEADER = ("RUN", "AT (UTC)", "STATE", "OUTCOME", "WHY", "COST", "REQUEST")


def from_parts(story: Mapping[str, Any], name: str) -> str:
    """Say which parts of a long document gave the value of a field; nothing for a document that is asked as a whole."""
    parts = (story.get("provenance") or {}).get(name, {}).get("parts", ())
    if not parts:
        return ""
    return f"   (part {parts[0]})" if len(parts) == 1 else f"   (parts {', '.join(map(str, parts))})"


def show_document(found: FoundRun, doc_id: str, *, raw: bool, terminal: Terminal) -> None:
    """Print the document. Raises UsageProblem for a document that the job does not know."""
    story = document_story(found.ledger, found.story.job, doc_id)
    if story is None:
        job = found.story.job
        raise UsageProblem(
            f"the job {job} knows no document {doc_id}.", hint=f"see them: batchrun results {job} --status all"
        )
    if raw:
        terminal.result(story["raw"] or "")
        return
    if terminal.json:
        terminal.result(json.dumps(story, indent=2))
        return
    stamp = "SIMULATED  " if found.story.simulated else ""
    terminal.result(f"{stamp}{escape_control(doc_id)}  {story['status']}  {dollars(round(story['cost_usd'] * DOLLAR))}")
    terminal.result(f"source   {escape_control(story['source'])}")
    if story["note"]:
        terminal.result(f"note     {escape_control(story['note'])}")
    if story["reason"]:
        terminal.result(f"problem  {escape_control(story['reason'])}")
    for name, value in (json.loads(story["output"]) if story["output"] else {}).items():
        written = escape_control(json.dumps(value, ensure_ascii=False))
        terminal.result(f"  {name:<24} {written}{from_parts(story, name)}")
    rows = [
        (
            attempt["run_id"],
            utc(attempt["started_at"]),
            attempt["state"],
            attempt["outcome"] or "",
            attempt["message"] or attempt["cause"] or attempt["stop_reason"] or "",
            dollars(round(attempt["cost_usd"] * DOLLAR)),
            attempt["api_request_id"] or "",
        )
        for attempt in story["attempts"]
    ]
    if rows:
        terminal.result(table(HEADER, rows, width=terminal.width()))
