"""What was reviewed on a page and comes back as a file: nothing of the file is believed before it was checked."""

import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from batchrun.cli.views.format import count
from batchrun.cli.views.review_text import standing_words
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.file_system import TooLargeError, read_bounded
from batchrun.job.field_types import Table
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Cell, Drawn, Review, Verdict
from batchrun.workflow.review import OpenReview, reviewer_name

MOST_CELLS = 500
"""The most fields of a page, and how far a field that is drawn may be ahead of the fields that are reviewed."""
MOST_BYTES = 50_000_000
"""The largest file that is imported, in bytes."""
CLOCK_S = 86_400.0
"""How far the clock of a browser may be ahead of the clock here, in seconds."""
AGAIN = "import the file that the page has exported, or write a new page with --html"


class Entry(Table):
    """What was said of one field."""

    doc: str
    field: str
    request: str
    drawn: Drawn
    verdict: Verdict
    typed: str
    at: float


class Page(Table):
    """A file that a page has exported. Its form is checked, its content is not."""

    batchrun_review: Literal[1]
    audit: str
    reviewer: str
    reviews: Annotated[tuple[Entry, ...], Field(max_length=MOST_CELLS)]


def import_reviews(
    path: Path, opened: OpenReview, standing: Standing, reviewer: str | None, terminal: Terminal
) -> None:
    """Record the reviews of a file, all of them or none. Raises UsageProblem for a file that cannot be believed."""
    page, audit = read_page(path), standing.audit
    if page.audit != audit.audit_id:
        raise UsageProblem(f"{path} belongs to another audit than the one that is open now.", hint=AGAIN)
    who, offered = reviewer_name(reviewer or page.reviewer), _offered(standing)
    new, known, changed = dict[Cell, Review](), 0, 0
    for number, entry in enumerate(page.reviews, 1):
        cell = Cell(entry.doc, entry.field)
        try:
            _check(entry, cell, standing)
            earlier = standing.reviews.get(cell)
            if cell.doc_id in standing.changed or entry.request != audit.documents[cell.doc_id].request_id:
                changed += 1
            elif cell in new or (entry.drawn == "audit" and cell not in offered):
                raise UsageProblem("the field was not drawn, or is there twice.")
            elif earlier and earlier.at >= entry.at:
                known += 1
            else:
                said = opened.review(audit, cell, entry.drawn, entry.verdict, typed=entry.typed, reviewer=who)
                new[cell] = replace(said, at=entry.at)
        except UsageProblem as problem:
            raise UsageProblem(f"entry {number} of {path}: {problem}", hint=AGAIN) from problem
    standing = opened.record(standing, list(new.values()))
    if terminal.json:
        terminal.event("imported", job=opened.job.name, reviews=len(new), known=known, changed=changed)
        return
    left = f", {known:,} known or reviewed later" if known else ""
    left += f", {changed:,} about answers that have changed" if changed else ""
    terminal.result(f"{count(len(new), 'review')} taken over{left}")
    terminal.result(f"promise  {standing_words(standing)}")


def read_page(path: Path) -> Page:
    """Read a file that a page has exported. Raises UsageProblem for anything else."""
    try:
        return Page.model_validate_json(read_bounded(path, most_bytes=MOST_BYTES))
    except TooLargeError as error:
        raise UsageProblem(f"{path} is larger than {MOST_BYTES:,} bytes.", hint=AGAIN) from error
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}.", hint=AGAIN) from error
    except ValidationError as error:
        raise UsageProblem(f"{path} is no file that a review page has exported.", hint=AGAIN) from error


def _offered(standing: Standing) -> set[Cell]:
    """Return the fields that a page can have offered as drawn at random: those drawn so far, and the next ones."""
    return {*(cell for cell, _ in standing.audited), *islice(standing.upcoming("audit"), MOST_CELLS)}


def _check(entry: Entry, cell: Cell, standing: Standing) -> None:
    """Raise UsageProblem for an entry that no page of the audit can have made."""
    audit = standing.audit
    if cell.doc_id not in audit.documents or cell.field not in audit.fields:
        raise UsageProblem(
            f"nobody asked about {escape_control(cell.field)[:99]} of {escape_control(cell.doc_id)[:99]}."
        )
    if not audit.opened_at <= entry.at <= time.time() + CLOCK_S:
        raise UsageProblem("the time of the review cannot be.")
