"""The request for a document as it was sent, made again from the document and the job file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchrun.answers.progress import Turn
from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.terminal import Terminal
from batchrun.document import Unreadable
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control, readable_json
from batchrun.masking import masked
from batchrun.providers.anthropic.conversation import Said, conversation
from batchrun.request import Request
from batchrun.workflow.asked_parts import asked_document
from batchrun.workflow.read_again import read_again

LEAVE_OUT = "leave out --prompt to see what is remembered"


def show_request(
    found: FoundRun, story: Mapping[str, Any], attempt: Mapping[str, Any] | None, terminal: Terminal
) -> None:
    """Print the texts of a request as an attempt sent them. Raises UsageProblem if they cannot be made again."""
    request = sent_request(found, story, attempt)
    said = conversation(request)
    if terminal.json:
        told = {"doc_id": story["doc_id"], "request_id": request.request_id, "model": request.model}
        texts = [{"role": one.role, "text": one.text} for one in said]
        terminal.result(readable_json({**told, "max_tokens": request.max_tokens, "texts": texts}, indent=2))
        return
    terminal.exact(masked("\n".join(request_lines(said))) + "\n")


def sent_request(found: FoundRun, story: Mapping[str, Any], attempt: Mapping[str, Any] | None) -> Request:
    """Make the request of an attempt again; without an attempt, the request that is due. Raises UsageProblem."""
    if story["request_id"] is None:
        raise UsageProblem(f"no request was made for {story['doc_id']}: {story['reason']}", hint=LEAVE_OUT)
    turn = Turn.of((attempt or story)["turn"] or {})
    shown = None if turn.shows is None else found.ledger.reply(turn.shows)
    (document,) = read_again(found.job_path, [asked_document(story)], simulated=found.story.simulated)
    if isinstance(document, Unreadable):
        raise UsageProblem(f"the request cannot be made again: {document.reason}", hint=LEAVE_OUT)
    request = document.turn(turn, shown)
    if request is None:
        raise UsageProblem("the request cannot be made again: the job asks otherwise today", hint=LEAVE_OUT)
    return request


def request_lines(said: Sequence[Said]) -> Iterator[str]:
    """Yield the texts, each under the name of who says it, and further in, so that no text can look like a name."""
    for one in said:
        yield one.role
        yield from (f"    {escape_control(line)}" if line else "" for line in one.text.split("\n"))
