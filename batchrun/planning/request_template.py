"""The part that all requests of one job share, and the making of a request from a document."""

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from typing import Any

from batchrun.answers.asking import ToolChoice
from batchrun.answers.form import AnswerForm
from batchrun.document import Document
from batchrun.job.load import JobFile
from batchrun.job.render import Renderer
from batchrun.providers.anthropic.wire import (
    content_around,
    fixed_params,
    message_request,
    with_asking,
    without_asking,
)
from batchrun.request import Request


class RequestTemplate:
    """Makes the requests of one job. The same job and document always give the same bytes."""

    def __init__(self, job: JobFile, *, tool_choice: ToolChoice = "forced") -> None:
        """Take a job; `tool_choice` is what the job's own model takes, if the job asks by a tool."""
        model = job.spec.model
        self._tool_choice: ToolChoice = tool_choice
        self._form = job.form
        self._provider_type = job.providers.identity(model.name)
        self.renderer = Renderer(job, tool_choice=tool_choice)
        self._fixed = fixed_params(
            model=model.name,
            max_tokens=model.max_tokens,
            asking=self.renderer.asking,
            effort=model.effort,
            thinking=model.thinking,
            budget_tokens=model.budget_tokens,
            system=self.renderer.system,
            turns=self.renderer.turns,
        )

    def __getstate__(self) -> dict[str, object]:
        """Leave out hashes: whatever process gets the template computes its own."""
        return {name: value for name, value in self.__dict__.items() if name not in {"prompt_sha", "fingerprint"}}

    def request(self, document: Document, *, max_tokens: int | None = None) -> Request:
        """Make the request for a document; `max_tokens` replaces the job's."""
        if document.native:
            content: str | list[Any] = content_around(document.native, *self.renderer.around(document))
        else:
            content = self.renderer.content(document)
        request = message_request(self._fixed, content, max_tokens=max_tokens, words=self._words)
        return replace(request, votes=self._form.votes, provider_type=self._provider_type)

    def bare_request(self) -> Request | None:
        """Make the request without any document, to have its fixed part counted. Returns None if nothing is left."""
        content = self.renderer.bare_content
        return message_request(self._fixed, content, words=self._words) if content or self._words else None

    @property
    def countable_form(self) -> AnswerForm:
        """The form with which requests are counted: a group of fields where the API may refuse all fields together."""
        groups = () if self._words else self._form.groups
        return self._form.only(groups[0]) if groups else self._form

    def countable(self, request: Request) -> Request:
        """Return the request as the API counts it, with the countable form."""
        if self.countable_form == self._form:
            return request
        asking = self.renderer.mode.ask(self.countable_form, self._tool_choice)
        return Request.of(json.loads(with_asking(request, self.renderer.asking, asking).wire))

    @cached_property
    def prompt_sha(self) -> str:
        """SHA-256 over what requests have beside their document and the form of their answers."""
        fixed = without_asking(self._fixed)
        return hashlib.sha256(message_request(fixed, self.renderer.content_parts).body).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything but the document: the fingerprint changes exactly when every request would."""
        whole = message_request(self._fixed, self.renderer.content_parts, words=self._words)
        return replace(whole, votes=self._form.votes, provider_type=self._provider_type).sha

    @property
    def _words(self) -> str:
        return self.renderer.asking.words
