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


def share(number: float) -> str:
    """`1%`, `0.5%`."""
    return f"{100 * number:g}%"


def needs(max_error: float, cells: int) -> str:
    """Say how many fields drawn at random have to be reviewed before a promise can be made of so many fields."""
    needed = [reviews_needed(max_error, errors, cells) for errors in range(3)]
    said = [f"{number:,} if {errors} are wrong" for errors, number in enumerate(needed) if number is not None]
    said[0] = said[0].replace("0 are", "none is")
    few = ", ".join(said).replace("if 1 are", "if 1 is")
    return f"{few}: so many of {count(cells, 'field')} are reviewed for a promise of at most {share(max_error)}"


def promise(standing: Standing) -> str | None:
    """Return the promise that can be made now. Returns None if there is none."""
    queue, audit = standing.queue, standing.audit
    if not queue.promised:
        return None
    accepted = f"Of the {count(queue.accepted_cells, 'field')} accepted without a person's eye"
    found = f"found on {count(queue.audited, 'field')} drawn at random, {_wrong(standing)}"
    said = (
        f"{accepted}, at most {share(audit.max_error)} are wrong, with 95% confidence; {found}. It holds for these"
        " documents, this score and the reviewers' own eye; an added document is not covered."
    )
    if audit.ordinal > 1:
        said += f" It is audit {audit.ordinal} of this job: the risks of all {audit.ordinal} add up."
    return said


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
    seen, wrong = standing.least_suspicious
    if not standing.is_hopeless:
        return f"none yet: about {count(standing.more_needed or 1, 'more field')}, none of them wrong"
    return (
        f"none: of {count(seen, 'field')} drawn at random from the {len(standing.first_accepted):,} least suspicious"
        f" documents {wrong:,} are wrong, and at most {share(standing.audit.max_error)} may be. The signals do not tell"
        " right answers from wrong ones well enough, or too many are wrong: review all, or improve the prompt"
    )


def standing_lines(standing: Standing) -> Iterator[str]:
    """Yield the lines on an audit, its queue and its promise."""
    audit, documents = standing.audit, len(standing.audit.documents)
    wrong = sum(is_wrong for _, is_wrong in standing.audited)
    yield (
        f"audit    opened {utc(audit.opened_at)} (UTC), {count(documents, 'document')} x"
        f" {count(len(audit.fields), 'field')}, seed {audit.seed}"
    )
    yield f"needs    {needs(audit.max_error, standing.cells)}"
    yield f"drawn    {len(standing.audited):,} of about {count(standing.planned, 'field')} planned, {wrong:,} wrong"
    if standing.queue.promised:
        queue = len(standing.queue.documents)
        yield f"queue    {count(queue, 'document')} to be reviewed whole, {standing.queue_left:,} of them left"
    yield f"promise  {standing_words(standing)}"
    if standing.changed or standing.added:
        yield (
            f"not in   {count(len(standing.changed), 'answer')} changed and {count(standing.added, 'document')} added"
            " since are not covered; --open opens an audit over the answers as they are now"
        )


def standing_fields(standing: Standing) -> Mapping[str, Any]:
    """Return the same for programs."""
    audit, queue = standing.audit, standing.queue
    needed = {str(errors): reviews_needed(audit.max_error, errors, standing.cells) for errors in range(3)}
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
        "accepted_fields": queue.accepted_cells,
        "queue_share": queue.share,
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
