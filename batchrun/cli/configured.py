"""The providers that a job, or the project here, can ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.problems import JobFileError
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
    models: Mapping[str, str]
    """The models that a job asks there, by engine name, each with its name there; none without a job."""
    is_default: bool


def providers_of(job: JobFile | None) -> Providers:
    """Return the providers of a job, or of the project here. Raises UsageProblem if a file cannot be used."""
    if job:
        return prices_of(job, today=utc_today()).providers
    project = read_project(root_here(Path.cwd()))
    if project.problems or project.unreadable:
        if project.problems:
            raise JobFileError(project.problems, file=project.problems[0].file)
        raise UsageProblem(f"{project.path} {project.unreadable}.", hint="correct the file, or name a job file")
    return common_prices(today=utc_today()).known_to(project.spec.providers_of(None, {})).providers


def configured(providers: Providers, job: JobFile | None) -> list[Configured]:
    """List the default provider, those of the job's models, and all that have a section."""
    model = job and job.spec.model
    asked = [model.name, *model.fallbacks, *(job.spec.tune.models or ())] if job and model else []
    found: dict[str, dict[str, str]] = {providers.default: {}}
    for one in asked:
        name, there = providers.split(one)
        found.setdefault(name, {})[one] = there
    found |= {name: {} for name in providers.sections if name not in found}
    return [
        Configured(name, providers.section(name), models, name == providers.default) for name, models in found.items()
    ]


def refuse_unknown(providers: Providers, wanted: Sequence[str]) -> None:
    """Raise UsageProblem for a name that is no provider's."""
    known = [*dict.fromkeys([*providers.sections, *TYPES])]
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise UsageProblem(f'there is no provider "{name}".', hint=f"{meant}see them: batchrun providers")
