"""A document that was tried: the request as it was sent, and what came of it."""

from batchrun.answers.progress import Turn
from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.document_text import DocumentView, show_document
from batchrun.cli.views.format import labelled
from batchrun.cli.views.origin_text import origins_of
from batchrun.cli.views.request_text import request_lines
from batchrun.cli.views.terminal import Terminal
from batchrun.document import Unreadable
from batchrun.providers.anthropic.conversation import conversation
from batchrun.store.reports.document_story import document_story
from batchrun.workflow.asked_parts import asked_document, asked_parts
from batchrun.workflow.read_again import read_again


def show_tried(found: FoundRun, doc_id: str, terminal: Terminal) -> None:
    """Print the prompt and the document, and then all that is known of the answer; on a terminal, what fits.

    In JSON there is one event for each document.
    """
    story = document_story(found.ledger, found.story.job, doc_id)
    assert story is not None  # the plan of the try has the document
    first = next(iter(asked_parts(story))).story
    (read,) = read_again(found.job_path, [asked_document(first)], simulated=found.story.simulated)
    request = None if isinstance(read, Unreadable) else read.turn(Turn(), None)
    said, text = conversation(request) if request else [], "" if isinstance(read, Unreadable) else read.text or ""
    if terminal.json:
        texts = [{"role": one.role, "text": one.text} for one in said]
        told = {**story, **origins_of(found, story).as_json, "simulated": found.story.simulated}
        terminal.event("tried", texts=texts, text=text, **told)
        return
    if isinstance(read, Unreadable):
        terminal.result(f"\nthe request cannot be shown: {read.reason}")
    elif (width := terminal.width()) is None:
        terminal.result("\n".join(["", *request_lines(said)]))
    else:
        shown = [*((one.role, one.text) for one in said), ("document", text)]
        terminal.result("\n".join(["", *(line for one in shown for line in labelled(*one, width=width, indent=0))]))
    show_document(found, doc_id, DocumentView(), terminal)
