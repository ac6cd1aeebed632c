"""The models of a job with their prices, and what refuses a model: each with its place in the job file."""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from batchrun.budget.caps import forbidden
from batchrun.budget.policy import operator_rule, project_rule
from batchrun.catalog.capabilities import ModelProblem
from batchrun.catalog.price_table import PriceTable, load_prices
from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.problems import JobFileError
from batchrun.job.toml_positions import KeyPath
from batchrun.statistics.audit import calibration_needed
from batchrun.strategy.model_chain import ModelChain, UnsuitedModel, make_model_chain
from batchrun.strategy.provider_notes import provider_problems


def prices_of(job: JobFile, *, today: date) -> PriceTable:
    """Load the table of prices; the rows of the job's own file replace rows of the common table."""
    file = job.spec.budget.prices_file
    table = load_prices(job.resolve(file), today=today) if file else common_prices(today=today)
    return table.known_to(job.providers)


def common_prices(*, today: date) -> PriceTable:
    """Load the table for jobs that name no file: the package's own, and the file that the environment names."""
    file = os.environ.get("BATCHRUN_PRICES")
    if not file:
        return load_prices(today=today)
    try:
        return load_prices(Path(file).expanduser().absolute(), today=today)
    except UsageProblem as problem:
        raise UsageProblem(str(problem), hint="fix the file, or set BATCHRUN_PRICES to another file") from problem


def utc_today() -> date:
    """Return the day by which prices and budgets count."""
    return datetime.now(UTC).date()


def models_of(job: JobFile, prices: PriceTable, *, today: date) -> ModelChain:
    """Return the chain of a job's models.

    Raises Refused for a model that is forbidden or has no price, and JobFileError for a model that is unknown or
    refuses what the job asks.
    """
    refuse_forbidden_models(job)
    refuse_unknown_models(job, prices)
    refuse_small_calibration(job)
    spec = job.spec
    try:
        chain = make_model_chain(spec.model, spec.limits, prices, today=today, cascade=spec.cascade)
    except UnsuitedModel as unsuited:
        raise unsuited_models(job, unsuited.problems) from None
    if problems := list(provider_problems(spec, chain.models)):
        found = [job.text.at_value(tuple(key.split(".")), f"`{key}`: {message}") for key, message in problems]
        raise JobFileError(found, file=job.text.file)
    return chain


def refuse_forbidden_models(job: JobFile) -> None:
    """Raise Refused for models that the project or the operator forbids, fallbacks included."""
    models = [job.spec.model.name, *job.spec.model.fallbacks]
    if refused := forbidden(models, [project_rule(job.project.budget), operator_rule(os.environ)]):
        raise refused


def refuse_unknown_models(job: JobFile, prices: PriceTable) -> None:
    """Raise JobFileError for names of models that are in no table of prices, each with its place in the job file."""
    text = job.text
    lists = [("model", "fallbacks"), ("cascade", "models")]
    places = [("model", "name"), *((*place, at) for place in lists for at in range(len(text.get(place) or ())))]
    problems = [
        text.at_value(place, f'unknown model "{name}"', hint=prices.hint_for(name))
        for place in places
        if (name := text.get(place)) and prices.find(job.providers.qualified(name)) is None
    ]
    if problems:
        raise JobFileError(problems, file=text.file)


def refuse_small_calibration(job: JobFile) -> None:
    """Raise JobFileError if a cascade is to be calibrated on fewer documents than any threshold needs."""
    cascade, text = job.spec.cascade, job.text
    if cascade is None or not cascade.documents_to_calibrate:
        return
    if cascade.documents_to_calibrate < (needed := calibration_needed(cascade.max_difference)):
        message = f"max_difference = {cascade.max_difference:g} needs {needed:,} documents or more"
        problem = text.at_value(("cascade", "calibrate"), message, hint=f"calibrate = {needed}, or leave the key out")
        raise JobFileError([problem], file=text.file)


def unsuited_models(job: JobFile, found: Iterable[ModelProblem]) -> JobFileError:
    """Give what models refuse its place in the job file: the key, or else what names the model."""
    hint = f'the tier "{job.spec.model.tier}" stands in batchrun.toml' if job.spec.model.tier else None
    problems = [job.text.at_value(place_of(job, key), message, hint=hint) for key, message in found]
    return JobFileError(problems, file=job.text.file)


def place_of(job: JobFile, key: str) -> KeyPath:
    """Return where the job file says a key of [model]. A cascade says its fallbacks elsewhere, and a tier the names."""
    named: tuple[KeyPath, ...] = (("model", "tier"), ("model", "name"))
    fallbacks: tuple[KeyPath, ...] = (("cascade", "models"),) if key == "fallbacks" else ()
    return next(place for place in (("model", key), *fallbacks, *named) if job.text.get(place) is not None)
