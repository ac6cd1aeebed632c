"""The names of models: which provider they say, under which name all is kept, and what names a request."""

from datetime import date

import pytest

from batchrun.budget.policy import project_caps, project_rule
from batchrun.catalog.price_table import load_prices
from batchrun.errors import Refused, UsageProblem
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.provider_sections import TYPES, ProviderSection
from batchrun.job.providers import Providers
from batchrun.planning.request_template import RequestTemplate
from batchrun.workflow.job_models import models_of

JOB = """\
[job]
name = "x"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "MODEL"
max_tokens = 9
[prompt]
user = "{{ doc.text }}"
[output.fields]
title = "string"
[budget]
max_cost_usd = 1
"""
TODAY = date(2026, 11, 29)
HOME = ProviderSection(type="openai", base_url="http://localhost:8080/v1", free=True)


def loaded(folder, model, job="", project=""):
    (folder / "x.toml").write_text(JOB.replace("MODEL", model) + job)
    (folder / "batchrun.toml").write_text(project)
    return load_job(folder / "x.toml")


def chain(job):
    return models_of(job, load_prices(today=TODAY).known_to(job.providers), today=TODAY)


@pytest.mark.parametrize(
    ("default", "model", "engine", "split"),
    [
        (None, "claude-x", "claude-x", ("anthropic", "claude-x")),
        (None, "anthropic/claude-x", "claude-x", ("anthropic", "claude-x")),
        (None, "bedrock/claude-x", "bedrock/claude-x", ("bedrock", "claude-x")),
        (None, "home/llama3", "home/llama3", ("home", "llama3")),
        (None, "home/org/llama3", "home/org/llama3", ("home", "org/llama3")),
        (None, "org/llama3", "org/llama3", ("anthropic", "org/llama3")),
        (None, "home/", "home/", ("anthropic", "home/")),
        (None, "/home", "/home", ("anthropic", "/home")),
        ("bedrock", "claude-x", "bedrock/claude-x", ("bedrock", "claude-x")),
        ("bedrock", "anthropic/claude-x", "claude-x", ("anthropic", "claude-x")),
        ("bedrock", "bedrock/claude-x", "bedrock/claude-x", ("bedrock", "claude-x")),
        ("bedrock", "eu.anthropic.claude-x-v1:0", "bedrock/eu.anthropic.claude-x-v1:0",
         ("bedrock", "eu.anthropic.claude-x-v1:0")),
        ("openai", "org/llama3", "openai/org/llama3", ("openai", "org/llama3")),
    ],
)  # fmt: skip
def test_the_engine_name(default, model, engine, split):
    providers = Providers.of((default and ProviderSection(type=default), {"home": HOME}))
    assert providers.qualified(model) == engine
    assert providers.split(engine) == split


def test_every_model_of_a_job_has_its_engine_name(tmp_path):
    job = loaded(
        tmp_path,
        "claude-sonnet-5-5",
        '[provider]\ntype = "bedrock"\n[tune]\nmodels = ["anthropic/claude-haiku-4-5", "claude-haiku-4-5"]\n',
    )
    assert job.spec.model.name == "bedrock/claude-sonnet-5-5"
    assert job.spec.tune.models == ("claude-haiku-4-5", "bedrock/claude-haiku-4-5")
    cascade = JOB.replace('name = "MODEL"\n', "") + (
        '[cascade]\nmodels = ["claude-haiku-4-5", "anthropic/claude-sonnet-5-5"]\n[provider]\ntype = "bedrock"\n'
    )
    (tmp_path / "x.toml").write_text(cascade)
    spec = load_job(tmp_path / "x.toml").spec
    assert spec.cascade.models == ("bedrock/claude-haiku-4-5", "claude-sonnet-5-5")
    assert (spec.model.name, spec.model.fallbacks) == ("bedrock/claude-haiku-4-5", ("claude-sonnet-5-5",))


def test_one_model_by_two_names_is_no_ladder(tmp_path):
    text = JOB.replace('"MODEL"', '"claude-haiku-4-5"\nfallbacks = ["anthropic/claude-haiku-4-5"]')
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(JobFileError, match='"claude-haiku-4-5" is there already, by another name'):
        chain(load_job(tmp_path / "x.toml"))


@pytest.mark.parametrize(
    "name", ["home/a\\u001b[31m", "home/a b", "home/\\u0085", "a" * 201], ids=["escape", "space", "C1", "long"]
)
def test_a_name_that_cannot_be_shown_is_none(tmp_path, name):
    (tmp_path / "x.toml").write_text(JOB.replace("MODEL", name))
    with pytest.raises(JobFileError, match="input should be the name of a model"):
        load_job(tmp_path / "x.toml")


def test_a_tier_has_engine_names(tmp_path):
    project = '[tiers]\nsimple = ["claude-haiku-4-5", "anthropic/claude-haiku-4-5"]\n[provider]\ntype = "vertex"\n'
    (tmp_path / "batchrun.toml").write_text(project)
    (tmp_path / "x.toml").write_text(JOB.replace('name = "MODEL"', 'tier = "simple"'))
    model = load_job(tmp_path / "x.toml").spec.model
    assert (model.name, model.fallbacks) == ("vertex/claude-haiku-4-5", ("claude-haiku-4-5",))


@pytest.mark.parametrize(
    ("model", "sections", "hint"),
    [
        ("nope/llama3", "", 'If "nope" is a provider, write [providers.nope] with its type and its base_url. '),
        ("home/llama3", '[providers.home]\ntype = "openai"\nbase_url = "http://localhost/v1"\n',
         "If the server is your own, write free = true in its section. "),
        ("openai/claude-sonnet-5-6", "", "did you mean openai/claude-sonnet-5-5? "),
    ],
)  # fmt: skip
def test_what_is_said_of_a_model_without_a_price(tmp_path, model, sections, hint):
    with pytest.raises(JobFileError) as raised:
        chain(loaded(tmp_path, model, sections))
    assert f'unknown model "{model}"' in raised.value.rendered
    assert f"= help: {hint}For a model that" in raised.value.rendered


def test_a_server_of_ones_own_costs_nothing(tmp_path):
    section = (
        '[providers.home]\ntype = "openai"\nbase_url = "http://localhost/v1"\nfree = true\ncontext_window = 8192\n'
    )
    (model,) = chain(loaded(tmp_path, "home/llama3", section)).models
    assert (model.price.name, model.price.rates.output, model.price.context_window) == ("home/llama3", 0, 8192)


@pytest.mark.parametrize(
    ("model", "percent"),
    [
        ("aws/claude-haiku-4-5", 100),
        ("google/claude-haiku-4-5", 100),
        ("foundry/claude-haiku-4-5", 100),
        ("bedrock/claude-haiku-4-5", 110),
        ("bedrock/anthropic.claude-haiku-4-5-v1:0", 110),
        ("bedrock/eu.anthropic.claude-haiku-4-5-v1:0", 110),
        ("bedrock/global.anthropic.claude-haiku-4-5-v1:0", 100),
        ("bedrock/arn:aws:bedrock:eu-west-1:1:inference-profile/global.anthropic.claude-haiku-4-5", 100),
        ("bedrock/arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5", 110),
        ("vertex/claude-haiku-4-5", 110),
    ],
)
def test_a_region_of_a_cloud_costs_more(model, percent):
    prices = load_prices(today=TODAY).known_to(Providers())
    base, found = prices.model("claude-haiku-4-5").rates, prices.model(model)
    assert found.name == model
    assert (found.rates.input, found.rates.output) == (base.input * percent // 100, base.output * percent // 100)


def test_the_global_region_of_vertex_costs_what_the_api_costs():
    sections = {"vertex": ProviderSection(type="vertex", region="global")}
    prices = load_prices(today=TODAY).known_to(Providers(sections))
    assert prices.model("vertex/claude-haiku-4-5").rates == prices.model("claude-haiku-4-5").rates


def test_a_deployment_has_the_row_that_its_section_says():
    sections = {"foundry": ProviderSection(type="foundry", models={"mine": "claude-haiku-4-5"})}
    prices = load_prices(today=TODAY).known_to(Providers(sections))
    assert prices.model("foundry/mine").rates == prices.model("claude-haiku-4-5").rates
    with pytest.raises(Refused, match="no price for the model"):
        prices.model("foundry/other")


BUDGET = """\
[budget]
allowed_models = ["claude-haiku-4-5", "home/llama3"]
denied_models = ["anthropic/claude-opus-5"]
[budget.models."claude-haiku-4-5"]
max_cost_per_day_usd = 1.00
"""
HOME_SECTION = '[providers.home]\ntype = "openai"\nbase_url = "http://localhost/v1"\nfree = true\n'


def test_budgets_are_by_engine_name(tmp_path):
    budget = loaded(tmp_path, "x", HOME_SECTION, BUDGET + '[provider]\ntype = "bedrock"\n').project.budget
    rule = project_rule(budget)
    assert (rule.allowed, rule.denied) == (("bedrock/claude-haiku-4-5", "home/llama3"), ("claude-opus-5",))
    (cap,) = (cap for cap in project_caps(budget) if cap.model)
    assert cap.model == "bedrock/claude-haiku-4-5"
    assert cap.concerns("bedrock/claude-haiku-4-5")
    assert not cap.concerns("claude-haiku-4-5")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("claude-haiku-4-5", None),
        ("home/llama3", None),
        ("bedrock/claude-haiku-4-5", '"bedrock/claude-haiku-4-5" is not allowed: budget.allowed_models'),
        ("bedrock/claude-opus-5", '"bedrock/claude-opus-5" is not allowed: budget.allowed_models'),
    ],
)
def test_what_is_allowed_is_allowed_at_its_provider(tmp_path, model, problem):
    job = loaded(tmp_path, model, HOME_SECTION, BUDGET)
    if problem is None:
        assert chain(job).models[0].price.name == model
        return
    with pytest.raises(Refused, match=problem):
        chain(job)


def test_what_is_denied_is_denied_at_every_provider(tmp_path):
    project = '[budget]\ndenied_models = ["claude-opus-5"]\n'
    for model in ("claude-opus-5", "bedrock/claude-opus-5"):
        with pytest.raises(Refused, match=r"denied_models"):
            chain(loaded(tmp_path, model, "", project))


def fingerprint(folder, model, job=""):
    return RequestTemplate(loaded(folder, model, job)).fingerprint


def test_another_provider_is_another_request(tmp_path):
    usual = fingerprint(tmp_path, "claude-sonnet-5-5")
    assert fingerprint(tmp_path, "anthropic/claude-sonnet-5-5") == usual
    assert fingerprint(tmp_path, "claude-sonnet-5-5", '[provider]\nbase_url = "http://gateway/v1"\n') == usual
    found = {usual: "anthropic"}
    for kind in TYPES[1:]:
        by_name = fingerprint(tmp_path, f"{kind}/claude-sonnet-5-5")
        assert by_name not in found
        found[by_name] = kind
        assert fingerprint(tmp_path, "claude-sonnet-5-5", f'[provider]\ntype = "{kind}"\n') == by_name
        assert fingerprint(tmp_path, f"{kind}/claude-sonnet-5-5", f'[provider]\ntype = "{kind}"\n') == by_name


def test_another_type_under_the_same_name_is_another_request(tmp_path):
    found = {fingerprint(tmp_path, "mine/claude-sonnet-5-5", f'[providers.mine]\ntype = "{kind}"\n') for kind in TYPES}
    assert len(found) == len(TYPES)


def test_a_provider_that_is_gone_is_said_to_be_gone():
    with pytest.raises(UsageProblem, match='there is no provider "home"') as raised:
        Providers().section("home")
    assert "an open batch needs the section [providers.home] that it had" in raised.value.hint
