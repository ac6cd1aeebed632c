"""The grid of [tune]: every setting is the job with another model, effort, thinking or user prompt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import product

from batchrun.catalog.capabilities import ModelProblem, model_problems
from batchrun.catalog.price_table import PriceTable
from batchrun.job.load import JobFile
from batchrun.job.model_sections import ModelSection
from batchrun.job.problems import JobFileError, Problem
from batchrun.job.prompts import read_user_file
from batchrun.job.spec import LimitsSection
from batchrun.job.template import Template
from batchrun.job.toml_positions import KeyPath

KEYS = {"name": "models", "max_tokens": "models", "effort": "efforts", "thinking": "thinking"}
"""The key of [tune] whose values a model refuses, by the key of [model] that the model refuses."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to ask the job's question."""

    model: str
    effort: str | None
    """None leaves the effort to the model."""
    thinking: str | None
    """None leaves the thinking to the model."""
    prompt: str | None = None
    """The file of the user prompt, as the job file names it. None stands for the job's own user prompt."""
    user: Template | None = field(default=None, compare=False)
    """The user prompt of this file."""

    @property
    def words(self) -> str:
        """The setting as people read it: `claude-opus-5, effort low, b.md`."""
        effort = f"effort {self.effort}" if self.effort else None
        thinking = f"thinking {self.thinking}" if self.thinking else None
        return ", ".join(filter(None, [self.model, effort, thinking, self.prompt]))


def read_settings(job: JobFile, prices: PriceTable, *, today: date) -> tuple[Setting, ...]:
    """Make the settings of a job's [tune], each once, in the order of the job file.

    A model that takes no effort at all is asked without one. Raises JobFileError with everything that a model refuses,
    every model without a price, and every prompt that cannot be used.
    """
    problems: list[Problem] = []
    own: list[tuple[str | None, Template | None]] = [(None, None)]
    prompts = [
        (name, read_user_file(job.text, ("tune", "prompts", at), root=job.root, problems=problems))
        for at, name in enumerate(job.spec.tune.prompts or ())
    ]
    asked = list(_settings(job, prices, today, problems))
    if problems:
        raise JobFileError(dict.fromkeys(problems), file=job.text.file)
    found = [replace(one, prompt=name, user=user) for one in asked for name, user in prompts or own]
    return tuple(dict.fromkeys(found))


def _settings(job: JobFile, prices: PriceTable, today: date, problems: list[Problem]) -> Iterator[Setting]:
    """Yield the settings with the job's own user prompt, and note what their models refuse."""
    tune, own = job.spec.tune, job.spec.model
    models = enumerate(tune.models or (own.name,))
    efforts, thoughts = enumerate(tune.efforts or (own.effort,)), enumerate(tune.thinking or (own.thinking,))
    for (at, model), (effort_at, effort), (thinking_at, thinking) in product(models, efforts, thoughts):
        if (price := prices.find(model)) is None:
            place: KeyPath = ("tune", "models", at) if tune.models else ("model", "name")
            problems.append(job.text.at_value(place, f'unknown model "{model}"', hint=prices.hint_for(model)))
            continue
        leaves_effort = not price.effort_levels or (tune.efforts is None and effort not in price.effort_levels)
        leaves_thinking = tune.thinking is None and thinking not in price.thinking
        setting = Setting(model, None if leaves_effort else effort, None if leaves_thinking else thinking)
        places = {"models": at, "efforts": effort_at, "thinking": thinking_at}
        found = model_problems(section_of(own, setting), price, today=today)
        if setting.thinking == "enabled" and own.budget_tokens is None:
            found.append(ModelProblem("thinking", "enabled thinking needs `budget_tokens` in [model]"))
        problems += [job.text.at_value(_place(job, one, places), one.message) for one in found]
        yield setting


def _place(job: JobFile, problem: ModelProblem, places: Mapping[str, int]) -> KeyPath:
    """Return where the job file says what a model refuses: in [tune], or else in [model]."""
    key = KEYS[problem.key]
    if getattr(job.spec.tune, key) is not None:
        return ("tune", key, places[key])
    return ("model", problem.key) if job.text.get(("model", problem.key)) is not None else ("tune",)


def section_of(own: ModelSection, setting: Setting) -> ModelSection:
    """Return the job's [model] with a setting's values, and without models that answer in the model's place."""
    changes = {"tier": None, "name": setting.model, "fallbacks": (), "effort": setting.effort}
    budget = own.budget_tokens if setting.thinking == "enabled" else None
    return own.model_copy(update={**changes, "thinking": setting.thinking, "budget_tokens": budget})


def variant(job: JobFile, setting: Setting) -> JobFile:
    """Return the job as a setting asks it: what a real run of the job would send, and nobody else answers.

    The rate limits of [limits] are those of the job's own model.
    """
    spec = job.spec
    limits = spec.limits if setting.model == spec.model.name else LimitsSection(headroom=spec.limits.headroom)
    changes = {"model": section_of(spec.model, setting), "cascade": None, "limits": limits}
    return replace(job, spec=spec.model_copy(update=changes), user=setting.user or job.user)
