"""The keys of a job file that decide what is asked and what becomes of an answer, in a form that a run's plan keeps.

A long value is kept as its SHA-256, and so is every text of a prompt: the words themselves are in the job's own files.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.job.load import JobFile
from batchrun.job.template import Template

DIGEST = "sha256:"
"""How a value begins that is kept as its hash. No JSON begins so."""
MOST_CHARACTERS = 200
"""The longest value that is kept as it is, in characters of its JSON."""
WHICH_DOCUMENTS = {"include", "exclude", "text_cache", "on_removed"}
"""The keys of [source] that decide which documents there are, and nothing about an answer."""
MADE_OF_OTHERS = {"fields", "schema_file", "model"}
"""The keys of [output] in whose stead each field is a key of its own."""
OF_A_CASCADE = {"name", "fallbacks", "fallback_on"}
"""The keys of [model] that are filled in from [cascade]."""


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """A key that two job files set differently."""

    key: str
    before: str | None
    """The value as JSON, or as its hash with the file that has the text; None for the default value."""
    now: str | None

    @property
    def is_text(self) -> bool:
        """Whether both values are hashes, or one is and the other is the default: neither can be shown."""
        return all(value is None or value.startswith(DIGEST) for value in (self.before, self.now))


def decisive_keys(job: JobFile) -> dict[str, str]:
    """Return the keys that a job file sets to other values than their defaults, each with its value.

    A default says nothing: a later batchrun may know more keys.
    """
    spec = job.spec
    sections: dict[str, Mapping[str, Any]] = {
        "model": _dumped(spec.model, {"tier", *(OF_A_CASCADE if spec.cascade else ())}),
        "prompt": {"fence": True} if spec.prompt.fence else {},
        "output": _dumped(spec.output, MADE_OF_OTHERS),
        "output.fields": {name: _dumped(field, set()) for name, field in spec.output.fields.items()},
        "cascade": _dumped(spec.cascade, set()) if spec.cascade else {},
        "source": _dumped(spec.source, WHICH_DOCUMENTS),
    }
    set_keys = {f"{section}.{key}": _kept(one) for section, keys in sections.items() for key, one in keys.items()}
    return set_keys | dict(_prompt_keys(job))


def _prompt_keys(job: JobFile) -> Iterator[tuple[str, str]]:
    prompt = job.spec.prompt
    for key, text, file in (("system", job.system, prompt.system_file), ("user", _source(job.user), prompt.user_file)):
        if text is not None:
            yield f"prompt.{key}", f"{_digest(text)} {file or ''}".rstrip()
    if job.examples:
        shown = [[one.document.text, dict(one.document.columns), dict(one.output)] for one in job.examples]
        yield "prompt.example", _digest(json.dumps(shown, default=str))


def _source(template: Template) -> str:
    return "".join(part if isinstance(part, str) else f"{{{{ doc.{part.name} }}}}" for part in template.parts)


def _dumped(section: Any, without: set[str]) -> dict[str, Any]:
    # The kinds of fields inside fields are told apart by a function that a model does not go through; that is no fault.
    dumped: dict[str, Any] = section.model_dump(mode="json", exclude=without, exclude_defaults=True, warnings=False)
    return dumped


def _kept(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else _digest(text)


def _digest(text: str) -> str:
    return DIGEST + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def changed_keys(before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> list[ChangedKey] | None:
    """Compare the keys of two runs. A text that has only moved to another file has not changed.

    Returns None if the keys of a run are not known.
    """
    if before is None or now is None:
        return None
    both = (ChangedKey(key, before.get(key), now.get(key)) for key in {**before, **now})
    return [one for one in both if _essence(one.before) != _essence(one.now)]


def _essence(value: str | None) -> str | None:
    return value.partition(" ")[0] if value and value.startswith(DIGEST) else value
