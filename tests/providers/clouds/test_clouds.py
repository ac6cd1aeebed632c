"""Every cloud is asked at its own address, in its own form, with its own credentials and with nobody else's."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from cloud_server import (
    ANSWER,
    CALL,
    EVENTS,
    KEY_ID,
    MESSAGE,
    MODEL,
    STRANGE,
    TOKEN,
    CloudServer,
    chunk,
    frame,
    refused,
)

from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError, TokenCounter
from batchrun.providers.factories import Factory, factory_of
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request

SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
BY_SCHEMA = {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}}
LONG = 40_000
AWS: dict[str, Any] = {"type": "aws", "region": "eu-central-1", "workspace": "wrkspc_1"}
GOOGLE: dict[str, Any] = {"type": "google", "project": "p-1", "workspace": "wrkspc_1"}
FOUNDRY: dict[str, Any] = {"type": "foundry"}
BEDROCK: dict[str, Any] = {"type": "bedrock", "region": "eu-central-1"}
VERTEX: dict[str, Any] = {"type": "vertex", "project": "p-1", "region": "europe-west1"}
SECTIONS = {section["type"]: section for section in (AWS, GOOGLE, FOUNDRY, BEDROCK, VERTEX)}
AT_VERTEX = "/projects/p-1/locations/europe-west1/publishers/anthropic/models"
PATHS = {
    "aws": ("/v1/messages", "/v1/messages"),
    "google": ("/v1/messages", "/v1/messages"),
    "foundry": ("/v1/messages", "/v1/messages"),
    "bedrock": (f"/model/anthropic.{MODEL}/invoke", f"/model/anthropic.{MODEL}/invoke-with-response-stream"),
    "vertex": (f"{AT_VERTEX}/{MODEL}:rawPredict", f"{AT_VERTEX}/{MODEL}:streamRawPredict"),
}
PROOFS = {
    "aws": ("authorization", f"AWS4-HMAC-SHA256 Credential={KEY_ID}/"),
    "google": ("authorization", f"Bearer {TOKEN}"),
    "foundry": ("api-key", "foundry-key-0123456789"),
    "bedrock": ("authorization", f"AWS4-HMAC-SHA256 Credential={KEY_ID}/"),
    "vertex": ("authorization", f"Bearer {TOKEN}"),
}
SERVICES = {"aws": "aws-external-anthropic", "bedrock": "bedrock"}


def factory(section: dict[str, Any], url: str, **more: Any) -> Factory:
    return factory_of(ProviderSection.model_validate({**section, "base_url": url, "headers": {"x-team": "a"}, **more}))


def request(*, model: str = MODEL, max_tokens: int = 500, **more: Any) -> Request:
    return Request.of(
        {"model": model, "max_tokens": max_tokens, **more, "messages": [{"role": "user", "content": "Ünï"}]}
    )


def told(made: Factory, *requests: Request, at_once: bool = False) -> list[Reply | Failure]:
    async def scenario() -> list[Reply | Failure]:
        provider = made.make(concurrency=4, timeout_s=30)

        async def one(sent: Request) -> Reply | Failure:
            try:
                return await provider.send(sent)
            except AttemptError as error:
                return error.failure

        try:
            if at_once:
                return list(await asyncio.gather(*map(one, requests)))
            return [await one(sent) for sent in requests]
        finally:
            await provider.close()

    return asyncio.run(scenario())


def reply_of(made: Factory, sent: Request) -> Reply:
    (reply,) = told(made, sent)
    assert isinstance(reply, Reply), reply
    return reply


def failure_of(made: Factory, sent: Request) -> Failure:
    (failure,) = told(made, sent)
    assert isinstance(failure, Failure), failure
    return failure


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_cloud_is_asked_in_its_own_form(cloud: CloudServer, kind: str) -> None:
    made = factory(SECTIONS[kind], cloud.url)
    made.check()
    rewrites = kind in {"bedrock", "vertex"}

    plain, streamed = told(made, request(), request(max_tokens=LONG))

    for reply, seen, path in zip((plain, streamed), cloud.seen, PATHS[kind], strict=True):
        assert isinstance(reply, Reply), reply
        assert (reply.text, reply.stop_reason, reply.usage and reply.usage.output_tokens) == (ANSWER, "end_turn", 9)
        assert seen.path == path
        assert ("model" in seen.params, "anthropic_version" in seen.params) == (not rewrites, rewrites)
        assert seen.params["messages"][0]["content"] == "Ünï"
        assert kind not in SERVICES or seen.is_signed(SERVICES[kind], "eu-central-1")


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_cloud_hears_of_no_other_credential(cloud: CloudServer, kind: str) -> None:
    told(factory(SECTIONS[kind], cloud.url), request(), request(max_tokens=LONG))

    name, value = PROOFS[kind]
    for seen in cloud.seen:
        said = "\n".join(seen.headers.values())
        assert STRANGE not in said
        assert "of-a-gateway" not in said
        assert "x-other" not in seen.headers
        assert seen.headers[name].startswith(value)
        assert (seen.headers["x-team"], seen.headers["accept-encoding"]) == ("a", "gzip")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("claude-x", "anthropic.claude-x"),
        ("anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0"),
        ("eu.anthropic.claude-x", "eu.anthropic.claude-x"),
        (
            "arn:aws:bedrock:eu-central-1:1:inference-profile/a",
            "arn:aws:bedrock:eu-central-1:1:inference-profile%2Fa",
        ),
        ("ours", "ours"),
    ],
)
def test_ids_of_bedrock_stay_and_names_of_claude_get_its_prefix(cloud: CloudServer, name: str, there: str) -> None:
    reply_of(factory(BEDROCK, cloud.url, models={"ours": MODEL}), request(model=name))

    (seen,) = cloud.seen
    assert seen.path == f"/model/{there}/invoke"
    assert seen.is_signed("bedrock", "eu-central-1")


def test_vertex_has_versions_and_foundry_has_deployments(cloud: CloudServer) -> None:
    reply_of(factory(VERTEX, cloud.url), request(model="claude-x@20260101"))
    reply_of(factory(FOUNDRY, cloud.url, models={"my-deployment": MODEL}), request(model="my-deployment"))

    assert cloud.seen[0].path == f"{AT_VERTEX}/claude-x@20260101:rawPredict"
    assert cloud.seen[1].params["model"] == "my-deployment"


def test_the_project_of_google_may_be_that_of_its_credentials(cloud: CloudServer) -> None:
    reply_of(factory({"type": "vertex", "region": "global"}, cloud.url), request())

    assert cloud.seen[0].path.startswith("/projects/account-project/locations/global/")


def test_a_token_is_fetched_once_for_many_calls(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.oauth2.service_account import Credentials

    refreshed, refresh = [], Credentials.refresh
    monkeypatch.setattr(Credentials, "refresh", lambda self, with_: (refreshed.append(1), refresh(self, with_))[1])

    replies = told(factory(VERTEX, cloud.url), *[request()] * 8, at_once=True)

    assert [type(reply) for reply in replies] == [Reply] * 8
    assert len(refreshed) == 1


async def counted(counter: TokenCounter, sent: Request) -> int:
    try:
        return await counter.count(sent)
    finally:
        await counter.close()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("aws", "/v1/messages/count_tokens"),
        ("google", "/v1/messages/count_tokens"),
        ("foundry", "/v1/messages/count_tokens"),
        ("vertex", f"{AT_VERTEX}/count-tokens:rawPredict"),
    ],
)
def test_tokens_are_counted(cloud: CloudServer, kind: str, path: str) -> None:
    async def scenario() -> int:
        return await counted(factory(SECTIONS[kind], cloud.url).make_counter(timeout_s=30), request(**BY_SCHEMA))

    assert asyncio.run(scenario()) == 77
    (seen,) = cloud.seen
    assert (seen.path, seen.params["model"]) == (path, MODEL)
    assert ("tools" in seen.params) == (kind == "vertex"), "what is counted is what is sent"


# --- a tool in the place of a schema

FORCED = {"type": "tool", "name": "give_answer", "disable_parallel_tool_use": True}
FREE = {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("section", "model", "thinking", "choice"),
    [
        (VERTEX, MODEL, {}, FREE),
        (VERTEX, "claude-haiku-5-5", {}, FORCED),
        (VERTEX, "claude-haiku-5-5", {"thinking": {"type": "adaptive"}}, FREE),
        (BEDROCK, "eu.anthropic.claude-haiku-5-5", {}, FORCED),
        ({**AWS, "structured_output": False}, "claude-haiku-5-5", {}, FORCED),
    ],
    ids=["refuses force", "takes force", "thinks", "of Bedrock", "of a section"],
)
def test_a_tool_is_called_where_no_schema_is_held(
    cloud: CloudServer, section: dict[str, Any], model: str, thinking: dict[str, Any], choice: dict[str, Any]
) -> None:
    called = {**MESSAGE, "content": [{"type": "text", "text": "Here:"}, CALL], "stop_reason": "tool_use"}
    cloud.answers.append(web.json_response(called))

    reply = reply_of(factory(section, cloud.url), request(model=model, **thinking, **BY_SCHEMA))

    (seen,) = cloud.seen
    assert (reply.text, reply.stop_reason, reply.tool_input) == (ANSWER, "end_turn", None)
    assert json.loads(reply.raw)["content"] == [{"type": "text", "text": ANSWER}]
    assert seen.params["output_config"] == {"effort": "low"}
    (tool,) = seen.params["tools"]
    assert (tool["input_schema"], "strict" in tool) == (SCHEMA, False)
    assert seen.params["tool_choice"] == choice


def test_a_schema_is_sent_where_the_section_says_so(cloud: CloudServer) -> None:
    reply_of(factory(VERTEX, cloud.url, structured_output=True), request(**BY_SCHEMA))

    assert cloud.seen[0].params["output_config"] == BY_SCHEMA["output_config"]


def test_a_call_that_the_job_asks_for_stays_a_call(cloud: CloudServer) -> None:
    cloud.answers.append(web.json_response({**MESSAGE, "content": [CALL], "stop_reason": "tool_use"}))
    tool = {"name": "give_answer", "input_schema": SCHEMA, "strict": True}

    reply = reply_of(factory(VERTEX, cloud.url), request(tools=[tool], tool_choice=FORCED))

    assert (reply.tool_input, reply.stop_reason) == (ANSWER, "tool_use")
    assert "strict" not in cloud.seen[0].params["tools"][0]


# --- what Bedrock streams


def streaming(*frames: bytes) -> web.Response:
    return web.Response(body=b"".join(frames), content_type="application/vnd.amazon.eventstream")


BEGUN = [chunk(event) for event in EVENTS[:3]]
STREAMS = {
    "throttled": ([refused("throttlingException", "later")], (Cause.STATUS, "rate_limit_error", False)),
    "cut by the model": ([*BEGUN, refused("modelStreamErrorException", "oh")], (Cause.STATUS, "api_error", True)),
    "out of time": ([*BEGUN, refused("modelTimeoutException", "slow")], (Cause.STATUS, "timeout_error", True)),
    "unknown": ([*BEGUN, refused("newException", "what")], (Cause.MALFORMED, None, True)),
    "broken off": (BEGUN, (Cause.MALFORMED, None, True)),
    "no frames": ([b"data: {}\n\n" * 9], (Cause.MALFORMED, None, True)),
    "a wrong checksum": ([BEGUN[0][:-1] + b"\0"], (Cause.MALFORMED, None, True)),
    "no JSON": ([frame({":event-type": "chunk", ":message-type": "event"}, b"[")], (Cause.MALFORMED, None, True)),
    "no object": ([frame({":event-type": "chunk", ":message-type": "event"}, b"[1]")], (Cause.MALFORMED, None, True)),
    "no base64": (
        [frame({":event-type": "chunk", ":message-type": "event"}, b'{"bytes": "*"}')],
        (Cause.MALFORMED, None, True),
    ),
}


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_of_bedrock_is_read_without_trust(cloud: CloudServer, case: str) -> None:
    frames, expected = STREAMS[case]
    cloud.answers.append(streaming(*frames))

    failure = failure_of(factory(BEDROCK, cloud.url), request(max_tokens=LONG))

    assert (failure.cause, failure.error_type, failure.maybe_billed) == expected


def test_an_event_stream_may_come_in_any_pieces_and_has_other_events() -> None:
    from batchrun.providers.clouds.bedrock import unframed

    whole = b"".join([frame({":event-type": "initial-response", ":message-type": "event"}, b"{}"), *BEGUN])

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(whole), 7):
            yield whole[at : at + 7]

    async def scenario() -> list[Any]:
        return [json.loads(line.removeprefix(b"data:")) async for line in unframed(pieces())]

    assert asyncio.run(scenario()) == [{"type": "ping"}, *EVENTS[:3]]


# --- what the clouds call their errors


def amazon(status: int, kind: str, words: str = "no") -> web.Response:
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/", "x-amzn-requestid": "aws-1"}
    return web.json_response({"message": words}, status=status, headers=headers)


def google(status: int, word: str, *, wrapped: bool = False) -> web.Response:
    error = {"error": {"code": status, "message": "no", "status": word}}
    return web.json_response([error] if wrapped else error, status=status, headers={"x-request-id": "g-1"})


ERRORS: dict[str, tuple[dict[str, Any], Any, FailureKind]] = {
    "throttled": (BEDROCK, (429, "ThrottlingException"), FailureKind.LATER),
    "a quota": (BEDROCK, (400, "ServiceQuotaExceededException"), FailureKind.LATER),
    "a refused form": (BEDROCK, (400, "ValidationException"), FailureKind.REJECTED),
    "too long": (
        BEDROCK, (400, "ValidationException", "Input is too long for requested model."), FailureKind.TOO_LARGE
    ),
    "no rights": (BEDROCK, (403, "AccessDeniedException"), FailureKind.FORBIDDEN),
    "an expired token": (BEDROCK, (403, "ExpiredTokenException"), FailureKind.BAD_KEY),
    "an unknown key": (BEDROCK, (403, "UnrecognizedClientException"), FailureKind.BAD_KEY),
    "a slow model": (BEDROCK, (408, "ModelTimeoutException"), FailureKind.CONFLICT),
    "a failed model": (BEDROCK, (424, "ModelErrorException"), FailureKind.SILENT),
    "a model not ready": (BEDROCK, (429, "ModelNotReadyException"), FailureKind.LATER),
    "unavailable": (BEDROCK, (503, "ServiceUnavailableException"), FailureKind.SILENT),
    "no such model": (BEDROCK, (404, "ResourceNotFoundException"), FailureKind.NOT_FOUND),
    "exhausted": (VERTEX, (429, "RESOURCE_EXHAUSTED"), FailureKind.LATER),
    "not proven": (VERTEX, (401, "UNAUTHENTICATED"), FailureKind.BAD_KEY),
    "denied": (VERTEX, (403, "PERMISSION_DENIED"), FailureKind.FORBIDDEN),
    "not found": (VERTEX, (404, "NOT_FOUND"), FailureKind.NOT_FOUND),
    "invalid": (VERTEX, (400, "INVALID_ARGUMENT"), FailureKind.REJECTED),
    "down": (VERTEX, (503, "UNAVAILABLE"), FailureKind.SILENT),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_of_a_cloud_is_understood(cloud: CloudServer, case: str) -> None:
    section, told_so, kind = ERRORS[case]
    answers = [amazon(*told_so)] if section is BEDROCK else [google(*told_so), google(*told_so, wrapped=True)]
    cloud.answers += answers

    failures = told(factory(section, cloud.url), *[request()] * len(answers))

    for failure in failures:
        assert isinstance(failure, Failure)
        assert (failure.status, failure.error_code, kind_of(failure)) == (*told_so[:2], kind)
        assert failure.message == (told_so[2] if len(told_so) > 2 else "no")
        assert failure.api_request_id == ("aws-1" if section is BEDROCK else "g-1")
