"""From a document to the exact request that would be sent for it."""

import hashlib
import json
from functools import cached_property
from typing import Any

from batchrun.document import Document
from batchrun.job.cache_breakpoint import CacheablePrefix
from batchrun.job.load import JobFile
from batchrun.job.template import Placeholder
from batchrun.request import Request


class Renderer:
    """Makes the requests of one job. The same job and document always give the same bytes."""

    def __init__(self, job: JobFile) -> None:
        self._job = job
        self._schema = job.fields.api_schema
        self._params = self._fixed_params()

    def request(self, document: Document, *, max_tokens: int | None = None) -> Request:
        """Make the request for a document; `max_tokens` overrides the job's."""
        content = _well_formed(self._job.user.render(document))
        params = {**self._params, "messages": [{"role": "user", "content": content}]}
        return Request.of(params if max_tokens is None else {**params, "max_tokens": max_tokens})

    def bare_request(self) -> Request | None:
        """Make the request without any document, to have its fixed part counted; None when nothing would be left."""
        literals = "".join(self._job.user.literals)
        if not literals.strip():
            return None
        return Request.of({**self._params, "messages": [{"role": "user", "content": _well_formed(literals)}]})

    @property
    def prompt_text(self) -> str:
        """What of the prompt is the same in every request, for counting its tokens: system and template."""
        return "\n".join([*([self._job.system] if self._job.system else []), *self._job.user.literals])

    @property
    def prefix(self) -> CacheablePrefix:
        """What every request begins with, for the prompt cache."""
        first = self._job.user.parts[0]
        return CacheablePrefix(system=self._job.system, opening=first if isinstance(first, str) else "")

    @property
    def schema_text(self) -> str:
        """The schema as it is sent, for counting its tokens."""
        return json.dumps(self._schema, separators=(",", ":"), ensure_ascii=False)

    def document_text(self, document: Document) -> str:
        """What of the prompt is the document's, for counting its tokens: its text and the columns it shows."""
        columns = [str(document.columns[name]) for name in sorted(self._job.user.names) if name in document.columns]
        return "\n".join([document.text, *columns])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything but the document: it changes exactly when every request would."""
        parts = [{"name": part.name} if isinstance(part, Placeholder) else part for part in self._job.user.parts]
        params = {**self._params, "messages": [{"role": "user", "content": parts}]}
        return hashlib.sha256(Request.of(params).body).hexdigest()

    def _fixed_params(self) -> dict[str, Any]:
        model = self._job.spec.model
        output: dict[str, Any] = {"format": {"type": "json_schema", "schema": self._schema}}
        if model.effort is not None:
            output["effort"] = model.effort
        params: dict[str, Any] = {"model": model.name, "max_tokens": model.max_tokens, "output_config": output}
        if self._job.system is not None:
            params["system"] = self._job.system
        if model.thinking is not None:
            params["thinking"] = {"type": model.thinking}
        return params


def _well_formed(text: str) -> str:
    """Replace lone halves of characters (surrogates): JSON can write them, but no server takes them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
