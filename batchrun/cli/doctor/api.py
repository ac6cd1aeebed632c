"""The checks of the way to the API, and what the API tells free of charge: clock, models, limits."""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from urllib.parse import urlsplit

from batchrun.answers.form import DEFAULT_MODE
from batchrun.catalog.capabilities import as_told, model_problems, suited
from batchrun.catalog.lifecycle import ModelLife
from batchrun.catalog.notices import life_notice
from batchrun.catalog.rate_limits import RATE_KEYS, LearnedLimits, RateLimits
from batchrun.cli.doctor.check import Check, Subject, Verdict
from batchrun.cli.views.format import duration, utc
from batchrun.errors import BatchrunError, EnvironmentProblem
from batchrun.estimation.text_class import TextClass
from batchrun.execution.failure_messages import fatal_problem
from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.job.load import JobFile
from batchrun.job.provider_sections import ANTHROPIC, ProviderSection
from batchrun.planning.api_lookups import NO_MODELS
from batchrun.providers import AttemptError, ModelDirectory
from batchrun.providers.anthropic.credential import Finding, mend_key
from batchrun.providers.anthropic.endpoint import VARIABLE, trusted_certificates
from batchrun.providers.anthropic.errors import is_missing, is_unknown_model
from batchrun.providers.anthropic.models import AnthropicModels
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.anthropic.retry_after import server_time
from batchrun.providers.credentials import credential_of, mend_credential
from batchrun.reply import Failure, ReportedLimits
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics
from batchrun.store.reports.runs import recent_models

RECENT_RUNS, MOST_MODELS = 20, 5
"""How many of the last runs count, and how many of their models the API is asked about at most."""
TIMEOUT_S = 10.0
MOST_AHEAD_S = 30.0
"""The clock may differ from the API's by so many seconds: dates are whole seconds, and answers take a while."""
SET_CLOCK = "sudo sntp -sS time.apple.com" if sys.platform == "darwin" else "sudo timedatectl set-ntp true"
WAYS = {"address", "certificates", "credential"}
"""Without these nothing can be asked."""
AT_HOME = {"localhost", "127.0.0.1", "::1"}
TRUST = 'if you trust its maker: export SSL_CERT_FILE="the maker\'s certificate.pem"'
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def address(subject: Subject) -> Iterator[Check]:
    """Where requests go: the base URL, and the proxy if there is one."""
    endpoint = factory_of(subject).endpoint()
    url, unused = urlsplit(endpoint.base_url), next((name for name in PROXIES if os.environ.get(name)), None)
    direct = f", not through {unused} (see NO_PROXY)" if unused and not endpoint.proxy else ""
    yield Check("address", Verdict.OK, endpoint.words + direct)
    if url.path.rstrip("/").endswith("/v1"):
        shorter = url._replace(path=url.path.rstrip("/").removesuffix("/v1")).geturl()
        fix = f'base_url = "{shorter}"' if endpoint.named_by else f'export {VARIABLE}="${{{VARIABLE}%/v1*}}"'
        yield Check("address", Verdict.BROKEN, "the address ends in /v1, which the client adds", fix)
    if url.scheme == "http" and url.hostname not in AT_HOME:
        safer = url._replace(scheme="https").geturl()
        fix = f'base_url = "{safer}"' if endpoint.named_by else f'export {VARIABLE}="https${{{VARIABLE}#http}}"'
        yield Check("address", Verdict.WARNING, "key and documents travel to this address unencrypted", fix)


def certificates(_: Subject) -> Iterator[Check]:
    """Which certificates are trusted."""
    yield Check("certificates", Verdict.OK, trusted_certificates())


def credential(subject: Subject) -> Iterator[Check]:
    """Which credential requests carry, and what looks wrong with it. Its last characters at most are shown."""
    section = subject.providers.section(ANTHROPIC)
    try:
        factory_of(subject).check_key()
    except EnvironmentProblem as problem:
        yield Check("credential", Verdict.BROKEN, str(problem), problem.hint if section.api_key_env else mend_key())
        return
    usual = factory_of(subject).endpoint().is_default
    yield from findings_of("credential", credential_of(section, is_default_address=usual))


def findings_of(name: str, findings: Iterable[Finding]) -> Iterator[Check]:
    """Say what a credential is, and whether it is in order."""
    for one in findings:
        verdict = Verdict.BROKEN if one.fatal else Verdict.WARNING if one.fix else Verdict.OK
        yield Check(name, verdict, one.words, one.fix)


def mend(failure: Failure, section: ProviderSection, otherwise: str) -> str:
    """Return what mends a failure that the credential or a certificate may be to blame for, or else `otherwise`."""
    if kind_of(failure) in {FailureKind.NO_KEY, FailureKind.BAD_KEY, FailureKind.FORBIDDEN}:
        return mend_credential(section)
    return TRUST if "certificate" in failure.message else otherwise


def api(subject: Subject) -> Iterator[Check]:
    """Ask about the models of the job or of the last runs; without any, only whether the API answers."""
    if subject.offline or subject.broken & WAYS or subject.prices is None:
        why = "--offline" if subject.offline else "something above is broken"
        yield Check("api", Verdict.SKIPPED, f"not asked for clock, models and limits: {why}")
        return
    names, learned = subject.asked[ANTHROPIC], None
    with suppress(BatchrunError), Ledger.read(subject.ledger) as ledger:  # the check of the ledger tells what is wrong
        recent = [] if subject.chain else recent_models(ledger, runs=RECENT_RUNS, most=MOST_MODELS)
        names = names or [name for name in recent if subject.providers.split(name)[0] == ANTHROPIC]
        learned = RunMetrics(ledger).learned(names[0], now=time.time()) if names else None
    directory = factory_of(subject).make_models(timeout_s=TIMEOUT_S)
    yield from asyncio.run(ask(directory, names, subject))
    yield from clock(directory.heard)
    if subject.chain and subject.chain.models[0].price.name in names:
        yield from limits(subject.chain.models[0].limits, reported_limits(directory.heard), learned)


def factory_of(subject: Subject) -> AnthropicFactory:
    """Return what makes the clients of the usual API, as the job or the project says."""
    return AnthropicFactory(section=subject.providers.section(ANTHROPIC))


async def ask(directory: AnthropicModels, names: Sequence[str], subject: Subject) -> list[Check]:
    """Ask about each model. A failure that is not about a model ends the questions."""
    found: list[Check] = []
    try:
        for name in names or list(subject.prices.prices if subject.prices else ())[:1]:
            found += await ask_about_one(directory, name, subject)
        return [Check("api", Verdict.OK, "it answers, and takes the credential"), *(found if names else [])]
    except AttemptError as error:
        return [*found, await failed(error.failure, directory, factory_of(subject))]
    finally:
        await directory.close()


async def ask_about_one(directory: ModelDirectory, name: str, subject: Subject) -> list[Check]:
    """Ask about one model. Raises AttemptError if the failure is not about the model."""
    current = [one for one, row in subject.prices.prices.items() if row.retires is None] if subject.prices else []
    close = get_close_matches(name, [one for one in current if one != name], n=1, cutoff=0)
    is_first = subject.chain is None or subject.chain.models[0].price.name == name
    other = f'[model] name = "{close[0]}"' if close and is_first else "name another model in its place in [model]"
    try:
        life = await directory.life(name)
    except AttemptError as error:
        if not is_unknown_model(error.failure, name):
            raise
        return [Check(name, Verdict.BROKEN, "the API has no such model for this key", other)]
    found = list(unsuited(life, name, subject))
    if notice := life_notice(life, today=subject.today):
        verdict = Verdict.BROKEN if life.lifecycle == "retired" else Verdict.WARNING
        return [Check(name, verdict, notice, other), *found]
    takes = f", takes {life.max_input_tokens:,} tokens" if life.max_input_tokens else ""
    return found or [Check(name, Verdict.OK, f"{life.lifecycle or 'known to the API'}{takes}")]


def unsuited(life: ModelLife, name: str, subject: Subject) -> Iterator[Check]:
    """Yield what a model of the job does not take of what the job asks, and what to write instead."""
    price = next((one.price for one in subject.chain.models if one.price.name == name), None) if subject.chain else None
    if price is None or subject.job is None:
        return
    told, asked = as_told(price, life), subject.job.spec.model
    fixes = {"max_tokens": f"[model] max_tokens = {told.max_output_tokens}"}
    if told.effort_levels:
        fixes["effort"] = f'[model] effort = "{told.effort_levels[-1]}"'
    section = asked if name == asked.name else suited(asked, price)
    for problem in model_problems(section, told, today=subject.today):
        fix = fixes.get(problem.key, f"take `{problem.key}` out of [model]")
        yield Check(name, Verdict.BROKEN, f"by the API, {problem.message}", fix)
    for what, takes, fix in needs(life, subject.job, subject.native):
        if takes is False:
            yield Check(name, Verdict.BROKEN, f"by the API, {name} takes no {what}", fix)
    if told.context_window < price.context_window:
        words = f"by the API it takes {told.context_window:,} tokens, by the prices {price.context_window:,}"
        yield Check(name, Verdict.WARNING, words, '[source] on_oversize = "split"')


def needs(life: ModelLife, job: JobFile, native: set[TextClass]) -> Iterator[tuple[str, bool | None, str]]:
    """Yield what a job needs of its models, whether the model has it, and what does without it."""
    takes = life.capabilities
    if job.form.mode == DEFAULT_MODE:
        yield "structured output", takes.structured_outputs, '[output] mode = "tool"'
    if job.spec.run.route != "stream":
        yield "batches", takes.batch, '[run] route = "stream"'
    if TextClass.PAGES in native:
        yield "PDF", takes.pdf_input, '[source] pdf = "text"'
    if TextClass.IMAGE in native:
        yield "images", takes.image_input, "choose another model"


async def failed(failure: Failure, directory: AnthropicModels, factory: AnthropicFactory) -> Check:
    """Say why the API gave no answer. A gateway may lack the Models API, which is no obstacle."""
    endpoint = factory.endpoint()
    if endpoint.proxy and endpoint.proxy_variable:
        detour = f"unset {endpoint.proxy_variable}"
    else:
        is_of_environment = not (endpoint.is_default or endpoint.named_by)
        detour = f"unset {VARIABLE}" if is_of_environment else f"curl -sSI {shlex.quote(endpoint.base_url)}"
    if is_missing(failure):
        if await directory.takes_messages():
            return Check("models", Verdict.WARNING, f"{NO_MODELS} ({failure.name}); this is no obstacle")
        page = "a web page" if directory.is_page else failure.name
        return Check("api", Verdict.BROKEN, f"{endpoint.base_url} is no address of the API: it answers {page}", detour)
    return Check("api", Verdict.BROKEN, str(fatal_problem(failure)), mend(failure, factory.section, detour))


def clock(heard: Mapping[str, str]) -> Iterator[Check]:
    """Hold the clock of this machine against the date of the last answer; nothing without a date."""
    if (theirs := server_time(heard)) is None:
        return
    ahead_s = time.time() - theirs
    if abs(ahead_s) <= MOST_AHEAD_S:
        yield Check("clock", Verdict.OK, f"within {MOST_AHEAD_S:.0f} s of the API's")
    else:
        words = f"{duration(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} the API's"
        yield Check("clock", Verdict.WARNING, words, SET_CLOCK)


def limits(used: RateLimits, told: ReportedLimits | None, learned: LearnedLimits | None) -> Iterator[Check]:
    """Hold the rate limits of the job file against those that the API told, now or in an earlier run."""
    rates, when = learned.rates if learned else (), f"at {utc(learned.learnt_at)} UTC" if learned else ""
    if told and (told.input_tokens.limit or told.output_tokens.limit):  # without tokens they are those of free calls
        rates, when = (told.requests.limit, told.input_tokens.limit, told.output_tokens.limit), "now"
    stated = {name: most for name, most in zip(RATE_KEYS, rates, strict=False) if most}
    for name, most in stated.items():
        if name in used.from_job_file and (value := getattr(used, name)) > most:
            words = f"{name} = {value:,} in the job file, and the API allowed {most:,} {when}"
            yield Check("limits", Verdict.WARNING, words, f"[limits] {name} = {most}")
    words = ", ".join(f"{name} = {most:,}" for name, most in stated.items())
    yield Check("limits", Verdict.OK, f"{words}, as the API told {when}" if words else "not told by the API so far")
