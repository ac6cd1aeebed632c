"""What was reviewed on a page and comes back as a file: nothing of the file is believed before it was checked."""

import time
from collections.abc import Container
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from batchrun.errors import UsageProblem
from batchrun.escaping import shown_path
from batchrun.file_system import TooLargeError, read_bounded
from batchrun.job.field_types import Table
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Cell, Drawn, Review, Verdict
from batchrun.workflow.review import OpenReview, reviewer_name

MOST_CELLS = 500
"""The most fields of a page, as the command says too: so far a drawn field may be ahead of the reviewed ones."""
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

    @property
    def cell(self) -> Cell:
        """The field of the document."""
        return Cell(self.doc, self.field)


class Page(Table):
    """A file that a page has exported. Its form is checked, its content is not."""

    batchrun_review: Literal[1]
    audit: str
    reviewer: str
    reviews: Annotated[tuple[Entry, ...], Field(max_length=MOST_CELLS)]


def import_reviews(path: Path, opened: OpenReview, reviewer: str | None) -> tuple[Standing, int, int]:
    """Record the reviews of a file, all of them or none.

    Returns how the audit stands then, how many reviews were recorded, and how many were left out because they are
    known, older than what was said since, or about another answer. Raises UsageProblem for a file that cannot be
    believed.
    """
    page = read_page(path)
    if (latest := opened.audits.latest()) is None or page.audit != latest.audit_id:
        raise UsageProblem(f"{path} belongs to another audit than the one that is open now.", hint=AGAIN)
    standing, who = opened.current(), reviewer_name(reviewer or page.reviewer)
    offered = {cell for cell, _ in standing.audited} | set(islice(standing.upcoming("audit"), MOST_CELLS))
    new = dict[Cell, Review]()
    for number, entry in enumerate(page.reviews, 1):
        try:
            if _is_news(entry, standing, offered):
                new[entry.cell] = _review(entry, opened, standing, who)
        except UsageProblem as problem:
            raise UsageProblem(f"entry {number} of {path}: {problem}", hint=AGAIN) from problem
    return opened.record(standing, list(new.values())), len(new), len(page.reviews) - len(new)


def _is_news(entry: Entry, standing: Standing, offered: Container[Cell]) -> bool:
    """Whether an entry is about an answer that still stands, and newer than what was said of the field.

    `offered` are the fields that a page can have offered as drawn at random: a field far ahead of all others would
    count these as wrong. Raises UsageProblem for an entry that no page of the audit can have made.
    """
    audit, cell = standing.audit, entry.cell
    if cell.doc_id not in audit.documents or cell.field not in audit.fields:
        raise UsageProblem(f"nobody asked about {shown_path(cell.field)} of {shown_path(cell.doc_id)}.")
    if not audit.opened_at - CLOCK_S <= entry.at <= time.time() + CLOCK_S:
        raise UsageProblem("the time of the review cannot be.")
    if cell.doc_id in standing.changed or entry.request != audit.documents[cell.doc_id].request_id:
        return False
    if entry.drawn == "audit" and cell not in offered:
        raise UsageProblem("the field was not drawn.")
    earlier = standing.reviews.get(cell)
    return earlier is None or earlier.at < entry.at


def _review(entry: Entry, opened: OpenReview, standing: Standing, reviewer: str) -> Review:
    said = opened.review(standing.audit, entry.cell, entry.drawn, entry.verdict, typed=entry.typed, reviewer=reviewer)
    return replace(said, at=entry.at)


def read_page(path: Path) -> Page:
    """Read a file that a page has exported. Raises UsageProblem for anything else."""
    try:
        return Page.model_validate_json(read_bounded(path, most_bytes=MOST_BYTES))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}.", hint=AGAIN) from error
    except (TooLargeError, ValidationError) as error:
        raise UsageProblem(f"{path} is no file that a review page has exported.", hint=AGAIN) from error
