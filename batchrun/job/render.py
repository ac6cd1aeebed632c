"""Makes the texts of a document's request: the user message, and the part of the message that is the document's."""

from dataclasses import replace
from functools import partial
from itertools import chain

from batchrun.answers.asking import ToolChoice
from batchrun.answers.modes import MODES
from batchrun.document import Document
from batchrun.escaping import well_formed
from batchrun.job.cache_breakpoint import CacheablePrefix
from batchrun.job.fence import fenced, with_fence_words
from batchrun.job.load import JobFile
from batchrun.job.template import Placeholder


class Renderer:
    """Makes the texts of one job's requests. The same job and document always give the same texts."""

    def __init__(self, job: JobFile, *, tool_choice: ToolChoice) -> None:
        self._job = job
        self.mode = MODES[job.form.mode]
        self.asking = self.mode.ask(job.form, tool_choice)
        self._has_fence = job.spec.prompt.fence
        self._shown = frozenset(placeholder.name for placeholder in job.user.placeholders)
        self.system = with_fence_words(job.system) if self._has_fence else job.system
        written = partial(self.mode.write, job.form)
        self.turns = tuple((self.content(one.document), written(one.output)) for one in job.examples)
        """What is said before every document: the user message of each example, and the answer."""

    def content(self, document: Document) -> str:
        """Write the user message for a document."""
        return well_formed(self._job.user.render(self._fenced(document)))

    def around(self, document: Document) -> tuple[str, str]:
        """Write what the user message says before and behind a document's file."""
        # The text of the file is not sent, and so has no say in the fence around the columns.
        before, behind = self._job.user.render_around(self._fenced(replace(document, text="")))
        return well_formed(before), well_formed(behind)

    def _fenced(self, document: Document) -> Document:
        return fenced(document, self._shown) if self._has_fence else document

    @property
    def bare_content(self) -> str:
        """The user message without any document, for counting the fixed part; empty when only space would be left."""
        nothing = Document("", "", "", dict.fromkeys(self._job.user.names, ""))
        content = self.content(nothing)
        return content if content.strip() else ""

    @property
    def content_parts(self) -> list[object]:
        """The template of the user message as JSON: texts, and the names of what a document puts between the texts."""
        return [{"name": part.name} if isinstance(part, Placeholder) else part for part in self._job.user.parts]

    @property
    def prompt_text(self) -> str:
        """The part of the prompt that every request has, for counting its tokens: system prompt, template and words.

        The marks of a fence belong to this part: every document has other digits, and as many.
        """
        template = [self.bare_content] if self._has_fence else self._job.user.literals
        before, behind = filter(None, [self.system]), filter(None, [self.asking.words])
        return "\n".join([*before, *chain(*self.turns), *template, *behind])

    @property
    def prefix(self) -> CacheablePrefix:
        """The part with which every request begins, for the prompt cache."""
        first = self._job.user.parts[0]
        opening = first if isinstance(first, str) else ""
        return CacheablePrefix(system=self.system, opening=opening, turns=tuple(chain(*self.turns)))

    @property
    def document_turns(self) -> int:
        """How many turns ask about a document behind the same text. 1 where each group's schema comes before it."""
        form = self._job.form
        return max(1, len(form.groups)) * form.least_votes if self.asking.words or not form.groups else 1

    def document_text(self, document: Document) -> str:
        """Return the document's part of the prompt, for counting its tokens: the text and the columns in use."""
        columns = [str(document.columns[name]) for name in sorted(self._job.user.names) if name in document.columns]
        return "\n".join([document.preface + document.text, *columns])
