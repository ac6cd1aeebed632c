"""How the servers of each type of provider speak: addresses, credentials, answers, refusals. Nothing of ours is asked.

The shapes are those of the vendors' documentation and of their SDKs (anthropic 2.14, openai 3.57, botocore 1.44).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

End = Literal["end", "max tokens", "refusal", "tool"]
MODEL = "claude-haiku-5-5"
ANSWER = '{"title": "A letter"}'


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as a server puts it. SECRET in the body is what the client has proved itself with."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One type of provider, seen from its server."""

    name: str
    section: Mapping[str, object]
    """What stands in [provider], but for the address."""
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    """What may stand in no message, whoever says it."""
    key_variable: str | None = None
    """The variable that has the key, where there is one."""
    proof: tuple[str, str]
    """A header that a request proves itself with, and what the header has in it."""
    path: str
    """Where messages are posted, behind the address."""
    model: str
    """The model as batchrun names it."""
    says_model: str | None
    """The model in the body of a request; None if it stands in the path alone."""
    message: Callable[[End, bool], dict[str, Any]]
    """An answer, with an end, and with counters or none."""
    refusals: Mapping[str, Refusal]
    limits: Mapping[str, str] = field(default_factory=dict)
    """The headers that tell of limits: 500 requests, of which 499 remain."""
    suffix: str = ""
    """What the address of the section has behind host and port."""


SECRET = "{{SECRET}}"


# --- the Messages API, and those who pass it on


def claude_message(end: End, counted: bool) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": ANSWER}]
    if end == "tool":
        content = [{"type": "tool_use", "id": "toolu_1", "name": "answer", "input": json.loads(ANSWER)}]
    reasons = {"end": "end_turn", "max tokens": "max_tokens", "refusal": "refusal", "tool": "tool_use"}
    usage = {
        "input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [] if end == "refusal" else content,
        "stop_reason": reasons[end],
        "stop_sequence": None,
        **({"stop_details": {"category": "cyber", "explanation": "No."}} if end == "refusal" else {}),
        **({"usage": usage} if counted else {}),
    }


def claude_error(status: int, kind: str, words: str, code: str | None = None, **headers: str) -> Refusal:
    details = {"details": {"error_code": code}} if code else {}
    error = {"type": kind, "message": f"{words} {SECRET}", **details}
    return Refusal(status, {"type": "error", "error": error, "request_id": "req_1"}, _named(headers))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


CLAUDE_REFUSALS = {
    "bad key": claude_error(401, "authentication_error", "invalid bearer token"),
    "forbidden": claude_error(403, "permission_error", "Your API key does not have permission"),
    "unknown model": claude_error(404, "not_found_error", f"model: {MODEL}"),
    "bad request": claude_error(400, "invalid_request_error", "messages: at least one message is required"),
    "too long": claude_error(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "too large": claude_error(413, "request_too_large", "Request exceeds the maximum size"),
    "later": claude_error(429, "rate_limit_error", "This request would exceed your rate limit", retry_after="7"),
    "server error": claude_error(500, "api_error", "Internal server error"),
    "unavailable": claude_error(503, "api_error", "Service unavailable"),
    "overloaded": claude_error(529, "overloaded_error", "Overloaded"),
    "spent": claude_error(400, "invalid_request_error", "Your credit balance is too low to access the API"),
}
CLAUDE_LIMITS = {"anthropic-ratelimit-requests-limit": "500", "anthropic-ratelimit-requests-remaining": "499"}
KEY = "sk-ant-api03-contract-0123456789abcdef"

ANTHROPIC = Wire(
    name="anthropic",
    section={"type": "anthropic", "api_key_env": "ANTHROPIC_API_KEY"},
    environment={"ANTHROPIC_API_KEY": KEY},
    key_variable="ANTHROPIC_API_KEY",
    secrets=(KEY,),
    proof=("authorization", f"Bearer {KEY}"),
    path="/v1/messages",
    model=MODEL,
    says_model=MODEL,
    message=claude_message,
    refusals=CLAUDE_REFUSALS,
    limits=CLAUDE_LIMITS,
)

AWS_ID, AWS_SECRET, AWS_SESSION = (
    "AKIACONTRACT01234567",
    "contract/aws+secret0123456789abcdefghijkl",
    "contractSessionToken0123456789abcdef",
)
AWS_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": AWS_ID, "AWS_SECRET_ACCESS_KEY": AWS_SECRET, "AWS_SESSION_TOKEN": AWS_SESSION}
AWS = Wire(
    name="aws",
    section={"type": "aws", "region": "eu-central-1", "workspace": "wrkspc_contract"},
    environment=AWS_ENVIRONMENT,
    secrets=(AWS_SECRET, AWS_SESSION),
    proof=("authorization", f"AWS4-HMAC-SHA256 Credential={AWS_ID}/"),
    path="/v1/messages",
    model=MODEL,
    says_model=MODEL,
    message=claude_message,
    refusals=CLAUDE_REFUSALS
    | {"bad key": Refusal(403, {"message": f"The security token included in the request is invalid. {SECRET}"})},
    limits=CLAUDE_LIMITS,
)

GOOGLE_TOKEN = "ya29.contract-0123456789abcdefghijklmnop"


def google_error(status: int, kind: str, words: str, **headers: str) -> Refusal:
    body = {"error": {"code": status, "message": f"{words} {SECRET}", "status": kind}}
    return Refusal(status, body, _named(headers))


GOOGLE = Wire(
    name="google",
    section={"type": "google", "project": "contract-project", "workspace": "wrkspc_contract"},
    environment={},
    secrets=(GOOGLE_TOKEN,),
    proof=("authorization", f"Bearer {GOOGLE_TOKEN}"),
    path="/v1/messages",
    model=MODEL,
    says_model=MODEL,
    message=claude_message,
    refusals=CLAUDE_REFUSALS
    | {"bad key": google_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")},
    limits=CLAUDE_LIMITS,
)


def azure_error(status: int, code: str, words: str, **headers: str) -> Refusal:
    return Refusal(status, {"error": {"code": code, "message": f"{words} {SECRET}"}}, _named(headers))


FOUNDRY_KEY = "contractfoundrykey0123456789abcdef"
FOUNDRY = Wire(
    name="foundry",
    section={"type": "foundry"},
    environment={"ANTHROPIC_FOUNDRY_API_KEY": FOUNDRY_KEY},
    key_variable="ANTHROPIC_FOUNDRY_API_KEY",
    secrets=(FOUNDRY_KEY,),
    proof=("api-key", FOUNDRY_KEY),
    path="/v1/messages",
    model=MODEL,
    says_model=MODEL,
    message=claude_message,
    refusals=CLAUDE_REFUSALS
    | {
        "bad key": azure_error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint."),
        "unknown model": azure_error(404, "DeploymentNotFound", "The API deployment for this resource does not exist."),
        "later": azure_error(429, "429", "Requests have exceeded call rate limit.", retry_after="7"),
    },
)


def amazon_error(status: int, kind: str, words: str) -> Refusal:
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    return Refusal(status, {"message": f"{words} {SECRET}"}, headers)


BEDROCK = Wire(
    name="bedrock",
    section={"type": "bedrock", "region": "eu-central-1"},
    environment=AWS_ENVIRONMENT,
    secrets=(AWS_SECRET, AWS_SESSION),
    proof=("authorization", f"AWS4-HMAC-SHA256 Credential={AWS_ID}/"),
    path=f"/model/anthropic.{MODEL}/invoke",
    model=MODEL,
    says_model=None,
    message=claude_message,
    refusals={
        "bad key": amazon_error(
            403, "UnrecognizedClientException", "The security token included in the request is invalid."
        ),
        "forbidden": amazon_error(403, "AccessDeniedException", "You don't have access to the model."),
        "unknown model": amazon_error(404, "ResourceNotFoundException", "Could not resolve the foundation model."),
        "bad request": amazon_error(400, "ValidationException", "Malformed input request, please reformat your input."),
        "too long": amazon_error(400, "ValidationException", "Input is too long for requested model."),
        "too large": amazon_error(413, "RequestEntityTooLargeException", "The request is too large."),
        "later": amazon_error(429, "ThrottlingException", "Too many requests, please wait before trying again."),
        "server error": amazon_error(500, "InternalServerException", "The system encountered an unexpected error."),
        "unavailable": amazon_error(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    },
)

VERTEX = Wire(
    name="vertex",
    section={"type": "vertex", "project": "contract-project", "region": "europe-west1"},
    environment={},
    secrets=(GOOGLE_TOKEN,),
    proof=("authorization", f"Bearer {GOOGLE_TOKEN}"),
    path=f"/projects/contract-project/locations/europe-west1/publishers/anthropic/models/{MODEL}:rawPredict",
    suffix="/v1",
    model=MODEL,
    says_model=None,
    message=claude_message,
    refusals=CLAUDE_REFUSALS
    | {
        "bad key": google_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        "forbidden": google_error(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied."),
        "unknown model": google_error(404, "NOT_FOUND", "Publisher Model was not found."),
        "later": google_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for online_prediction_requests."),
        "server error": google_error(500, "INTERNAL", "Internal error encountered."),
        "unavailable": google_error(503, "UNAVAILABLE", "The service is currently unavailable."),
    },
)


# --- OpenAI


def openai_error(status: int, kind: str, code: str | None, words: str, **headers: str) -> Refusal:
    body = {"error": {"message": f"{words} {SECRET}", "type": kind, "param": None, "code": code}}
    return Refusal(status, body, {"x-request-id": "req_1", **_named(headers)})


OPENAI_REFUSALS = {
    "bad key": openai_error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided:"),
    "forbidden": openai_error(
        403, "invalid_request_error", "unsupported_country_region_territory", "Country not supported"
    ),
    "unknown model": openai_error(
        404, "invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."
    ),
    "bad request": openai_error(400, "invalid_request_error", "invalid_value", "Invalid value."),
    "too long": openai_error(
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 210000 tokens.",
    ),
    "too large": openai_error(413, "invalid_request_error", None, "Maximum content size limit exceeded."),
    "later": openai_error(
        429, "tokens", "rate_limit_exceeded", "Rate limit reached for tokens per min (TPM).", retry_after="7"
    ),
    "server error": openai_error(500, "server_error", None, "The server had an error while processing your request."),
    "unavailable": openai_error(503, "server_error", None, "The engine is currently overloaded."),
    "spent": openai_error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
}
OPENAI_LIMITS = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499"}
OPENAI_KEY = "sk-proj-contract-0123456789abcdefghij"
UNSENT = "sk-proj-of-openai-alone-0123456789"
"""The usual key of OpenAI, which goes to no address that a file names."""
GPT = "gpt-5.5"


def chat_completion(end: End, counted: bool) -> dict[str, Any]:
    reasons = {"end": "stop", "max tokens": "length", "refusal": "stop", "tool": "tool_calls"}
    call = {"id": "call_1", "type": "function", "function": {"name": "answer", "arguments": ANSWER}}
    usage = {
        "prompt_tokens": 110,
        "completion_tokens": 50,
        "total_tokens": 160,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
    }
    message = {
        "role": "assistant",
        "content": None if end in {"refusal", "tool"} else ANSWER,
        "refusal": "No." if end == "refusal" else None,
        **({"tool_calls": [call]} if end == "tool" else {}),
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": GPT,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reasons[end]}],
        **({"usage": usage} if counted else {}),
    }


def response(end: End, counted: bool) -> dict[str, Any]:
    part = {"type": "output_text", "text": ANSWER, "annotations": []}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    if end == "refusal":
        said["content"] = [{"type": "refusal", "refusal": "No."}]
    if end == "tool":
        said = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "answer", "arguments": ANSWER}
    usage = {
        "input_tokens": 110,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 160,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if end == "max tokens" else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if end == "max tokens" else None,
        "model": GPT,
        "output": [{"type": "reasoning", "id": "rs_1", "summary": []}, said],
        **({"usage": usage} if counted else {}),
    }


CHAT = Wire(
    name="openai",
    section={"type": "openai", "api_key_env": "GATEWAY_KEY"},
    environment={"GATEWAY_KEY": OPENAI_KEY, "OPENAI_API_KEY": UNSENT},
    key_variable="GATEWAY_KEY",
    secrets=(OPENAI_KEY, UNSENT),
    proof=("authorization", f"Bearer {OPENAI_KEY}"),
    path="/chat/completions",
    suffix="/v1",
    model=GPT,
    says_model=GPT,
    message=chat_completion,
    refusals=OPENAI_REFUSALS,
    limits=OPENAI_LIMITS,
)
RESPONSES = Wire(
    name="openai-responses",
    section={"type": "openai", "api": "responses", "api_key_env": "GATEWAY_KEY"},
    environment={"GATEWAY_KEY": OPENAI_KEY, "OPENAI_API_KEY": UNSENT},
    key_variable="GATEWAY_KEY",
    secrets=(OPENAI_KEY, UNSENT),
    proof=("authorization", f"Bearer {OPENAI_KEY}"),
    path="/responses",
    suffix="/v1",
    model=GPT,
    says_model=GPT,
    message=response,
    refusals=OPENAI_REFUSALS,
    limits=OPENAI_LIMITS,
)

WIRES = {wire.name: wire for wire in (ANTHROPIC, AWS, GOOGLE, FOUNDRY, BEDROCK, VERTEX, CHAT, RESPONSES)}
