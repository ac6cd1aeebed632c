"""Reads and checks the texts of a job's prompt, which stand in the job file or in files of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchrun.file_system import read_bounded
from batchrun.job.credentials import masked
from batchrun.job.problems import Problem, TextFile, is_given
from batchrun.job.template import Template, TemplateError
from batchrun.job.toml_file import MOST_BYTES, TomlText
from batchrun.job.toml_positions import KeyPath, Span


@dataclass(frozen=True)
class Prompt:
    """What is said to the model about each document. Texts with problems are missing."""

    system: str | None
    user: Template | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _PromptText:
    """A text, and where the text stands."""

    text: str
    key: KeyPath
    job: TomlText
    own_file: TextFile | None

    def problem(self, message: str, span: Span, *, hint: str) -> Problem:
        if self.own_file is not None:
            return Problem(message, self.own_file, span, hint)
        if is_given(self.job.file.path):
            return self.job.at_key(self.key, f"`{'.'.join(map(str, self.key))}`: {message}", hint=hint)
        return Problem(message, self.job.file, self.job.inside_value(self.key, span), hint)


def read_prompt(job: TomlText, *, root: Path) -> Prompt:
    """Read and check both texts. The classes of the job file refuse whatever is no text at all."""
    problems: list[Problem] = []
    system = _text(job, "system", root=root, problems=problems)
    user = _text(job, "user", root=root, problems=problems)
    if system is not None:
        problems.extend(_system_problems(system))
    template = _template(user, problems) if user is not None else None
    return Prompt(system=system.text if system else None, user=template, problems=tuple(problems))


def read_user_file(job: TomlText, key: KeyPath, *, root: Path, problems: list[Problem]) -> Template | None:
    """Read and check the user prompt in a file that the job file names at `key`. Returns None if there are problems."""
    text = _from_file(job, key, root=root, problems=problems)
    return _template(text, problems) if text is not None else None


def _template(user: _PromptText, problems: list[Problem]) -> Template | None:
    try:
        template = Template.parse(user.text)
    except TemplateError as error:
        problems.extend(user.problem(fault.message, fault.span, hint=fault.hint) for fault in error.faults)
        return None
    problems.extend(_template_problems(template, user))
    return template


def _text(job: TomlText, name: str, *, root: Path, problems: list[Problem]) -> _PromptText | None:
    text, file_name = job.get(("prompt", name)), job.get(("prompt", f"{name}_file"))
    if isinstance(text, str) and text.strip():
        return _PromptText(text=text, key=("prompt", name), job=job, own_file=None)
    if not isinstance(file_name, str) or not file_name.strip():
        return None
    return _from_file(job, ("prompt", f"{name}_file"), root=root, problems=problems)


def _from_file(job: TomlText, key: KeyPath, *, root: Path, problems: list[Problem]) -> _PromptText | None:
    path, shown = root / job.get(key), ".".join(map(str, key))
    try:
        content = read_bounded(path, most_bytes=MOST_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        problems.append(job.at_value(key, f"`{shown}`: {why_unreadable(error)}", hint=f"looked for {path}"))
        return None
    if not content.strip():
        problems.append(job.at_value(key, f"`{shown}`: this file is empty", hint=f"looked at {path}"))
        return None
    return _PromptText(text=content, key=key, job=job, own_file=TextFile(path, masked(content)))


def why_unreadable(error: OSError | ValueError) -> str:
    """Say in few words why a text could not be read from its file."""
    match error:
        case UnicodeDecodeError():
            return f"not UTF-8 (byte {error.start})"
        case OSError():
            return (error.strerror or str(error)).lower()
        case _:
            return str(error)


def _system_problems(system: _PromptText) -> Iterator[Problem]:
    hint = "the system prompt is the same for every document; put the document into `prompt.user`"
    try:
        spans = [placeholder.span for placeholder in Template.parse(system.text).placeholders]
    except TemplateError as error:
        spans = [fault.span for fault in error.faults]
    for span in spans:
        mark = system.text[span.start : span.start + 2]
        yield system.problem(f"`{mark}` has no meaning in a system prompt", span, hint=hint)


def _template_problems(template: Template, user: _PromptText) -> Iterator[Problem]:
    if not {"text", *template.names} & {placeholder.name for placeholder in template.placeholders}:
        hint = "put {{ doc.text }} where the document goes"
        message = f"`{'.'.join(map(str, user.key))}` does not contain the document"
        yield user.job.at_value(user.key, message, hint=hint)
    if user.job.get(("source", "type")) != "files":
        return
    for placeholder in template.placeholders:
        if placeholder.name in template.names:
            hint = "a file has {{ doc.text }} and {{ doc.id }}; other columns come with a table or duckdb source"
            yield user.problem(f"unknown name `doc.{placeholder.name}` in the prompt", placeholder.span, hint=hint)
