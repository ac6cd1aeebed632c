"""What was reviewed on a page and comes back as a file: nothing of the file is believed before it was checked."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from batchrun.cli.commands.review import named
from batchrun.cli.views.format import count
from batchrun.cli.views.review_text import no_promise, promise
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.file_system import TooLargeError, read_bounded
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Cell, Review
from batchrun.workflow.review import OpenReview

MOST_BYTES = 50_000_000
"""The largest file that is imported, in bytes."""
CLOCK_S = 86_400.0
"""How far the clock of a browser may be ahead of the clock here, in seconds."""
AGAIN = "write a new page with --html, or import the file that the page has exported"
KINDS: Mapping[str, type | tuple[type, ...]] = {
    "doc": str, "field": str, "request": str, "drawn": str, "verdict": str, "typed": str, "at": (int, float),
}  # fmt: skip
"""What each entry of a file has, with the types of the values."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file with reviews, whose form was checked and whose content was not."""

    audit_id: str
    reviewer: str
    entries: list[dict[str, Any]]


def import_reviews(
    path: Path, opened: OpenReview, standing: Standing, reviewer: str | None, *, ahead: int, terminal: Terminal
) -> None:
    """Record the reviews of a file, all of them or none. Raises UsageProblem for a file that cannot be believed."""
    page = read_page(path, most_entries=ahead)
    if page.audit_id != standing.audit.audit_id:
        raise UsageProblem(f"{path} belongs to another audit than the one that is open now.", hint=AGAIN)
    who, offered = named(reviewer or page.reviewer), _offered(standing, ahead)
    new, known, changed = list[Review](), 0, 0
    for number, entry in enumerate(page.entries, 1):
        cell = Cell(entry["doc"], entry["field"])
        if problem := _refusal(cell, entry, standing, offered):
            raise UsageProblem(f"entry {number} of {path} {problem}.", hint=AGAIN)
        earlier = standing.reviews.get(cell)
        if cell.doc_id in standing.changed or entry["request"] != standing.audit.documents[cell.doc_id].request_id:
            changed += 1
        elif earlier and earlier.at >= entry["at"]:
            known += 1
        else:
            new.append(_review(opened, standing, cell, entry, who, place=f"entry {number} of {path}"))
    standing = opened.record(standing, new)
    if terminal.json:
        terminal.event("imported", job=opened.job.name, reviews=len(new), known=known, changed=changed)
        return
    left = f", {known:,} known or reviewed later" if known else ""
    left += f", {changed:,} about answers that have changed" if changed else ""
    terminal.result(f"{count(len(new), 'review')} taken over{left}")
    terminal.result(f"promise  {promise(standing) or no_promise(standing)}")


def read_page(path: Path, *, most_entries: int) -> Page:
    """Read a file that a page has exported. Raises UsageProblem for anything else."""
    problem = UsageProblem(f"{path} is no file that a review page has exported.", hint=AGAIN)
    try:
        found = json.loads(read_bounded(path, most_bytes=MOST_BYTES))
    except TooLargeError as error:
        raise UsageProblem(f"{path} is larger than {MOST_BYTES:,} bytes.", hint=AGAIN) from error
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}.", hint=AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise problem from error
    match found:
        case {"batchrun_review": 1, "audit": str(audit_id), "reviewer": str(reviewer), "reviews": list(entries)}:
            if len(entries) > most_entries or not all(map(_is_entry, entries)):
                raise problem
            return Page(audit_id, reviewer, entries)
    raise problem


def _is_entry(entry: object) -> bool:
    """Whether an entry has all that is needed, each of its type. A number must be a time."""
    if not isinstance(entry, dict) or entry.keys() != KINDS.keys():
        return False
    if any(isinstance(entry[name], bool) or not isinstance(entry[name], kind) for name, kind in KINDS.items()):
        return False
    return math.isfinite(entry["at"])


def _offered(standing: Standing, ahead: int) -> set[Cell]:
    """Return the fields that a page can have offered as drawn at random: those drawn so far, and the next ones."""
    return {*(cell for cell, _ in standing.audited), *islice(standing.upcoming("audit"), ahead)}


def _refusal(cell: Cell, entry: Mapping[str, Any], standing: Standing, offered: set[Cell]) -> str | None:
    """Say why an entry is not believed. Returns None if it may be."""
    audit = standing.audit
    if cell.doc_id not in audit.documents or cell.field not in audit.fields:
        return f"is about {escape_control(cell.field)[:100]} of {escape_control(cell.doc_id)[:100]}, which nobody asked"
    if entry["drawn"] not in ("audit", "queue") or entry["verdict"] not in ("accepted", "corrected", "rejected"):
        return "says neither how it was drawn nor what the person says"
    if entry["drawn"] == "audit" and cell not in offered:
        return "is about a field that was not drawn"
    if not audit.opened_at <= entry["at"] <= time.time() + CLOCK_S:
        return "was reviewed at a time that cannot be"
    return None


def _review(
    opened: OpenReview, standing: Standing, cell: Cell, entry: Mapping[str, Any], who: str, *, place: str
) -> Review:
    try:
        review = opened.review(standing, cell, entry["drawn"], entry["verdict"], typed=entry["typed"], reviewer=who)
    except UsageProblem as problem:
        raise UsageProblem(f"{place}: {problem}", hint=AGAIN) from problem
    return replace(review, at=float(entry["at"]))
