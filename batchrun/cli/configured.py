"""The providers that a job, or the project here, can ask, and what is known of each before it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.catalog.price_table import PriceTable
from batchrun.errors import BatchrunError, UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.problems import JobFileError
from batchrun.job.project import ProjectFile, read_project
from batchrun.job.project_root import root_here
from batchrun.job.provider_sections import ProviderSection
from batchrun.job.providers import Providers
from batchrun.providers.anthropic.credential import Finding
from batchrun.providers.anthropic.endpoint import Endpoint
from batchrun.providers.credentials import credential_of
from batchrun.providers.factories import factory_of
from batchrun.workflow.job_models import common_prices, prices_of, utc_today


@dataclass(frozen=True, slots=True)
class Access:
    """The way to a provider, as far as the way is known before anything is sent."""

    endpoint: Endpoint | None = None
    problem: BatchrunError | None = None
    """Why the provider cannot be asked. None if nothing is known to be in the way."""
    credential: Sequence[Finding] = ()


def access_to(section: ProviderSection) -> Access:
    """Look at the address, the credential and the extra that a provider needs."""
    endpoint = None
    try:
        factory = factory_of(section)
        endpoint = factory.endpoint()
        factory.check()
    except BatchrunError as problem:
        return Access(endpoint, problem)
    return Access(endpoint, None, credential_of(section, is_default_address=endpoint.is_default))


def table_of(job: JobFile | None) -> PriceTable:
    """Return the prices of a job, or of the project here, which know the providers.

    Raises UsageProblem if a file cannot be used.
    """
    if job:
        return prices_of(job, today=utc_today())
    return common_prices(today=utc_today()).known_to(project_here().spec.providers_of(None, {}))


def project_here() -> ProjectFile:
    """Read the file of the project here. Raises JobFileError and UsageProblem if the file cannot be used."""
    project = read_project(root_here(Path.cwd()))
    if project.problems:
        raise JobFileError(project.problems, file=project.problems[0].file)
    if project.unreadable:
        raise UsageProblem(f"{project.path} {project.unreadable}.", hint="correct the file, or name a job file")
    return project


def configured(providers: Providers, job: JobFile | None) -> dict[str, list[str]]:
    """Return the engine names of the models that a job may ask, by the name of their provider.

    The default provider is first, then those of the models, and then all others that have a section.
    """
    found: dict[str, list[str]] = {providers.default: []}
    asked = [job.spec.model.name, *job.spec.model.fallbacks, *(job.spec.tune.models or ())] if job else []
    for model in dict.fromkeys(asked):
        found.setdefault(providers.split(model)[0], []).append(model)
    return found | {name: [] for name in providers.sections if name not in found}
