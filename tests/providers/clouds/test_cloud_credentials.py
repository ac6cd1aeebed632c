"""Credentials: what is missing is said with the command to type, and no failure of a cloud's library is a crash."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cloud_server import KEY_ID, SECRET, STRANGE, CloudServer
from test_clouds import AWS, BEDROCK, FOUNDRY, GOOGLE, SECTIONS, VERTEX, factory, failure_of, reply_of, request

from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.providers.factories import factory_of
from batchrun.reply import Cause

MISSING: dict[str, tuple[dict[str, Any], str, str]] = {
    "aws, credentials": (AWS, "no credentials of AWS", "aws sso login"),
    "aws, region": ({"type": "aws", "workspace": "w"}, "needs a region", "AWS_REGION"),
    "aws, workspace": ({"type": "aws", "region": "r"}, "needs a workspace", "ANTHROPIC_AWS_WORKSPACE_ID"),
    "aws, profile": ({**AWS, "profile": "gone"}, "the settings of AWS cannot be used.*gone", "aws sso login"),
    "google, credentials": (GOOGLE, "credentials of Google cannot be used", "gcloud auth application-default login"),
    "google, project": (
        {"type": "google", "workspace": "w"},
        "credentials of Google cannot be used",
        "gcloud auth application-default login",
    ),
    "google, workspace": ({"type": "google", "project": "p"}, "needs a workspace", "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE"),
    "foundry, resource": (FOUNDRY, "needs a resource", "ANTHROPIC_FOUNDRY_RESOURCE"),
    "foundry, key": ({**FOUNDRY, "resource": "r"}, "ANTHROPIC_FOUNDRY_API_KEY is not set", "read -rs"),
    "bedrock, credentials": (BEDROCK, "no credentials of AWS", "aws sso login"),
    "bedrock, region": ({"type": "bedrock"}, "needs a region", 'region = "…"'),
    "bedrock, odd region": ({**BEDROCK, "region": "x/y"}, "can be no region", "correct the region"),
    "vertex, credentials": (VERTEX, "credentials of Google cannot be used", "gcloud auth application-default login"),
    "vertex, region": ({"type": "vertex", "project": "p"}, "needs a region", "CLOUD_ML_REGION"),
    "a named variable": ({**BEDROCK, "api_key_env": "OURS"}, "api_key_env names OURS", "read -rs OURS"),
}


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_said_with_what_to_type(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    section, words, hint = MISSING[case]
    if "resource" in case:
        monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", "k")

    with pytest.raises(EnvironmentProblem, match=words) as problem:
        factory_of(ProviderSection.model_validate(section)).check()

    assert hint in (problem.value.hint or "")


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("section", "module", "extra"),
    [(BEDROCK, "boto3", "aws"), (AWS, "boto3", "aws"), (VERTEX, "google.auth", "google"), (GOOGLE, "google", "google")],
)
def test_a_missing_extra_names_the_command(
    monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(EnvironmentProblem, match="not installed") as problem:
        factory_of(ProviderSection.model_validate(section)).check()

    assert problem.value.hint == f'pip install "batchrun-documents[{extra}]"'


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("kind", ["aws", "bedrock", "foundry"])
def test_a_key_is_enough(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("OURS", "a-key-0123456789")
    section = {**SECTIONS[kind], "api_key_env": "OURS", **({"resource": "r"} if kind == "foundry" else {})}

    made = factory_of(ProviderSection.model_validate(section))
    made.check()

    assert "0123456789" not in repr(made)
    assert made.endpoint().words.startswith("https://")


@pytest.mark.usefixtures("bare")
def test_a_profile_and_a_key_of_bedrock_exclude_each_other(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    (bare / "aws").write_text("[profile ours]\nregion = eu-west-1\n", encoding="utf-8")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k")

    with pytest.raises(EnvironmentProblem, match="AWS_BEARER_TOKEN_BEDROCK is set"):
        factory_of(ProviderSection(type="bedrock", profile="ours")).check()


def test_a_profile_brings_its_region_and_its_credentials(cloud: CloudServer, bare: Path) -> None:
    (bare / "aws").write_text("[profile ours]\nregion = eu-west-1\n", encoding="utf-8")
    keys = f"[ours]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
    (bare / "shared").write_text(keys, encoding="utf-8")

    reply_of(factory({"type": "bedrock", "profile": "ours"}, cloud.url), request())

    assert cloud.seen[0].is_signed("bedrock", "eu-west-1")


def test_no_logger_tells_the_session_token(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-session-0123456789")
    made = factory({**BEDROCK, "region": "eu-south-1"}, cloud.url)  # the SDK keeps the session of a region
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "botocore.auth"):
        reply_of(made, request())

    assert "token-of-the-session" in json.dumps(cloud.seen[0].headers)
    assert "token-of-the-session" not in caplog.text
    assert "botocore.credentials" in caplog.text, "what is harmless is told"


# --- credentials that fail in the middle of a run


class Failing:
    """Google's credentials when they cannot be refreshed."""

    valid = False
    token = None

    def __init__(self, error: Exception) -> None:
        self.error = error

    def refresh(self, _: object) -> None:
        raise self.error


@pytest.mark.parametrize("kind", ["google", "vertex"])
@pytest.mark.parametrize("is_outage", [False, True], ids=["revoked", "outage"])
def test_a_token_that_google_does_not_give(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch, kind: str, *, is_outage: bool
) -> None:
    from google.auth import exceptions

    error = exceptions.TransportError("no route") if is_outage else exceptions.RefreshError("invalid_grant: revoked")
    monkeypatch.setattr("google.auth.default", lambda **_: (Failing(error), "p-1"))

    failure = failure_of(factory(SECTIONS[kind], cloud.url), request())

    assert failure.cause is (Cause.UNREACHABLE if is_outage else Cause.CREDENTIALS)
    assert str(error) in failure.message
    assert cloud.seen == []


@pytest.mark.parametrize("kind", ["aws", "bedrock"])
def test_a_chain_of_amazon_that_ends(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    from botocore import exceptions
    from botocore.session import Session

    made = factory({**SECTIONS[kind], "region": "eu-north-1"}, cloud.url)
    errors = {
        "no credentials: Could not resolve AWS credentials": None,
        "no credentials: Error loading SSO Token": exceptions.SSOTokenLoadError(error_msg="expired"),
        'no credentials: Could not connect to the endpoint URL: "u"': exceptions.EndpointConnectionError(
            endpoint_url="u"
        ),
    }
    for words, error in errors.items():

        def chain(_: object, error: Exception | None = error) -> None:
            if error:
                raise error

        monkeypatch.setattr(Session, "get_credentials", chain)
        failure = failure_of(made, request())
        assert failure.message.startswith(words)
        assert failure.cause is (Cause.UNREACHABLE if "connect" in words else Cause.CREDENTIALS)
    assert cloud.seen == []


# --- a batch is signed, though nobody has it in memory


class Body:
    model, nonce, requests = "claude-haiku-5-5", "n", 1
    given = (b'{"requests":[', b'{"custom_id":"n-1","params":{}}', b"]}")
    size = sum(map(len, given))

    async def parts(self) -> AsyncIterator[bytes]:
        for part in self.given:
            yield part

    members = parts


@pytest.mark.parametrize("section", [AWS, {**AWS, "api_key_env": "OURS"}, GOOGLE], ids=["signed", "by key", "google"])
def test_a_batch_goes_in_pieces_to_aws_and_google(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any]
) -> None:
    monkeypatch.setenv("OURS", "a-key-0123456789")
    batch = {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
        "created_at": "2026-11-29T00:00:00Z",
        "expires_at": "2026-11-30T00:00:00Z",
    }
    cloud.answers.append(web.json_response(batch))

    async def scenario() -> str:
        batches = factory(section, cloud.url).make_batches(timeout_s=30)
        try:
            return (await batches.create(Body())).batch_id
        finally:
            await batches.close()

    assert asyncio.run(scenario()) == "msgbatch_1"
    (seen,) = cloud.seen
    assert (seen.path, seen.body) == ("/v1/messages/batches", b"".join(Body.given))
    assert section is not AWS or seen.is_signed("aws-external-anthropic", "eu-central-1")
    assert "api_key_env" not in section or seen.headers["authorization"] == "Bearer a-key-0123456789"


# --- the API of Anthropic, and servers that speak like it


@pytest.mark.parametrize("max_tokens", [500, 30_000], ids=["plain", "streamed"])
@pytest.mark.parametrize("is_free", [True, False])
def test_an_address_in_a_file_is_sent_no_key_of_the_api(cloud: CloudServer, max_tokens: int, *, is_free: bool) -> None:
    made = factory({"type": "anthropic"}, cloud.url, free=is_free)
    made.check()
    reply_of(made, request(max_tokens=max_tokens))

    (seen,) = cloud.seen
    assert not {"authorization", "x-api-key"} & {name.lower() for name in seen.headers}
    assert STRANGE not in json.dumps(seen.headers)
    assert "of-a-gateway" not in json.dumps(seen.headers)
    assert seen.headers["x-team"] == "a"


def test_a_gateway_is_sent_the_key_that_the_section_names(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "a-key-0123456789")

    reply_of(factory({"type": "anthropic"}, cloud.url, api_key_env="OURS"), request())

    assert cloud.seen[0].headers["authorization"] == "Bearer a-key-0123456789"
    assert STRANGE not in json.dumps(cloud.seen[0].headers)


def test_a_second_address_of_anthropic_is_sent_the_usual_key(bare: Path) -> None:
    made = factory_of(ProviderSection(base_url="https://eu.api.anthropic.com"))
    made.check()

    assert isinstance(made, AnthropicFactory)
    assert made.sdk().api_key == STRANGE
    assert factory_of(ProviderSection(base_url="https://anthropic.com.example")).key != STRANGE  # type: ignore[attr-defined]


def test_custom_headers_go_to_the_api_beside_those_of_the_section(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", cloud.url)

    reply_of(factory_of(ProviderSection(headers={"x-team": "a"})), request())

    assert (cloud.seen[0].headers["x-other"], cloud.seen[0].headers["x-team"]) == ("1", "a")


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("kind", ["anthropic", "aws", "foundry"])
def test_a_proxy_stands_before_the_address_of_a_section(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", "k")
    section = {"type": kind} if kind == "anthropic" else SECTIONS[kind]

    endpoint = factory(section, "http://gateway.example").endpoint()

    assert endpoint.words.startswith("http://gateway.example (base_url) through the proxy http://proxy.example:3128")
