"""Reviewing at a terminal: one key for each field. What was said is recorded before the next field is shown."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from batchrun.cli.views.review_cell import ShownCell, shown_cells
from batchrun.cli.views.review_text import cell_lines, standing_words, text_lines
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.job.field_types import ArrayField, ObjectField
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Cell, Drawn, Verdict
from batchrun.workflow.review import OpenReview

KEYS = "a accept, c correct, r reject, s skip, b back, m more text, q quit"
OF_QUEUE = "A accept all of the document, "
VERDICTS: dict[str, Verdict] = {"a": "accepted", "r": "rejected"}
LARGE = (ArrayField, ObjectField)
"""Fields whose values are corrected in an editor, because nobody types them again."""


@dataclass
class Session:
    """A person at a terminal who reviews one field after the other."""

    opened: OpenReview
    standing: Standing
    terminal: Terminal
    only: Drawn | None
    """The stream that the person has chosen; None leaves the choice to the standing of the audit."""
    reviewer: str
    saved: set[Cell] = field(default_factory=set)
    skipped: set[Cell] = field(default_factory=set)
    before: list[tuple[Cell, Drawn]] = field(default_factory=list)
    """What was reviewed here, in order, for going back."""

    def run(self) -> None:
        """Ask for one field after the other until the person quits or none is left."""
        asked = self.next()
        while asked:
            asked = self._asked(*asked)

    def next(self) -> tuple[Cell, Drawn] | None:
        """Return the field that is asked next, and its stream. Returns None if none is left."""
        drawn = self.only or self.standing.next_drawn
        cells = (cell for cell in self.standing.upcoming(drawn) if cell not in self.skipped)
        return next(((cell, drawn) for cell in cells), None)

    def _asked(self, cell: Cell, drawn: Drawn) -> tuple[Cell, Drawn] | None:
        """Ask about a field until something follows. Returns the next field, or None if the person quits."""
        (shown,) = shown_cells(self.opened, self.standing.audit, [cell])
        width = self.terminal.width()
        lines = cell_lines(shown, self.standing.reviews.get(cell), width)
        self.terminal.result("\n".join(["", self._progress(drawn), *lines]))
        while True:
            self.terminal.result(f"  {OF_QUEUE if drawn == 'queue' else ''}{KEYS}")
            match _key():
                case "q":
                    return None
                case "s":
                    self.skipped.add(cell)
                    return self.next()
                case "b" if self.before:
                    return self.before.pop()
                case "m":
                    self.terminal.result("\n".join(text_lines(f"{shown.value}\n\n{shown.text}", width)))
                case "a" | "r" as key if self._recorded([cell], drawn, VERDICTS[key]):
                    return self.next()
                case "c" if (typed := self._typed(shown)) and self._recorded([cell], drawn, "corrected", typed):
                    return self.next()
                case "A" if drawn == "queue":
                    left = [one for one in self.standing.upcoming("queue") if one.doc_id == cell.doc_id]
                    if self._recorded(left, drawn, "accepted"):
                        return self.next()

    def _progress(self, drawn: Drawn) -> str:
        standing = self.standing
        if drawn == "audit":
            return f"drawn {len(standing.audited) + 1:,} of about {standing.planned:,}"
        return f"queue, {standing.queue_left:,} of {len(standing.queue.documents):,} documents left"

    def _typed(self, shown: ShownCell) -> str | None:
        """Let the person type the right value. Returns nothing if nothing was typed."""
        try:
            if isinstance(self.opened.job.job.spec.output.fields[shown.cell.field], LARGE):
                return click.edit(shown.value, extension=".json")
            return str(click.prompt("right value, or nothing to leave it", default="", show_default=False)).strip()
        except click.Abort:  # Ctrl-C, which takes the key back
            return None
        except click.ClickException as error:  # there is no such editor
            self.terminal.say(error.format_message())
            return None

    def _recorded(self, cells: Sequence[Cell], drawn: Drawn, verdict: Verdict, typed: str | None = None) -> bool:
        """Record what a person says of fields. Returns whether it could be recorded, and else says why not."""
        review, standing = self.opened.review, self.standing
        try:
            said = [review(standing.audit, cell, drawn, verdict, typed=typed, reviewer=self.reviewer) for cell in cells]
        except UsageProblem as problem:
            self.terminal.say(self.terminal.problem_text(problem, sys.stderr))
            return False
        self.standing = self.opened.record(standing, said)
        self.saved.update(cells)
        self.before += [(cell, drawn) for cell in cells]
        is_new = self.standing.queue.promised and not standing.queue.promised
        self.terminal.result(verdict + (f"\npromise  {standing_words(self.standing)}" if is_new else ""))
        return True


def _key() -> str:
    """Wait for a key. The end of the input quits, and so does Ctrl-C."""
    try:
        return click.getchar()
    except (EOFError, KeyboardInterrupt):
        return "q"
