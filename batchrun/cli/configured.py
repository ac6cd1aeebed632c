"""The providers that a job, or the project here, can ask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.problems import JobFileError, did_you_mean
from batchrun.job.project import read_project
from batchrun.job.project_root import root_here
from batchrun.job.provider_sections import TYPES, ProviderSection
from batchrun.job.providers import Providers
from batchrun.workflow.job_models import common_prices, prices_of, utc_today


@dataclass(frozen=True, slots=True)
class Configured:
    """A provider by its name."""

    name: str
    section: ProviderSection
    models: Sequence[str]
    """The engine names of the models that a job may ask there, in order; none without a job."""


def providers_of(job: JobFile | None) -> Providers:
    """Return the providers of a job, or of the project here. Raises UsageProblem if a file cannot be used."""
    if job:
        return prices_of(job, today=utc_today()).providers
    project = read_project(root_here(Path.cwd()))
    if project.problems:
        raise JobFileError(project.problems, file=project.problems[0].file)
    if project.unreadable:
        raise UsageProblem(f"{project.path} {project.unreadable}.", hint="correct the file, or name a job file")
    return common_prices(today=utc_today()).known_to(project.spec.providers_of(None, {})).providers


def configured(providers: Providers, job: JobFile | None) -> list[Configured]:
    """List the default provider first, then those of the job's models, and all that have a section."""
    asked = dict.fromkeys(
        [job.spec.model.name, *job.spec.model.fallbacks, *(job.spec.tune.models or ())] if job else ()
    )
    whose = {model: providers.split(model)[0] for model in asked}
    return [
        Configured(name, providers.section(name), [model for model in whose if whose[model] == name])
        for name in dict.fromkeys([providers.default, *whose.values(), *providers.sections])
    ]


def refuse_unknown(providers: Providers, wanted: Iterable[str]) -> None:
    """Raise UsageProblem for a name that is no provider's."""
    for name in wanted:
        if name not in (known := {*providers.sections, *TYPES}):
            close = did_you_mean(name, known)
            meant = f"did you mean {close}? " if close else ""
            raise UsageProblem(f'there is no provider "{name}".', hint=f"{meant}see them: batchrun providers")
