"""The checks of providers other than the usual API: address, credential, and one call that is free of charge."""

import asyncio
import shlex
from collections.abc import Iterator, Sequence

from batchrun.cli.configured import access_to
from batchrun.cli.doctor.api import findings_of, mend
from batchrun.cli.doctor.check import Check, Subject, Verdict
from batchrun.execution.failure_messages import fatal_problem
from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.job.provider_sections import ANTHROPIC, ProviderSection
from batchrun.providers import AttemptError, Connected
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.credentials import mend_credential
from batchrun.providers.factories import Factory, factory_of
from batchrun.reply import Failure
from batchrun.request import Request

TIMEOUT_S = 20.0
"""A cloud's own chain of credentials may ask the machine for its role first."""
NO_MODEL = "batchrun-doctor"
"""What is asked for where no job names a model: that there is no such model is an answer too."""


def providers(subject: Subject) -> Iterator[Check]:
    """Check the way to each provider, and ask each about the models of the job there."""
    for name, models in subject.asked.items():
        if name != ANTHROPIC:
            yield from check_provider(name, models, subject)


def check_provider(name: str, models: Sequence[str], subject: Subject) -> Iterator[Check]:
    """Check one provider. What is said of a failure is the same as in a run, with what mends the failure here."""
    section = subject.providers.section(name)
    access = access_to(section)
    if access.endpoint:
        yield Check(name, Verdict.OK, f"{section.type} at {access.endpoint.words}")
    if problem := access.problem:
        yield Check(name, Verdict.BROKEN, str(problem), problem.hint or mend_credential(section))
        return
    yield from findings_of(name, access.credential)
    if subject.offline:
        yield Check(name, Verdict.SKIPPED, "not asked: --offline")
        return
    for model in models or [""]:
        there = subject.providers.split(model)[1] or NO_MODEL
        failure = asyncio.run(free_call(factory_of(section), section, there))
        yield judged(model, failure, name, section)


async def free_call(factory: Factory, section: ProviderSection, there: str) -> Failure | None:
    """Make a call that costs nothing, and return how the call failed.

    The call asks for the model, or has a few tokens counted, or else is a message of nothing, which no API answers.
    """
    able = capabilities_of(section)
    client: Connected | None = None
    hello = {"model": there, "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}
    try:
        if able.models_api or section.type == "openai":
            client = directory = factory.make_models(timeout_s=TIMEOUT_S)
            await directory.life(there)
        elif able.counts_tokens:
            client = counter = factory.make_counter(timeout_s=TIMEOUT_S)
            await counter.count(Request.of(hello))
        else:
            client = provider = factory.make(concurrency=1, timeout_s=TIMEOUT_S)
            await provider.send(Request.of(hello | {"messages": []}))
    except AttemptError as error:
        return error.failure
    finally:
        if client:
            await client.close()
    return None


def is_about_no_model(failure: Failure) -> bool:
    """Whether a failure says that there is no such model as was made up. A page of another server does not."""
    said = failure.message.lower()
    return kind_of(failure) is FailureKind.NOT_FOUND and (NO_MODEL in said or "deployment" in said)


def judged(model: str, failure: Failure | None, name: str, section: ProviderSection) -> Check:
    """Say what the answer of a free call means, and what mends a provider that refuses the call or is not there."""
    kind, about = failure and kind_of(failure), f" for {model}" if model else ""
    if failure is None or kind is FailureKind.REJECTED or (not model and is_about_no_model(failure)):
        return Check(name, Verdict.OK, f"it answers{about}, and takes the credential")
    if kind is FailureKind.LATER:
        return Check(name, Verdict.WARNING, f"it answers{about}, and asks to be asked later: {failure.message}")
    address = factory_of(section).endpoint().base_url
    otherwise = f"curl -sSI {shlex.quote(address)}"
    if kind is FailureKind.NOT_FOUND and not model:
        words = f"something answers at {address}, but not as an API of type {section.type} does: {failure.message}"
        return Check(name, Verdict.WARNING, words, f"see whether base_url in [providers.{name}] is right")
    if kind is FailureKind.NOT_FOUND:
        otherwise = f"name a model that is there; a deployment has its row of prices in [providers.{name}] models"
    return Check(name, Verdict.BROKEN, str(fatal_problem(failure)), mend(failure, section, otherwise))
