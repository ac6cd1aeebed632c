"""Reviewing at a terminal: one key for each field. What was said is recorded before the next field is shown."""

import sys
from dataclasses import dataclass, field

import click

from batchrun.cli.find_run import FoundRun
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
LARGE = (ArrayField, ObjectField)
"""Fields whose values are corrected in an editor, because nobody types them again."""


@dataclass
class Session:
    """A person at a terminal who reviews one field after the other."""

    found: FoundRun
    opened: OpenReview
    standing: Standing
    terminal: Terminal
    reviewer: str
    only: Drawn | None
    """The stream that the person has chosen; None leaves the choice to the standing of the audit."""
    skipped: set[Cell] = field(default_factory=set)
    done: list[tuple[Cell, Drawn]] = field(default_factory=list)
    """What was reviewed here, in order, for going back."""

    def run(self) -> None:
        """Ask for one field after the other until the person quits or none is left."""
        cell_drawn = self._next()
        while cell_drawn:
            (shown,) = shown_cells(self.found, self.opened.audits, self.standing, [cell_drawn[0]])
            cell_drawn = self._asked(shown, cell_drawn[1])
        if self._next() is None:
            self.terminal.result("nothing is left to be reviewed" + (" in this stream" if self.only else ""))

    def _next(self) -> tuple[Cell, Drawn] | None:
        drawn = self.only or self.standing.next_drawn
        cells = (cell for cell in self.standing.upcoming(drawn) if cell not in self.skipped)
        return next(((cell, drawn) for cell in cells), None)

    def _asked(self, shown: ShownCell, drawn: Drawn) -> tuple[Cell, Drawn] | None:
        """Ask about a field until something follows. Returns the next field, or None if the person quits."""
        self.terminal.result(f"\n{self._progress(drawn)}")
        for line in cell_lines(shown, self.standing.reviews.get(shown.cell), self.terminal.width()):
            self.terminal.result(line)
        while True:
            self.terminal.result(f"  {OF_QUEUE if drawn == 'queue' else ''}{KEYS}")
            match _key():
                case "q":
                    return None
                case "s":
                    self.skipped.add(shown.cell)
                    return self._next()
                case "b" if self.done:
                    return self.done.pop()
                case "m":
                    for line in text_lines(f"{shown.value}\n\n{shown.text}", self.terminal.width()):
                        self.terminal.result(line)
                case "a" | "c" | "r" as key if self._said(shown, drawn, key):
                    return self._next()
                case "A" if drawn == "queue":
                    self._accept_all(shown.cell.doc_id)
                    return self._next()

    def _progress(self, drawn: Drawn) -> str:
        standing = self.standing
        if drawn == "audit":
            return f"drawn {len(standing.audited) + 1:,} of about {standing.planned:,}"
        return f"queue, {standing.queue_left:,} of {len(standing.queue.documents):,} documents left"

    def _said(self, shown: ShownCell, drawn: Drawn, key: str) -> bool:
        """Record what a key says of a field. Returns whether something was recorded."""
        verdicts: dict[str, Verdict] = {"a": "accepted", "c": "corrected", "r": "rejected"}
        typed = self._typed(shown) if key == "c" else None
        if key == "c" and not typed:
            return False
        try:
            self._record([shown.cell], drawn, verdicts[key], typed)
        except UsageProblem as problem:
            self.terminal.say(self.terminal.problem_text(problem, sys.stderr))
            return False
        self.done.append((shown.cell, drawn))
        return True

    def _typed(self, shown: ShownCell) -> str | None:
        """Let the person type the right value. Returns None for nothing typed."""
        if isinstance(self.opened.job.job.spec.output.fields[shown.cell.field], LARGE):
            return click.edit(shown.value, extension=".json")
        return str(click.prompt("right value, or nothing to leave it", default="", show_default=False)).strip()

    def _accept_all(self, doc_id: str) -> None:
        cells = [cell for cell in self.standing.upcoming("queue") if cell.doc_id == doc_id]
        self._record(cells, "queue", "accepted", None)
        self.done += [(cell, "queue") for cell in cells]

    def _record(self, cells: list[Cell], drawn: Drawn, verdict: Verdict, typed: str | None) -> None:
        reviews = [
            self.opened.review(self.standing.audit, cell, drawn, verdict, typed=typed, reviewer=self.reviewer)
            for cell in cells
        ]
        self.standing = self.opened.record(self.standing, reviews)
        self.terminal.result(f"{verdict}   promise: {standing_words(self.standing)}")


def _key() -> str:
    """Wait for a key. The end of the input quits, like `q`."""
    try:
        return click.getchar()
    except EOFError:
        return "q"
