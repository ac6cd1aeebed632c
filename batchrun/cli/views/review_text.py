"""How a review stands, for people and for programs: what the promise needs, and the promise itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.cli.views.evidence_text import evidence_lines, excerpt_lines
from batchrun.cli.views.format import count, cut, fitted, iso, labelled, utc
from batchrun.cli.views.review_cell import ShownCell
from batchrun.escaping import escape_control
from batchrun.quality.review.standing import Standing
from batchrun.statistics.audit import reviews_needed
from batchrun.store.ledger.audits import Review

ERRORS = ("if none of them is wrong", "if one is", "if two are")
"""The numbers of wrong fields, among the drawn ones, for which people are told what a promise needs."""


def needs(max_error: float, cells: int) -> str:
    """Say how many fields drawn at random have to be reviewed before a promise can be made of so many fields."""
    if not cells:
        return "There is no answer that could be reviewed."
    needed = [(reviews_needed(max_error, errors, cells), words) for errors, words in enumerate(ERRORS)]
    (first, of_first), *more = [(f"{number:,}", words) for number, words in needed if number is not None]
    said = ", ".join([f"{first} of the {count(cells, 'field')} {of_first}", *map(" ".join, more)])
    return f"A promise of at most {_percent(max_error)} takes {said}."


def promise(standing: Standing) -> str | None:
    """Return the promise that can be made now. Returns None if there is none."""
    tested, audit = standing.queue.tested, standing.audit
    if not standing.queue.promised:
        return None
    said = (
        f"Of the {count(tested.total, 'field')} accepted without a person's eye, at most {_percent(audit.max_error)}"
        f" are wrong, with 95% confidence; found on {count(tested.seen, 'field')} drawn at random, {_wrong(standing)}."
        " It holds for these documents, this score and the reviewers' own eye; an added document is not covered."
    )
    if audit.ordinal > 1:
        said += f" It is audit {audit.ordinal} of this job: the risks of all {audit.ordinal} add up."
    return said


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _wrong(standing: Standing) -> str:
    queued = set(standing.queue.documents)
    wrong = [cell for cell, is_wrong in standing.audited if is_wrong and cell.doc_id not in queued]
    mended = sum(cell in standing.reviews and standing.reviews[cell].value is not None for cell in wrong)
    if not wrong:
        return "0 wrong"
    return f"{len(wrong):,} wrong, {'mended' if mended == len(wrong) else f'{mended:,} of them mended'}"


def standing_words(standing: Standing) -> str:
    """Return the promise, or say why there is none and what can be done."""
    if said := promise(standing):
        return said
    tested, audit = standing.queue.tested, standing.audit
    least = f"the {count(tested.total // len(audit.fields), 'least suspicious document')}"
    if not standing.is_hopeless:
        at_first = f"; only those of {least} count at first" if tested.total < standing.cells else ""
        return (
            f"None yet: it takes about {count(standing.more_needed or 1, 'more field')}, none of them wrong{at_first}."
        )
    return (
        f"None: {count(tested.seen, 'field')} drawn at random from {least} had {count(tested.wrong, 'error')}, and at"
        f" most {_percent(audit.max_error)} may be wrong. The signals do not tell right answers from wrong ones well"
        " enough, or too many are wrong: review all, or improve the prompt."
    )


def standing_lines(standing: Standing) -> Iterator[str]:
    """Yield the lines on a promise, its audit and its queue."""
    audit, wrong = standing.audit, sum(is_wrong for _, is_wrong in standing.audited)
    documents, fields = count(len(audit.documents), "document"), count(len(audit.fields), "field")
    yield f"promise  {standing_words(standing)}"
    yield f"needs    {needs(audit.max_error, standing.cells)}"
    yield f"audit    opened {utc(audit.opened_at)} (UTC), {documents} x {fields}, seed {audit.seed}"
    yield f"drawn    {len(standing.audited):,} of about {count(standing.planned, 'field')} planned, {wrong:,} wrong"
    if standing.queue.promised and standing.queue.documents:
        queue = count(len(standing.queue.documents), "document")
        yield f"queue    {queue} to be reviewed whole, {standing.queue_left:,} of them left"
    if standing.changed or standing.added:
        yield (
            f"not in   {count(len(standing.changed), 'answer')} changed and {count(standing.added, 'document')} added"
            " since are not covered; --open opens an audit over the answers as they are now"
        )


def standing_fields(standing: Standing) -> Mapping[str, Any]:
    """Return the same for programs."""
    audit, queue = standing.audit, standing.queue
    needed = {str(errors): reviews_needed(audit.max_error, errors, standing.cells) for errors in range(len(ERRORS))}
    return {
        "audit": audit.audit_id,
        "opened_at": iso(audit.opened_at),
        "max_error": audit.max_error,
        "seed": audit.seed,
        "documents": len(audit.documents),
        "fields": list(audit.fields),
        "reviews_needed": needed,
        "planned": standing.planned,
        "drawn": len(standing.audited),
        "wrong": sum(wrong for _, wrong in standing.audited),
        "promised": queue.promised,
        "promise": promise(standing),
        "hopeless": standing.is_hopeless,
        "accepted_fields": queue.tested.total if queue.promised else 0,
        "queue_documents": len(queue.documents),
        "queue_left": standing.queue_left,
        "changed": len(standing.changed),
        "added": standing.added,
    }


def cell_lines(shown: ShownCell, earlier: Review | None, width: int | None) -> Iterator[str]:
    """Yield the lines on a field: its value, what the document says, and what was said of the field before."""
    yield cut(f"{escape_control(shown.cell.field)} of {escape_control(shown.cell.doc_id)}", width)
    if shown.source != shown.cell.doc_id:
        yield cut(f"  source   {escape_control(shown.source)}", width)
    yield from labelled("value", shown.value, width=width)
    if earlier:
        yield f"  before   {earlier.verdict} by {escape_control(earlier.reviewer)}"
    if shown.problem:
        yield from labelled("document", f"not shown: {shown.problem}", width=width)
    if any(one.context for one in shown.evidence):
        yield from evidence_lines(shown.evidence, width)
        return
    yield from evidence_lines([one for one in shown.evidence if one.told.get("status") != "none"], width)
    for excerpt in shown.excerpts:
        if excerpt.quote:
            yield from excerpt_lines(excerpt, width)
        else:
            yield from text_lines(excerpt.behind, width)


def text_lines(text: str, width: int | None) -> Iterator[str]:
    """Yield the lines of a document, or of a part of it."""
    for line in text.splitlines():
        yield from (f"      | {part}" for part in fitted(line, (width or 100) - 8))
