"""The project's own file, batchrun.toml at its root: what its jobs share, such as the models of each tier."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field, ValidationError

from batchrun.job.explaining import credential_problems, explain
from batchrun.job.field_types import Table
from batchrun.job.positions import KeyPath
from batchrun.job.problems import JobFileError, Problem, TextFile
from batchrun.job.spec import ModelNames, TierName
from batchrun.job.toml_text import TomlText

PROJECT_FILE = "batchrun.toml"
SAMPLE = ("claude-sonnet-5-5", "claude-haiku-4-5")
_TIER: KeyPath = ("model", "tier")
_Models = Annotated[ModelNames, Field(min_length=1)]


class Tiers(Table):
    """[tiers]: the models of each; the first answers, the others are its fallbacks."""

    simple: _Models | None = None
    standard: _Models | None = None
    complex: _Models | None = None
    critical: _Models | None = None

    def models(self, tier: str) -> tuple[str, ...]:
        """Return a tier's models; none when the file does not have it."""
        return getattr(self, tier) or ()


class ProjectSpec(Table):
    """A whole project file."""

    tiers: Tiers = Tiers()


@dataclass(frozen=True)
class ModelChoice:
    """The models that a job's tier stands for; none when the job has no tier, or there are problems."""

    models: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def chosen_models(job: TomlText, *, root: Path) -> ModelChoice:
    """Look a job's tier up. What is no tier at all, or one beside a name, is left to the models of the job file."""
    tier = job.get(_TIER)
    if tier not in get_args(TierName) or job.get(("model", "name")) is not None:
        return ModelChoice()
    path = root / PROJECT_FILE
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ModelChoice(problems=(_no_tier(job, tier, path, why=f"the project has no {PROJECT_FILE}"),))
    except UnicodeDecodeError as error:
        return ModelChoice(problems=(_unreadable(job, path, why=f"is not UTF-8 (byte {error.start})"),))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return ModelChoice(problems=(_unreadable(job, path, why=f"cannot be read: {why}"),))
    try:
        text = TomlText.read(content, path=path)
    except JobFileError as error:
        return ModelChoice(problems=error.problems)
    return _chosen(job, tier, text)


def _chosen(job: TomlText, tier: str, text: TomlText) -> ModelChoice:
    problems = list(credential_problems(text))
    try:
        project = ProjectSpec.model_validate(text.values)
    except ValidationError as error:
        problems.extend(explain(error, text, root=ProjectSpec))
        return ModelChoice(problems=tuple(problems))
    models = project.tiers.models(tier)
    if not models:
        problems.append(_no_tier(job, tier, text.file.path, why=f'there is no tier "{tier}" in {PROJECT_FILE}'))
    return ModelChoice(() if problems else models, tuple(problems))


def _no_tier(job: TomlText, tier: str, path: Path, *, why: str) -> Problem:
    hint = f"write in {TextFile(path, '').shown_path}, below a line [tiers]: {tier} = {json.dumps(SAMPLE)}"
    return job.at_value(_TIER, f"`model.tier`: {why}", hint=hint)


def _unreadable(job: TomlText, path: Path, *, why: str) -> Problem:
    return job.at_value(_TIER, f"`model.tier`: {PROJECT_FILE} {why}", hint=f"looked at {path}")
