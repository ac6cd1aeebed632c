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
"""How far the clock of a browser may be from the clock here, in seconds."""
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
    path: Path, opened: OpenReview, standing: Standing | None, reviewer: str | None, terminal: Terminal
) -> None:
    """Record the reviews of a file, all of them or none. Raises UsageProblem for a file that cannot be believed."""
    page = read_page(path)
    if standing is None or page.audit != standing.audit.audit_id:
        raise UsageProblem(f"{path} belongs to another audit than the one that is open now.", hint=AGAIN)
    desk = _Desk(opened, opened.current(standing, anew=False), reviewer_name(reviewer or page.reviewer))
    new = list[Review]()
    for number, entry in enumerate(page.reviews, 1):
        try:
            new += desk.taken(entry)
        except UsageProblem as problem:
            raise UsageProblem(f"entry {number} of {path}: {problem}", hint=AGAIN) from problem
    standing, left = opened.record(standing, new), len(page.reviews) - len(new)
    if terminal.json:
        terminal.event("imported", job=opened.job.name, reviews=len(new), left_out=left)
        return
    words = "left out: known, reviewed later, or about an answer that has changed"
    terminal.result(f"{count(len(new), 'review')} taken over" + (f", {left:,} {words}" if left else ""))
    terminal.result(f"promise  {standing_words(standing)}")


class _Desk:
    """Where the entries of one file are looked at, one after the other."""

    def __init__(self, opened: OpenReview, standing: Standing, reviewer: str) -> None:
        self._opened, self._standing, self._reviewer = opened, standing, reviewer
        ahead = islice(standing.upcoming("audit"), MOST_CELLS)
        self._offered = {*(cell for cell, _ in standing.audited), *ahead}
        """What a page can have offered as drawn at random: a field far ahead of all others would count these wrong."""
        self._seen = set[Cell]()

    def taken(self, entry: Entry) -> list[Review]:
        """Return the review that an entry is, or nothing for one that is known, older, or of another answer.

        Raises UsageProblem for an entry that no page of the audit can have made.
        """
        audit, cell = self._standing.audit, Cell(entry.doc, entry.field)
        if cell.doc_id not in audit.documents or cell.field not in audit.fields or cell in self._seen:
            place = f"{escape_control(cell.field)[:99]} of {escape_control(cell.doc_id)[:99]}"
            raise UsageProblem(f"nobody asked about {place}, or it is there twice.")
        if not audit.opened_at - CLOCK_S <= entry.at <= time.time() + CLOCK_S:
            raise UsageProblem("the time of the review cannot be.")
        self._seen.add(cell)
        if cell.doc_id in self._standing.changed or entry.request != audit.documents[cell.doc_id].request_id:
            return []
        if entry.drawn == "audit" and cell not in self._offered:
            raise UsageProblem("the field was not drawn.")
        if (earlier := self._standing.reviews.get(cell)) and earlier.at >= entry.at:
            return []
        said = self._opened.review(audit, cell, entry.drawn, entry.verdict, typed=entry.typed, reviewer=self._reviewer)
        return [replace(said, at=entry.at)]


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
