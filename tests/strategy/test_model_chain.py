"""The ladder of models: who is on it, and the same request to each of them."""

import json
from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.catalog.rate_limits import LimitOrigin
from batchrun.errors import Refused, UsageProblem
from batchrun.job.model_sections import ModelSection
from batchrun.job.spec import LimitsSection
from batchrun.outcome import Outcome
from batchrun.request import Request
from batchrun.strategy.model_chain import OUTAGE, make_model_chain

TODAY = date(2026, 11, 21)
PRICES = load_prices(today=TODAY)
SCHEMA = {"type": "object", "properties": {"z": {"type": "number", "minimum": 0.1}, "a": {"type": "string"}}}


def chain(*names, limits=None, **keys):
    name, *fallbacks = names
    section = ModelSection(**{"name": name, "fallbacks": tuple(fallbacks), "max_tokens": 1_024, **keys})
    return make_model_chain(section, limits or LimitsSection(), PRICES, today=TODAY)


def request(model="claude-sonnet-5-5", *, max_tokens=1_024, effort=None, thinking=None, text="Grüße \ud83d"):
    """In the order of the renderer."""
    output = {"format": {"type": "json_schema", "schema": SCHEMA}} | ({"effort": effort} if effort else {})
    params = {"model": model, "max_tokens": max_tokens, "output_config": output, "system": "Be brief."}
    if thinking:
        params["thinking"] = {"type": thinking}
    return Request.of({**params, "messages": [{"role": "user", "content": text}]})


def test_without_fallbacks_there_is_one_rung():
    found = chain("claude-sonnet-5-5", effort="low", thinking="adaptive")
    [chain_model] = found.models
    assert (chain_model.price.name, chain_model.request(request()).max_tokens) == ("claude-sonnet-5-5", 1_024)
    assert (chain_model.effort, chain_model.thinking) == ("low", "adaptive")
    assert not found.falls_back(0, OUTAGE)


def test_who_answers_next_and_why():
    found = chain("claude-sonnet-5-5", "claude-haiku-4-5", "claude-opus-5", fallback_on=("outage", "refused"))
    assert [chain_model.price.name for chain_model in found.models] == [
        "claude-sonnet-5-5",
        "claude-haiku-4-5",
        "claude-opus-5",
    ]
    assert [found.falls_back(number, OUTAGE) for number in range(3)] == [True, True, False]
    assert found.falls_back(0, Outcome.REFUSED)
    assert not found.falls_back(0, Outcome.TRUNCATED)
    assert chain("claude-sonnet-5-5", "claude-haiku-4-5").falls_back(0, Outcome.TRUNCATED), "by default"


def test_the_first_rung_leaves_the_request_as_it_is():
    first = request(effort="low")
    assert chain("claude-sonnet-5-5", "claude-haiku-4-5").models[0].request(first) is first


def test_a_fallback_gets_the_same_question_without_what_it_does_not_take():
    chain_model = chain("claude-sonnet-5-5", "claude-haiku-4-5", effort="low", thinking="adaptive").models[1]
    first = request(effort="low", thinking="adaptive")
    other = chain_model.request(first)
    assert (chain_model.effort, chain_model.thinking) == (None, None)
    assert other.body == request("claude-haiku-4-5").body, "keys in the same order, the bytes of one rendered for it"
    assert other.request_id == chain_model.request(first).request_id != first.request_id


def test_a_fallback_keeps_what_it_takes():
    chain_model = chain("claude-sonnet-5-5", "claude-opus-5", effort="xhigh", thinking="adaptive").models[1]
    other = chain_model.request(request(effort="xhigh", thinking="adaptive"))
    assert other.body == request("claude-opus-5", effort="xhigh", thinking="adaptive").body


def test_thinking_is_dropped_where_this_effort_forbids_it():
    chain_model = chain("claude-sonnet-5", "claude-opus-5", effort="max", thinking="disabled").models[1]
    assert (chain_model.effort, chain_model.thinking) == ("max", None)


@pytest.mark.parametrize(
    ("fallback", "budget_tokens", "keeps"),
    [
        ("claude-haiku-4-5", 63_999, True),
        ("claude-haiku-4-5", 64_000, False),
        ("claude-sonnet-4-6", 64_000, True),
        ("claude-haiku-5-5", 1_024, False),
    ],
)
def test_a_budget_goes_to_a_fallback_that_takes_the_budget_and_can_still_answer(fallback, budget_tokens, keeps):
    keys = {"max_tokens": 128_000, "thinking": "enabled", "budget_tokens": budget_tokens}
    chain_model = chain("claude-opus-4-6", fallback, **keys).models[1]
    thinking = {"type": "enabled", "budget_tokens": budget_tokens}
    params = {**json.loads(request("claude-opus-4-6", max_tokens=128_000).body), "thinking": thinking}

    sent = json.loads(chain_model.request(Request.of(params)).body)

    assert sent.get("thinking") == (thinking if keeps else None)


def test_a_fallback_thinks_as_it_does_by_itself_where_thinking_is_switched_off_in_other_words():
    chain_model = chain("claude-sonnet-5-5", "claude-haiku-5-5", thinking="between_tools").models[1]
    first = request(thinking="between_tools")
    assert "thinking" not in json.loads(chain_model.request(first).body)


@pytest.mark.parametrize(("asked", "given"), [(1_024, 1_024), (64_000, 64_000), (100_000, 64_000)])
def test_a_fallback_writes_at_most_what_it_can(asked, given):
    chain_model = chain("claude-sonnet-5-5", "claude-haiku-4-5", max_tokens=asked).models[1]
    other = chain_model.request(request(max_tokens=asked))
    assert (other.max_tokens, json.loads(other.body)["max_tokens"]) == (given, given)


def test_more_for_a_truncated_document_is_more_for_the_fallback_too():
    chain_model = chain("claude-sonnet-5-5", "claude-haiku-4-5").models[1]
    assert chain_model.request(request(max_tokens=2_048)).max_tokens == 2_048


def test_limits_of_the_job_file_are_the_first_models():
    limits = LimitsSection(requests_per_minute=7, headroom=0.5)
    own, other = (
        chain_model.limits for chain_model in chain("claude-sonnet-5-5", "claude-haiku-4-5", limits=limits).models
    )
    published = PRICES.model("claude-haiku-4-5").limits
    assert (own.requests_per_minute, own.headroom) == (7, 0.5)
    assert (other.requests_per_minute, other.headroom) == (published.requests_per_minute, 0.5)
    assert other.origin("requests_per_minute") is LimitOrigin.START_TIER


def test_a_fallback_without_a_price_is_refused():
    with pytest.raises(Refused, match="no price for the model"):
        chain("claude-sonnet-5-5", "claude-nonesuch-9")


def test_every_problem_of_every_model_is_told():
    section = ModelSection(name="claude-opus-4-5", fallbacks=("claude-sonnet-4-5",), max_tokens=1, effort="max")
    with pytest.raises(UsageProblem) as caught:
        make_model_chain(section, LimitsSection(), PRICES, today=date(2026, 12, 1))
    assert "claude-opus-4-5 does not take effort" in str(caught.value)
    assert "claude-sonnet-4-5 was retired on 2026-11-30" in str(caught.value)
    assert "takes no effort" not in str(caught.value), "a fallback drops it"
