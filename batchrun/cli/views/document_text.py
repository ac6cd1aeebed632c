"""One document with its attempts and its answer, for people and for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.findings_text import percent
from batchrun.cli.views.format import count, table, utc
from batchrun.cli.views.origin_text import origin_lines, origins_of
from batchrun.cli.views.request_text import show_request
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control, readable_json
from batchrun.masking import masked
from batchrun.store.reports.document_story import document_story

HEADER = ("RUN", "AT (UTC)", "STATE", "OUTCOME", "WHY", "COST", "REQUEST")


@dataclass(frozen=True, slots=True)
class DocumentView:
    """What is shown of a document: everything that is known, or one text as it is."""

    raw: bool = False
    """Whether the reply is shown as it came."""
    prompt: bool = False
    """Whether the request is shown as it was sent."""
    attempt: int | None = None
    """The number of the attempt that is meant, from 1 on; None for the last one."""


def from_parts(story: Mapping[str, Any], name: str) -> str:
    """Say which parts of a long document gave the value of a field; nothing for a document that is asked as a whole."""
    parts = (story.get("provenance") or {}).get(name, {}).get("parts", ())
    if not parts:
        return ""
    return f"   (part {parts[0]})" if len(parts) == 1 else f"   (parts {', '.join(map(str, parts))})"


def agreement(story: Mapping[str, Any], name: str) -> str:
    """Say which share of the votes agrees with the value of a field; nothing for an answer without votes."""
    share = story["findings"].get("agreement", {}).get(name)
    return "" if share is None else f"   ({percent(share)} of the votes)"


def show_document(found: FoundRun, doc_id: str, view: DocumentView, terminal: Terminal) -> None:
    """Print the document. Raises UsageProblem for a document that the job does not know, and for what there is not."""
    story = document_story(found.ledger, found.story.job, doc_id)
    if story is None:
        job = found.story.job
        raise UsageProblem(
            f"the job {job} knows no document {doc_id}.", hint=f"see them: batchrun results {job} --status all"
        )
    if view.raw:
        terminal.exact(masked(raw_reply(found, story, view.attempt)) + "\n")
    elif view.prompt and "parts" in story:
        raise UsageProblem(f"{doc_id} is asked in parts, each by a request of its own.", hint=_a_part(story))
    elif view.prompt:
        show_request(found, story, chosen_attempt(story, view.attempt), terminal)
    else:
        _show_story(found, story, terminal)


def chosen_attempt(story: Mapping[str, Any], number: int | None) -> Mapping[str, Any] | None:
    """Return the attempt of this number, or the last one, if there is any. Raises UsageProblem for a wrong number."""
    attempts: Sequence[Mapping[str, Any]] = story["attempts"]
    if number is None:
        return attempts[-1] if attempts else None
    if not 1 <= number <= len(attempts):
        raise UsageProblem(
            f"{story['doc_id']} has {count(len(attempts), 'attempt')}, and no attempt {number}.",
            hint="leave out --attempt and --raw to see the attempts",
        )
    return attempts[number - 1]


def raw_reply(found: FoundRun, story: Mapping[str, Any], number: int | None) -> str:
    """Return the body of a reply: the last one, or that of the attempt of this number. Raises UsageProblem."""
    attempt = chosen_attempt(story, number)
    raw: str | None = story["raw"]
    if number is not None and attempt:
        raw = found.ledger.reply(attempt["attempt_no"])
    if raw is not None:
        return raw
    if number is None and "parts" in story:
        raise UsageProblem(f"{story['doc_id']} is asked in parts, and has no single reply.", hint=_a_part(story))
    if number is None and story["output"] is not None:
        words = f"the answer for {story['doc_id']} was put together from earlier answers, or adopted: it has no reply."
        raise UsageProblem(words, hint="leave out --raw to see the answer")
    which = "no attempt" if number is None else f"attempt {number}"
    brought = "has brought a reply yet" if number is None else "brought no reply"
    raise UsageProblem(f"{which} at {story['doc_id']} {brought}.", hint="leave out --raw to see the attempts")


def _a_part(story: Mapping[str, Any]) -> str:
    return f"name a part, such as {story['doc_id']} [part 1 of {story['total']}]"


def _show_story(found: FoundRun, story: Mapping[str, Any], terminal: Terminal) -> None:
    origins = origins_of(found, story)
    if terminal.json:
        terminal.result(readable_json({**story, **origins.as_json}, indent=2))
        return
    for line in (*_answer_lines(found, story, terminal.width()), *origin_lines(origins, terminal.width())):
        terminal.result(line)


def _answer_lines(found: FoundRun, story: Mapping[str, Any], width: int | None) -> Iterator[str]:
    """Yield the lines on a document, its answer and its attempts."""
    stamp = "SIMULATED  " if found.story.simulated else ""
    cost = dollars(round(story["cost_usd"] * DOLLAR))
    yield f"{stamp}{escape_control(story['doc_id'])}  {story['status']}  {cost}"
    yield f"source   {escape_control(story['source'])}"
    if story["note"]:
        yield f"note     {escape_control(story['note'])}"
    if story["reason"]:
        yield f"problem  {escape_control(story['reason'])}"
    for name, value in (json.loads(story["output"]) if story["output"] else {}).items():
        written = escape_control(json.dumps(value, ensure_ascii=False))
        yield f"  {name:<24} {written}{agreement(story, name)}{from_parts(story, name)}"
    if rows := list(map(_row, story["attempts"])):
        yield table(HEADER, rows, width=width)


def _row(attempt: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        attempt["run_id"],
        utc(attempt["started_at"]),
        attempt["state"],
        attempt["outcome"] or "",
        attempt["message"] or attempt["cause"] or attempt["stop_reason"] or "",
        dollars(round(attempt["cost_usd"] * DOLLAR)),
        attempt["api_request_id"] or "",
    )
