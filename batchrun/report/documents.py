"""The documents of a run that its report shows: every problem up to a bound, and a sample that is always the same."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from batchrun.answers.evidence_boxes import entries_of
from batchrun.catalog.money import DOLLAR
from batchrun.document import Unreadable
from batchrun.documents.formats.pdf_boxes import Box
from batchrun.documents.formats.pdf_pictures import PagePicture
from batchrun.report.facts import RunReport
from batchrun.report.texts import plain_reason
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.document_story import document_story
from batchrun.store.reports.run_answers import EXACT, RunAnswer, RunDocument, run_answers, run_documents
from batchrun.store.reports.runs import RunStory
from batchrun.workflow.asked_parts import AskedPart, asked_document, asked_parts, text_of
from batchrun.workflow.evidence_context import SENDS_LESS, FieldEvidence, field_evidence
from batchrun.workflow.read_again import AskedDocument, Reread, reading_again

SAMPLE = 60
MOST_PROBLEMS, MOST_SAMPLE = 400, 200
"""How many documents with a problem, and how many others, a report shows."""
MOST_READ = 120
"""How many documents, or parts of long ones, are read again for a report."""
READING_S = 30.0
"""Documents are read again for so many seconds at most: a hostile PDF may take as long as it likes."""
MOST_PARTS = 4
"""How many parts of one long document are read again."""
BEGINNING = 600
"""How many characters of a document are shown in which no quote has a place."""
MOST_PICTURES, MOST_PAGES = 12, 2
"""How many pages a report shows as pictures, and how many of one document or part."""
MOST_PICTURE_BYTES = 270_000
ASKED_AGAIN = "the document was asked again after this run, so that the text of this run is not known"
NOT_READ = f"a report reads no more than {MOST_READ // 2} documents with a problem again, and as many others"
NO_TEXT = "only the model can read the document, as with a scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a report shows of documents."""

    sample: int = SAMPLE
    """How many documents without a problem are shown."""
    has_texts: bool = True
    """Whether anything is shown that documents or answers say."""
    job_path: Path | None = None
    """The job file through which documents are read again. None if no document is read again."""


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """A document with its answer, and with what the document says. All texts are as others wrote them."""

    found: RunDocument
    source: str = ""
    values: Mapping[str, Any] | None = None
    """The answer by field. None without an answer, or if no texts are wanted."""
    evidence: Sequence[FieldEvidence] = ()
    beginning: str = ""
    """The beginning of the document, if no quote has a place in the document."""
    unread: str | None = None
    """Why not all of the document is shown. None if all is, or if nothing is wanted."""
    pictures: Sequence[PagePicture] = ()
    pictured: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """The fields that the boxes of a picture are about, in the order of the boxes, by page."""


@dataclass(frozen=True, slots=True)
class ReportDocuments:
    """The documents that a report shows."""

    shown: Sequence[ReportDocument]
    """The documents with a problem first; otherwise in the order of the ids."""
    total: int
    """How many documents the run was about."""
    problems: int
    """How many of them have a problem, shown or not."""
    has_texts: bool


def report_documents(ledger: Ledger, report: RunReport, wanted: Wanted) -> ReportDocuments:
    """Choose the documents of a run's report, and read what is wanted of the documents."""
    (others, problems), chosen = _chosen(
        run_documents(ledger, report.story.run_no, about=report.documents), min(wanted.sample, MOST_SAMPLE)
    )
    if wanted.has_texts:
        shown = list(_Reading(ledger, report.story, wanted.job_path).documents(chosen))
    else:
        fields = [one.field for one in report.fields]
        reasons = [plain_reason(one.reason, one.outcome, fields) for one in chosen]
        shown = [ReportDocument(replace(one, reason=said)) for one, said in zip(chosen, reasons, strict=True)]
    return ReportDocuments(shown, others + problems, problems, wanted.has_texts)


def _chosen(documents: Iterable[RunDocument], sample: int) -> tuple[list[int], list[RunDocument]]:
    """Choose documents by the hashes of their ids, which is as good as chance and the same each time.

    Returns also how many documents have no problem, and how many have one.
    """
    counts, kept = [0, 0], (list[tuple[int, RunDocument]](), list[tuple[int, RunDocument]]())
    for one in documents:
        counts[one.failed] += 1
        if one.outcome is None:  # there is nothing to show yet
            continue
        heap, most = kept[one.failed], MOST_PROBLEMS if one.failed else sample
        heapq.heappush(heap, (-int.from_bytes(sha256(one.doc_id.encode("utf-8", "surrogatepass")).digest()), one))
        if len(heap) > most:
            heapq.heappop(heap)
    return counts, sorted((one for heap in kept for _, one in heap), key=lambda one: (not one.failed, one.doc_id))


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a document is read again, with the boxes whose pages are wanted, each with its field."""

    part: AskedPart
    marks: Sequence[tuple[str, Box]]

    @property
    def text(self) -> AskedDocument:
        """The document as its text is read again."""
        return asked_document(self.part.story)

    @property
    def pages(self) -> AskedDocument:
        """The document as it is read again for pictures of its pages."""
        return replace(self.text, boxes=tuple(box for _, box in self.marks))


class _Reading:
    """Reads the chosen documents again, within the bounds of a report."""

    def __init__(self, ledger: Ledger, story: RunStory, job_path: Path | None) -> None:
        self._ledger, self._story, self._job_path = ledger, story, job_path
        self._reads = dict.fromkeys((True, False), MOST_READ // 2)
        """What is left to be read again of documents with a problem, and of others."""
        self._pages, self._bytes = MOST_PICTURES, MOST_PICTURE_BYTES

    def documents(self, chosen: Sequence[RunDocument]) -> Iterator[ReportDocument]:
        """Yield the documents with their answers and texts."""
        ids = [one.doc_id for one in chosen]
        answers = {one.doc_id: one for one in run_answers(self._ledger, self._story.run_no, among=ids)}
        plans = [self._planned(one, answers[one.doc_id]) for one in chosen]
        reading = [part for _, parts in plans for part in parts]
        asked = [*(part.text for part in reading), *(part.pages for part in reading if part.marks)]
        found: Iterator[Reread | Unreadable] = iter(())
        if self._job_path and asked:
            found = reading_again(self._job_path, asked, simulated=self._story.simulated, seconds=READING_S)
        # Pictures come last: a page that takes all the time takes no text of another document.
        with_texts = [
            _with_texts(document, [(part, next(found)) for part in parts]) if parts else document
            for document, parts in plans
        ]
        for document, (_, parts) in zip(with_texts, plans, strict=True):
            marked = [part for part in parts if part.marks]
            yield self._with_pictures(document, [(part, next(found)) for part in marked]) if marked else document

    def _planned(self, found: RunDocument, answer: RunAnswer) -> tuple[ReportDocument, Sequence[_Part]]:
        """Look up how a document was asked, and choose what of the document is read again."""
        story = document_story(self._ledger, self._story.job, found.doc_id)
        document = ReportDocument(found, story["source"] if story else "")
        if answer.outcome != found.outcome and answer.outcome:
            return replace(document, unread=ASKED_AGAIN), ()
        document = replace(document, values=answer.values)
        if story is None or not _is_of(answer, story):
            evidence = field_evidence(answer.findings.get("evidence", {}), None, part=None)
            return replace(document, evidence=evidence, unread=ASKED_AGAIN if answer.values else None), ()
        if "parts" in story:
            document = replace(document, found=replace(found, cost_nusd=round(story["cost_usd"] * DOLLAR)))
        parts = list(asked_parts(story))
        evidence = [one for part in parts for one in _evidence(part, None)]
        document = replace(document, evidence=evidence)
        readable = [part for part in parts if part.story["request_id"] and part.story["content_sha"]]
        if self._job_path is None or not readable:
            return document, ()
        quoting = [part for part in readable if part.of_fields("evidence")] or readable[:1]
        reading = quoting[: min(MOST_PARTS, self._reads[found.failed])]
        self._reads[found.failed] -= len(reading)
        return replace(document, unread=NOT_READ), [_Part(part, self._marks(part)) for part in reading]

    def _marks(self, part: AskedPart) -> list[tuple[str, Box]]:
        """Choose the boxes whose pages are shown as pictures."""
        marks = [
            (name, Box(**box))
            for name, told in part.of_fields("evidence").items()
            for entry in entries_of(told)
            for box in entry.get("boxes", ())
        ]
        pages = sorted({box.page for _, box in marks})[: min(MOST_PAGES, self._pages)]
        self._pages -= len(pages)
        return [mark for mark in marks if mark[1].page in pages]

    def _with_pictures(
        self, document: ReportDocument, read: Sequence[tuple[_Part, Reread | Unreadable]]
    ) -> ReportDocument:
        """Add pages as pictures, or why there are none."""
        pictured = defaultdict[int, list[str]](list)
        for name, box in (mark for part, _ in read for mark in part.marks):
            pictured[box.page].append(name)
        return replace(
            document,
            pictures=[
                one for _, found in read if isinstance(found, Reread) for one in found.pictures if self._takes(one)
            ],
            pictured=pictured,
            unread=document.unread or next((one.reason for _, one in read if isinstance(one, Unreadable)), None),
        )

    def _takes(self, picture: PagePicture) -> bool:
        """Whether a picture still fits into the report."""
        fits = len(picture.png) <= self._bytes
        self._bytes -= len(picture.png) if fits else 0
        return fits


def _with_texts(document: ReportDocument, read: Sequence[tuple[_Part, Reread | Unreadable]]) -> ReportDocument:
    """Add what a document says around its quotes, or why that is not known."""
    texts = {one.part.number: text_of(found) for one, found in read}
    evidence = [one for part, _ in read for one in _evidence(part.part, texts[part.part.number])]
    others = [one for one in document.evidence if one.part not in texts]
    has_context = any(one.context for one in evidence)
    return replace(
        document,
        evidence=[*evidence, *others],
        beginning="" if has_context else next(filter(None, texts.values()), "")[:BEGINNING],
        unread=_why_unread(evidence, [found for _, found in read]),
    )


def _is_of(answer: RunAnswer, story: Mapping[str, Any]) -> bool:
    """Whether what the ledger has of a document now is what the run has answered."""
    if "parts" in story:
        return bool(EXACT.decode(story["output"] or "null") == answer.values)
    return bool(story["request_id"] == answer.request_id)


def _evidence(part: AskedPart, text: str | None) -> list[FieldEvidence]:
    return field_evidence(part.of_fields("evidence"), text, part=part.number)


def _why_unread(evidence: Sequence[FieldEvidence], read: Sequence[Reread | Unreadable]) -> str | None:
    """Say why something of a document is not shown. Returns None if all is shown that there is."""
    if reasons := [one.reason.partition("\n")[0] for one in read if isinstance(one, Unreadable)]:
        return reasons[0]
    if not any(map(text_of, read)):
        return NO_TEXT
    return SENDS_LESS if any(one.told.get("spans") and not one.context for one in evidence) else None
