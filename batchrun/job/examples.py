"""The examples of a job: documents with the answers that are wanted, shown to the model before every document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from batchrun.answers.form import AnswerForm
from batchrun.answers.modes import MODES
from batchrun.answers.validation import value_problems
from batchrun.answers.values import may_be_null, without_null
from batchrun.document import Document
from batchrun.file_system import read_bounded
from batchrun.job.problems import Problem
from batchrun.job.prompts import why_unreadable
from batchrun.job.spec import ExampleSection
from batchrun.job.template import Template
from batchrun.job.toml_file import TomlText

MOST_BYTES = 1_000_000
"""The most bytes of an example's file: every request carries every example."""


@dataclass(frozen=True, slots=True)
class Example:
    """A document, and the answer that is wanted for the document."""

    document: Document
    output: Mapping[str, Any]


def read_examples(
    job: TomlText, sections: Sequence[ExampleSection], *, template: Template, form: AnswerForm, root: Path
) -> tuple[tuple[Example, ...], list[Problem]]:
    """Read and check the examples of a job file. An example with a problem is missing."""
    examples, problems = list[Example](), list[Problem]()
    for number, section in enumerate(sections):
        written = _Written(section, number, job)
        output = in_order(_with_empty_quotes(section.output, form), form.full_schema)
        text = written.text(root)
        wrong = [*([text] if isinstance(text, Problem) else []), *written.column_problems(template)]
        wrong += written.output_problems(output, form)
        problems += wrong
        if isinstance(text, str) and not wrong:
            examples.append(Example(Document(f"example {number + 1}", "", text, section.columns), output))
    return tuple(examples), problems


@dataclass(frozen=True)
class _Written:
    """An example as the job file has it."""

    section: ExampleSection
    number: int
    """The place among the examples, from 0."""
    job: TomlText

    def problem(self, message: str, *key: str | int, hint: str | None = None) -> Problem:
        message = f"`[[prompt.example]]` {self.number + 1}: {message}"
        return self.job.at_value(("prompt", "example", self.number, *key), message, hint=hint)

    def text(self, root: Path) -> str | Problem:
        """Read the text of the document."""
        if self.section.document_file is None:
            return self.section.document or ""
        path = root / self.section.document_file
        try:
            text = read_bounded(path, most_bytes=MOST_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
        except (OSError, ValueError) as error:
            return self.problem(
                why_unreadable(error), "document_file", hint=f"looked for {path}; UTF-8 text can be read"
            )
        return text if text.strip() else self.problem("this file is empty", "document_file", hint=f"looked at {path}")

    def column_problems(self, template: Template) -> Iterator[Problem]:
        """Hold the columns of the example against those that the prompt uses."""
        for name in sorted(template.names - self.section.columns.keys()):
            yield self.problem(f"the prompt uses doc.{name}", hint=f'give it here: columns = {{ {name} = "…" }}')
        for name in sorted(self.section.columns.keys() - template.names):
            yield self.problem(f"the prompt does not use doc.{name}", "columns", name, hint="take it out")

    def output_problems(self, output: Mapping[str, Any], form: AnswerForm) -> Iterator[Problem]:
        """Hold the answer against the fields of the job. The API takes no turn without text."""
        problems = value_problems(output, form.full_schema)
        for path, reason in problems:
            yield self.problem(reason.removeprefix("the reply: "), "output", *path)
        if not problems and not MODES[form.mode].write(form, output).strip():
            yield self.problem("the answer has no text", "output")


def _with_empty_quotes(output: Mapping[str, Any], form: AnswerForm) -> dict[str, Any]:
    """Give fields that are left out, and so are null, the quote of a value that the document does not say."""
    return {quote: "" for name, quote in form.quotes.items() if name not in output} | dict(output)


def in_order(value: Any, schema: Mapping[str, Any]) -> Any:
    """Put fields in the order of the schema, dates in words of JSON, and null where TOML, which has none, has nothing.

    Fields that the schema does not know stay, for the check to complain about.
    """
    match without_null(schema), value:
        case {"properties": properties}, dict():
            names = [name for name, inner in properties.items() if name in value or may_be_null(inner)]
            names += [name for name in value if name not in properties]
            return {name: in_order(value.get(name), properties.get(name, {})) for name in names}
        case {"items": items}, list():
            return [in_order(element, items) for element in value]
        case _, date() | time():
            return value.isoformat()
        case _:
            return value
