"""Reads a job file, or reports every problem of the job file at once."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from batchrun.answers.form import AnswerForm
from batchrun.errors import UsageProblem
from batchrun.file_system import read_bounded
from batchrun.job.answer_form import answer_form
from batchrun.job.credentials import find_credentials
from batchrun.job.examples import Example, read_examples
from batchrun.job.field_groups import Groups
from batchrun.job.fields import OutputFields
from batchrun.job.output_schema import read_output_schema
from batchrun.job.problems import JobFileError, Problem, TextFile, did_you_mean, is_given, path_of_given
from batchrun.job.project import ModelChoice, ProjectSpec, chosen_models, read_project
from batchrun.job.project_root import LEDGER, root_note, roots_of_job
from batchrun.job.prompts import read_prompt
from batchrun.job.providers import Providers
from batchrun.job.spec import JobSpec
from batchrun.job.telling_sections import MetricsSection, NotifySection
from batchrun.job.template import Template
from batchrun.job.toml_file import MOST_BYTES, TomlText
from batchrun.job.toml_positions import Positions, Span
from batchrun.job.validation_errors import credential_problems, explain

_PROGRAM = (
    'go on in the program: job.submit_sync(retry=True), job.run("last").results(); or write the dictionary into a job'
    " file of the same name, which goes on with the same runs"
)


@dataclass(frozen=True)
class JobFile:
    """A job file without problems, with the prompt texts that the job file names."""

    spec: JobSpec
    path: Path
    """The absolute path, with symbolic links followed; for a job that a program gives, the path of no file."""
    root: Path
    """The project's folder, where relative paths of the job file start."""
    system: str | None
    user: Template
    text: TomlText
    """The text of the job file, for problems that are found later."""
    project: ProjectSpec
    """The content of batchrun.toml."""
    examples: tuple[Example, ...]
    """The documents with their answers that the model is shown before every document."""
    root_note: str | None
    """Why the project's folder is not the marked folder that the job file is in; None if it is."""
    providers: Providers
    """Who may answer."""

    @cached_property
    def fields(self) -> OutputFields:
        """The fields that are extracted from each document."""
        return OutputFields(self.spec.output.fields)

    @cached_property
    def groups(self) -> Groups:
        """The names of the fields that each request about a document asks for, in order."""
        return self.spec.output.field_groups

    @cached_property
    def form(self) -> AnswerForm:
        """The form of the answers: what is asked for, and how replies are judged."""
        return answer_form(self.spec.output, self.groups)

    @cached_property
    def metrics(self) -> MetricsSection:
        """[metrics] of the project, with what the job file says instead."""
        return self.project.metrics.model_copy(update=_given(self.spec.metrics))

    @cached_property
    def notify(self) -> NotifySection:
        """[notify] of the project, with what the job file says instead."""
        return self.project.notify.model_copy(update=_given(self.spec.notify))

    def under(self, name: str) -> "JobFile":
        """Return the same job under another name in the ledger."""
        return replace(self, spec=self.spec.model_copy(update={"job": self.spec.job.model_copy(update={"name": name})}))

    def resolve(self, relative: str) -> Path:
        """Return the absolute path for a path written in the job file."""
        return self.root / relative


ChooseRoot = Callable[[Path, Sequence[Path], str], Path]
"""Chooses the project of a job file among several folders; the text is the ledger's path below the project."""


def _nearest(_: Path, roots: Sequence[Path], __: str) -> Path:
    return roots[0]


def _given(section: BaseModel) -> dict[str, Any]:
    return {name: getattr(section, name) for name in section.model_fields_set}


def load_job(path: Path, *, choose_root: ChooseRoot = _nearest) -> JobFile:
    """Read a job file. Raises UsageProblem when the file cannot be read, JobFileError when something in it is wrong."""
    content, path = _content(path), path.resolve()
    text = TomlText.read(_decoded(content, path=path), path=path)
    roots = roots_of_job(path, here=Path.cwd())
    root = choose_root(path, roots, _named_ledger(text))
    return _loaded(text, root, note=root_note(path, root, nearest=roots[0]))


def job_of(values: Mapping[str, Any], root: Path) -> JobFile:
    """Make a job of a dictionary that has the keys of a job file. Raises JobFileError when something in it is wrong."""
    file = TextFile(path_of_given(root.resolve()), "")
    try:
        read = deepcopy(dict(values))
        text = TomlText(file, read, Positions(""), tuple(find_credentials(read)))
        return _loaded(text, root.resolve(), note=None)
    except RecursionError:
        raise JobFileError([Problem("nested too deeply to be read", file, Span(0, 0))], file=file) from None


def _loaded(text: TomlText, root: Path, *, note: str | None) -> JobFile:
    """Check everything that a job says. Raises JobFileError with all problems."""
    path = text.file.path
    prompt, project = read_prompt(text, root=root), read_project(root)
    choice = chosen_models(text, project)
    output = read_output_schema(text, path=path, root=root, project=project)
    text = output.text
    problems = [*credential_problems(text), *prompt.problems, *choice.problems, *output.problems]
    try:
        spec = JobSpec.model_validate(text.values)
    except ValidationError as error:
        problems.extend(explain(error, text, told=output.unread))
        raise JobFileError(problems, file=text.file) from None
    examples: tuple[Example, ...] = ()
    if prompt.user is not None:
        form = answer_form(spec.output, ())
        examples, wrong = read_examples(text, spec.prompt.example, template=prompt.user, form=form, root=root)
        problems.extend(wrong)
    if problems or prompt.user is None:
        raise JobFileError(problems, file=text.file)
    own = spec.provider if "provider" in spec.model_fields_set else None
    providers = project.spec.providers_of(own, spec.providers)
    return JobFile(
        spec=_qualified(_with_models(spec, choice), providers.qualified),
        path=path,
        root=root,
        system=prompt.system,
        user=prompt.user,
        project=project.spec.qualified(spec.providers),
        text=text,
        examples=examples,
        root_note=note,
        providers=providers,
    )


def _with_models(spec: JobSpec, choice: ModelChoice) -> JobSpec:
    """Fill in the models of the tier or the cascade, if the job has one."""
    if cascade := spec.cascade:
        chain: dict[str, Any] = {"fallbacks": cascade.models[1:], "fallback_on": cascade.escalate_on}
    elif choice.models:
        chain = {"name": choice.models[0], "fallbacks": choice.models[1:]}
    else:
        return spec
    return spec.model_copy(update={"model": spec.model.model_copy(update=chain)})


def _qualified(spec: JobSpec, name: Callable[[str], str]) -> JobSpec:
    """Give every model of the job its engine name, which `name` returns."""
    model, cascade, tune = spec.model, spec.cascade, spec.tune
    chain = {"name": name(model.name), "fallbacks": tuple(map(name, model.fallbacks))}
    changed = {
        "model": model.model_copy(update=chain),
        "cascade": cascade and cascade.model_copy(update={"models": tuple(map(name, cascade.models))}),
        "tune": tune.model_copy(update={"models": tune.models and tuple(map(name, tune.models))}),
    }
    return spec.model_copy(update=changed)


def _named_ledger(text: TomlText) -> str:
    """Return the ledger's path as the job file names it; the job file may still have problems."""
    named: Any = text.get(("store", "ledger"))
    return named if isinstance(named, str) and "\0" not in named else LEDGER


def _content(path: Path) -> bytes:
    try:
        return read_bounded(path, most_bytes=MOST_BYTES)
    except FileNotFoundError:
        if is_given(path):
            raise UsageProblem(
                "the job of this run was given by a program, and has no job file.", hint=_PROGRAM
            ) from None
        raise UsageProblem(f"there is no job file {path}", hint=_missing_hint(path)) from None
    except IsADirectoryError:
        found = sorted(path.glob("*.toml"))
        hint = f"name a file in it, such as {found[0]}" if found else _missing_hint(path)
        raise UsageProblem(f"{path} is a directory, not a job file", hint=hint) from None
    except PermissionError:
        raise UsageProblem(f"no permission to read the job file {path}", hint=f"see: ls -l {path}") from None
    except (OSError, ValueError) as error:
        raise UsageProblem(f"the job file {path} cannot be read: {error}", hint="give the path of a file") from error


def _missing_hint(path: Path) -> str:
    for folder in () if path.is_absolute() else Path.cwd().parents:
        if (folder / path).is_file():
            return f"did you mean {os.path.relpath(folder / path)}?"
    candidates = {file.stem: file for folder in (path.parent, path.parent / "jobs") for file in folder.glob("*.toml")}
    close = did_you_mean(path.stem, candidates)
    return f"did you mean {candidates[close]}?" if close else f"write a new one: batchrun init {shlex.quote(str(path))}"


def _decoded(content: bytes, *, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageProblem(
            f"the job file {path} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}",
            hint="save it as UTF-8; TOML files are always UTF-8",
        ) from None
