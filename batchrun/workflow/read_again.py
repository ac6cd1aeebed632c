"""Documents as their job reads them today, to show what was asked about the documents. Nothing is sent or recorded."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from batchrun.answers.form import AnswerForm
from batchrun.answers.progress import Turn
from batchrun.document import DocumentRef, Unreadable
from batchrun.documents.formats.pdf_boxes import Box
from batchrun.documents.formats.pdf_pictures import PagePicture
from batchrun.errors import BatchrunError
from batchrun.execution.turn_request import turn_request
from batchrun.planning.weighing import CHANGED, Prepared, Wanted
from batchrun.request import Request
from batchrun.strategy.model_chain import ChainModel
from batchrun.workers.pool import Pool
from batchrun.workflow.open_job import OpenJob, SubmitOptions, open_job

AT_ONCE = 20
"""How many documents are read at once: each may be long."""
HAS_CHANGED = "the document has changed since it was asked"
OUT_OF_TIME = "the time for reading documents again was over"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDocument:
    """A document as it was when it was asked."""

    ref: DocumentRef
    content_sha: str
    request_id: str | None
    max_tokens: int | None
    """The `max_tokens` of the request; None for the job's."""
    boxes: tuple[Box, ...] = ()
    """The boxes of a PDF whose pages are wanted as pictures."""


@dataclass(frozen=True, slots=True)
class Reread:
    """A document that is today what it was when it was asked."""

    text: str | None
    """The part of the request that is the document's; None if only the model can read the document."""
    form: AnswerForm
    asked: tuple[ChainModel, Request] | None
    """The model that was asked, with the request; None if the job asks otherwise today."""
    pictures: Sequence[PagePicture] = ()
    """The pages that were wanted as pictures, as far as there are any."""

    def turn(self, turn: Turn, shown: str | None) -> Request | None:
        """Return the request as it was sent for a turn; `shown` is the body of the reply that the turn shows."""
        if self.asked is None:
            return None
        chain_model, request = self.asked
        return turn_request(request, chain_model, self.form, turn, shown)


def read_again(job_path: Path, documents: Sequence[AskedDocument], *, simulated: bool) -> list[Reread | Unreadable]:
    """Read documents through the source of their job, in order, as a run would. Whatever is in the way is a reason."""
    return list(reading_again(job_path, documents, simulated=simulated))


def reading_again(
    job_path: Path, documents: Sequence[AskedDocument], *, simulated: bool, seconds: float = threading.TIMEOUT_MAX
) -> Iterator[Reread | Unreadable]:
    """Yield what `read_again` returns, with only a few documents in memory.

    After so many `seconds` the document that is being read is given up, and the documents behind it are not read.
    """
    done, why = 0, OUT_OF_TIME
    try:
        with open_job(job_path, simulated=simulated, to_run=False) as opened, _ended(opened.pool, seconds) as over:
            for one in _read(opened, documents, over):
                done += 1
                yield one
    except BatchrunError as error:
        why = f"the job cannot be opened today: {error}"
    yield from (_unreadable(one, why) for one in documents[done:])


@contextmanager
def _ended(pool: Pool, seconds: float) -> Iterator[threading.Event]:
    """End the workers after so many seconds, whatever they do. Returns the event that tells that they ended."""
    over = threading.Event()

    def end() -> None:
        over.set()
        pool.shutdown(wait=False)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


def _read(opened: OpenJob, documents: Sequence[AskedDocument], over: threading.Event) -> Iterator[Reread | Unreadable]:
    """Yield documents until the time is over. A document with boxes is read by itself: a picture may take long."""
    planner = opened.planner(SubmitOptions(pay_again=True))
    of_source, merger = planner.workers.prepare, planner.merger
    prepare = merger.preparing(opened.ledger, of_source) if merger else of_source
    numbered = enumerate(documents)
    for _, group in groupby(numbered, lambda one: (one[0] // AT_ONCE, one[0] if one[1].boxes else None)):
        some = [document for _, document in group]
        if over.is_set():
            return
        try:
            found = prepare([Wanted(one.ref, one.max_tokens, counts=False, boxes=one.boxes) for one in some])
        except (RuntimeError, CancelledError):
            if over.is_set():
                return
            raise
        yield from (_reread(opened, *both) for both in zip(some, found, strict=True))


def _reread(opened: OpenJob, document: AskedDocument, found: Prepared | Unreadable) -> Reread | Unreadable:
    if isinstance(found, Unreadable) and found.reason != CHANGED:
        return _unreadable(document, f"the document cannot be read today: {found.reason}")
    if isinstance(found, Unreadable) or found.content_sha != document.content_sha:
        return _unreadable(document, HAS_CHANGED)
    models = opened.chain.models
    requests = zip(models, opened.chain.requests(found.request), strict=True)
    asked = next((one for one in requests if one[1].request_id == document.request_id), None)
    return Reread(found.text, opened.job.form, asked, found.pictures)


def _unreadable(document: AskedDocument, reason: str) -> Unreadable:
    return Unreadable(document.ref.doc_id, document.ref.source, reason)
