"""What goes to OpenAI and to servers like it beside requests, and what their errors mean."""

import asyncio
import json
from datetime import date
from typing import Any

import httpx2
import openai
import pytest
from aiohttp import web
from command_line import clean_environment

from batchrun.catalog.price_table import load_prices
from batchrun.errors import EnvironmentProblem, Refused
from batchrun.execution.retry_policy import FailureKind, kind_of, may_be_everybodys
from batchrun.job.provider_sections import ProviderSection
from batchrun.job.providers import Providers
from batchrun.providers import AttemptError
from batchrun.providers.factories import factory_of
from batchrun.providers.openai.client import status_failure
from batchrun.providers.openai.provider import OpenAIFactory
from batchrun.request import Request

KEY, MINE = "sk-proj-0123456789abcdef", "mine-0123456789abcdef"
ELSEWHERE = "http://127.0.0.1:9/v1"
KINDS = FailureKind
NO_WORDS = "HTTP {} without the API's error body"
REQUEST = Request.of({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "ü\ud800"}]})
COMPLETION = {"choices": [{"finish_reason": "stop", "message": {"content": "{}"}}]}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    import os

    for name in os.environ.keys() - clean_environment(tmp_path).keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-gate: secret-of-the-gate\nAuthorization: Bearer other")
    monkeypatch.setenv("MINE", MINE)


def arrived(section: dict[str, Any], variable: str | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers and the body that arrive at a server that the section, or a variable, names."""
    seen: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append((headers, await request.json()))
        return web.json_response(COMPLETION, headers={"x-request-id": "req_1"})

    async def scenario() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        with pytest.MonkeyPatch.context() as patch:
            if variable:
                patch.setenv(variable, url)
            there = {} if variable else {"base_url": url}
            factory = factory_of(ProviderSection.model_validate({"type": "openai", **there, **section}))
            provider = factory.make(concurrency=1, timeout_s=30.0)
        try:
            reply = await provider.send(REQUEST)
        finally:
            await provider.close()
            await runner.cleanup()
        assert (reply.text, reply.api_request_id) == ("{}", "req_1")

    asyncio.run(scenario())
    (one,) = seen
    return one


def test_an_address_in_a_file_is_sent_nothing_that_the_environment_has_for_openai() -> None:
    headers, body = arrived({"headers": {"x-team": "a"}})

    assert "authorization" not in headers
    assert not {"openai-organization", "openai-project", "x-gate"} & headers.keys()
    assert not any(word in value for value in headers.values() for word in (KEY, "secret-of-the-gate", "other"))
    assert headers["x-team"] == "a"
    assert body == {"model": "m", "messages": [{"role": "user", "content": "ü\ud800"}], "max_tokens": 5}


def test_an_address_in_a_file_is_sent_the_key_that_the_file_names() -> None:
    headers, _ = arrived({"api_key_env": "MINE", "project": "p-1"})

    assert (headers["authorization"], headers["openai-project"]) == (f"Bearer {MINE}", "p-1")
    assert not {"openai-organization", "x-gate"} & headers.keys()


def test_an_address_in_the_environment_is_the_user_s_own() -> None:
    headers, _ = arrived({}, "OPENAI_BASE_URL")

    assert (headers["openai-organization"], headers["x-gate"]) == ("org-1", "secret-of-the-gate")


@pytest.mark.parametrize(
    ("section", "url", "key"),
    [
        ({}, "https://api.openai.com/v1", KEY),
        ({"api_key_env": "MINE"}, "https://api.openai.com/v1", MINE),
        ({"base_url": "https://eu.api.openai.com/v1"}, "https://eu.api.openai.com/v1", KEY),
        ({"base_url": "http://api.openai.com/v1"}, "http://api.openai.com/v1", None),
        ({"base_url": "https://api.openai.com.evil.example/v1"}, "https://api.openai.com.evil.example/v1", None),
        ({"base_url": "https://notopenai.com/v1"}, "https://notopenai.com/v1", None),
        ({"base_url": ELSEWHERE}, ELSEWHERE, None),
        ({"base_url": ELSEWHERE, "api_key_env": "MINE"}, ELSEWHERE, MINE),
    ],
)
def test_which_key_goes_where(section: dict[str, Any], url: str, key: str | None) -> None:
    factory = factory_of(ProviderSection.model_validate({"type": "openai", **section}))
    factory.check()

    assert isinstance(factory, OpenAIFactory)
    assert (factory.endpoint().base_url, factory.url, factory.key) == (url, url, key)
    assert not any(secret in repr(factory) for secret in (KEY, MINE))


@pytest.mark.parametrize(
    ("variable", "value", "section", "words"),
    [
        ("OPENAI_API_KEY", "", {}, "no API key: OPENAI_API_KEY is not set"),
        ("OPENAI_API_KEY", "", {"api": "responses"}, "no API key: OPENAI_API_KEY is not set"),
        ("MINE", "", {"api_key_env": "MINE", "base_url": ELSEWHERE}, "MINE, which is not set"),
        ("MINE", "sk\nx", {"api_key_env": "MINE"}, "characters"),
    ],
)
def test_a_missing_or_broken_key_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, section: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(EnvironmentProblem, match=words):
        factory_of(ProviderSection.model_validate({"type": "openai", **section})).check()


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "batchrun.providers.openai.provider", None)

    with pytest.raises(EnvironmentProblem) as caught:
        factory_of(ProviderSection(type="openai"))
    assert caught.value.hint == 'pip install "batchrun-documents[openai]"'


def error(status: int, body: Any, **headers: str) -> openai.APIStatusError:
    """The SDK's error for an answer with this status."""
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx2.Response(status, text=text, headers=named, request=httpx2.Request("POST", ELSEWHERE))
    made: openai.APIStatusError = openai.OpenAI(api_key="x")._make_status_error_from_response(answer)
    return made


def said(words: str, kind: str, code: object = None) -> dict[str, Any]:
    return {"error": {"message": words, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words", "code"),
    [
        (429, said("Quota.", "insufficient_quota", "insufficient_quota"), KINDS.MONEY, "Quota.", "insufficient_quota"),
        (400, said("Cap.", "x", "billing_hard_limit_reached"), KINDS.MONEY, "Cap.", "billing_hard_limit_reached"),
        (429, said("Wait.", "tokens", "rate_limit_exceeded"), KINDS.LATER, "Wait.", "rate_limit_exceeded"),
        (404, said("No m.", "invalid_request_error", "model_not_found"), KINDS.NOT_FOUND, "No m.", "model_not_found"),
        (401, said("Key.", "invalid_request_error", "invalid_api_key"), KINDS.BAD_KEY, "Key.", "invalid_api_key"),
        (500, said("Oh.", "server_error"), KINDS.SILENT, "Oh.", None),
        (503, said("Slow.", "service_unavailable_error", "server_is_overloaded"),
         KINDS.SILENT, "Slow.", "server_is_overloaded"),
        (400, said("Bad.", "invalid_request_error", "content_policy_violation"),
         KINDS.REJECTED, "Bad.", "content_policy_violation"),
        # vLLM, Ollama, FastAPI, a page, nothing
        (400, {"object": "error", "message": "Bad.", "type": "BadRequestError", "code": 400},
         KINDS.REJECTED, "Bad.", None),
        (404, {"error": "model 'x' not found"}, KINDS.NOT_FOUND, "model 'x' not found", None),
        (404, {"detail": "Not Found"}, KINDS.NOT_FOUND, "Not Found", None),
        (422, {"detail": [{"msg": "no"}]}, KINDS.REJECTED, "no", None),
        (502, "<html>Bad</html>", KINDS.SILENT, NO_WORDS.format(502), None),
        (500, "Internal Server Error", KINDS.SILENT, "Internal Server Error", None),
        (500, "", KINDS.SILENT, NO_WORDS.format(500), None),
        (400, [1], KINDS.REJECTED, NO_WORDS.format(400), None),
        (400, {"error": {"message": {"a": 1}, "code": ["x"], "type": 7}}, KINDS.REJECTED, NO_WORDS.format(400), None),
    ],
)  # fmt: skip
def test_what_an_error_means(status: int, body: Any, kind: FailureKind, words: str, code: str | None) -> None:
    failure = status_failure(error(status, body))

    assert (kind_of(failure), failure.message, failure.error_code) == (kind, words, code)


def test_words_that_are_not_liked_end_one_document_alone() -> None:
    for code in ("content_policy_violation", "content_filter", "invalid_prompt"):
        assert not may_be_everybodys(status_failure(error(400, said("No.", "invalid_request_error", code))))


def test_an_error_tells_when_to_come_back_and_of_which_call() -> None:
    told = {"retry_after_ms": "1500", "retry_after": "9", "x_litellm_call_id": "call-1"}
    failure = status_failure(error(429, said("Wait.\x1b", "tokens"), **told))

    assert (failure.retry_after_s, failure.api_request_id, failure.message) == (1.5, "call-1", "Wait.\\x1b")


def test_an_address_where_nobody_is_was_never_sent_to() -> None:
    async def scenario() -> None:
        provider = factory_of(ProviderSection(type="openai", base_url=ELSEWHERE)).make(concurrency=1, timeout_s=5.0)
        try:
            await provider.send(REQUEST)
        finally:
            await provider.close()

    with pytest.raises(AttemptError, match=r"no connection to http://127.0.0.1:9/v1 \(base_url\)"):
        asyncio.run(scenario())


def test_rows_of_openai_are_found_behind_the_name_of_a_provider() -> None:
    table = load_prices(today=date(2026, 12, 1)).known_to(Providers())
    luna = table.model("openai/gpt-6-luna")

    assert (luna.name, luna.tokenizer, luna.rates.input, luna.rates.cache_read) == (
        "openai/gpt-6-luna",
        "o200k_base",
        100,
        10,
    )
    with pytest.raises(Refused) as caught:
        table.model("openai/gpt-7-large")
    assert 'names = ["gpt-7-large"]' in str(caught.value.hint)
