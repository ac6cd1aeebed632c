"""The project's own file, batchrun.toml at the root: the models of tiers, and ceilings, which all jobs share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from pydantic import AfterValidator, Field, ValidationError

from batchrun.file_system import TooLargeError, read_bounded
from batchrun.job.field_types import Table
from batchrun.job.key_types import ModelNames, Positive, TagPair, TierName
from batchrun.job.problems import JobFileError, Problem, TextFile
from batchrun.job.project_root import PROJECT_FILE
from batchrun.job.prompts import why_unreadable
from batchrun.job.provider_sections import Address, NamedProviders, ProviderSection
from batchrun.job.providers import Providers
from batchrun.job.telling_sections import MetricsSection, NotifySection, for_every_job
from batchrun.job.toml_file import MOST_BYTES, TomlText
from batchrun.job.toml_positions import KeyPath, Span
from batchrun.job.units import NanoDollars
from batchrun.job.validation_errors import credential_problems, explain

SAMPLE = ("claude-sonnet-5-5", "claude-haiku-4-5")
_TIER: KeyPath = ("model", "tier")
_Models = Annotated[ModelNames, Field(min_length=1)]


class Tiers(Table):
    """[tiers]: the models of each tier; the first model answers, and the other models are its fallbacks."""

    simple: _Models | None = None
    """The models for simple work."""
    standard: _Models | None = None
    """The models for ordinary work."""
    complex: _Models | None = None
    """The models for hard work."""
    critical: _Models | None = None
    """The models for work where errors are expensive."""

    def models(self, tier: str) -> tuple[str, ...]:
        """Return a tier's models; none when the file does not have the tier."""
        return getattr(self, tier) or ()


class ModelBudget(Table):
    """[budget.models] and [budget.tags]: what all jobs that share a ledger may spend a day and a month, in UTC."""

    max_cost_per_day_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_per_day_usd")] = None
    """The most that all runs may cost in a day."""
    max_cost_per_month_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_per_month_usd")] = None
    """The most that all runs may cost in a month."""
    max_tokens_per_day: Positive | None = None
    """The most tokens that all runs may use in a day, input and output together."""


class ProjectBudget(ModelBudget):
    """[budget]: ceilings for every job of the project, which job files and commands can only lower."""

    max_cost_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_usd")] = None
    """The cap of every run."""
    max_tokens: Positive | None = None
    """The cap of every run in tokens."""
    max_cost_per_document_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_per_document_usd")] = None
    """The cap of all attempts that a run makes for one document."""
    allowed_models: _Models | None = None
    """The only models that jobs may use; the default allows all but the denied models."""
    denied_models: ModelNames = ()
    """Models that no job may use."""
    leases: Address | None = None
    """The lease service that keeps caps for several hosts, such as `http://10.0.0.5:8330`; the default is none."""
    models: dict[str, ModelBudget] = Field(default_factory=dict)
    """The caps of models, by name."""
    tags: dict[TagPair, ModelBudget] = Field(default_factory=dict)
    """The caps of tags, by `name=value`."""


class ProjectSpec(Table):
    """A whole project file."""

    allow_code: bool = False
    """Whether a job file may name a Python class of the project, whose module then runs in this process."""
    tiers: Tiers = Tiers()
    budget: ProjectBudget = ProjectBudget()
    metrics: Annotated[MetricsSection, AfterValidator(for_every_job)] = MetricsSection()
    notify: NotifySection = NotifySection()
    provider: ProviderSection = ProviderSection()
    providers: NamedProviders = Field(default_factory=dict)
    """Providers by the names that stand before the names of models, as in `home/llama3`."""

    def providers_of(self, own: ProviderSection | None, named: Mapping[str, ProviderSection]) -> Providers:
        """Put the providers of a job and of the project together; a section of the job stands for the project's."""
        project = self.provider if "provider" in self.model_fields_set else None
        return Providers.of((project, self.providers), (own, named))

    def qualified(self, named: Mapping[str, ProviderSection]) -> "ProjectSpec":
        """Give every model of the budget its engine name; `named` are the [providers] of a job."""
        budget, name = self.budget, self.providers_of(None, named).qualified
        changed = {
            "allowed_models": budget.allowed_models and tuple(map(name, budget.allowed_models)),
            "denied_models": tuple(map(name, budget.denied_models)),
            "models": {name(model): own for model, own in budget.models.items()},
        }
        return self.model_copy(update={"budget": budget.model_copy(update=changed)})


NOTHING = ProjectSpec()
"""The whole file of a project that has none."""


@dataclass(frozen=True)
class ProjectFile:
    """The project's file as it was found; a project without the file has an empty one."""

    path: Path
    spec: ProjectSpec = NOTHING
    exists: bool = True
    unreadable: str | None = None
    """Why the content of the file is not known."""
    problems: tuple[Problem, ...] = ()
    """What is wrong in the file."""


@dataclass(frozen=True)
class ModelChoice:
    """The models that a job's tier stands for; none when the job has no tier, or there are problems."""

    models: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_project(root: Path) -> ProjectFile:
    """Read the project's file, if there is such a file."""
    path = root / PROJECT_FILE
    try:
        text = TomlText.read(read_bounded(path, most_bytes=MOST_BYTES).decode("utf-8-sig"), path=path)
    except FileNotFoundError:
        return ProjectFile(path, exists=False)
    except UnicodeDecodeError as error:
        return ProjectFile(path, unreadable=f"is not UTF-8 (byte {error.start})")
    except (OSError, TooLargeError) as error:
        return ProjectFile(path, unreadable=f"cannot be read: {why_unreadable(error)}")
    except JobFileError as error:
        return ProjectFile(path, problems=error.problems)
    problems = list(credential_problems(text))
    try:
        spec = ProjectSpec.model_validate(text.values)
    except ValidationError as error:
        return ProjectFile(path, problems=(*problems, *explain(error, text, root=ProjectSpec)))
    return ProjectFile(path, spec, problems=tuple(problems))


def chosen_models(job: TomlText, project: ProjectFile) -> ModelChoice:
    """Look a job's tier up. The classes of the job file refuse a word that is no tier, and a tier beside a name.

    Problems of the project's file concern every job, as the caps of the file do.
    """
    tier = job.get(_TIER)
    has_tier = tier in get_args(TierName) and job.get(("model", "name")) is None
    if project.unreadable:
        return ModelChoice(problems=(_unreadable(job if has_tier else None, project),))
    if project.problems or not has_tier:
        return ModelChoice(problems=project.problems)
    models = project.spec.tiers.models(tier)
    if models:
        return ModelChoice(models)
    why = f'there is no tier "{tier}" in {PROJECT_FILE}' if project.exists else f"the project has no {PROJECT_FILE}"
    return ModelChoice(problems=(_no_tier(job, tier, project.path, why=why),))


def _no_tier(job: TomlText, tier: str, path: Path, *, why: str) -> Problem:
    hint = f"write in {TextFile(path, '').shown_path}, below a line [tiers]: {tier} = {json.dumps(SAMPLE)}"
    return job.at_value(_TIER, f"`model.tier`: {why}", hint=hint)


def _unreadable(job: TomlText | None, project: ProjectFile) -> Problem:
    what, hint = f"{PROJECT_FILE} {project.unreadable}", f"looked at {project.path}"
    if job is None:
        return Problem(what, TextFile(project.path, ""), Span(0, 0), hint)
    return job.at_value(_TIER, f"`model.tier`: {what}", hint=hint)
