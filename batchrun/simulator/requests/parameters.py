"""Which requests the API takes, as of version 2026-10-21: the first problem of a request, in the API's words.

The API checks the form of a request with pydantic, as this module does: most of its words are pydantic's own.
Parameters that batchrun has no use for (`container`, `stop_sequences`, …) are known here so that they are not refused,
but have no effect on the reply.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from batchrun.simulator.api_error import invalid_request, not_found, unauthenticated
from batchrun.simulator.requests.model_cards import ModelCard, find_model
from batchrun.simulator.requests.model_rules import cache_problems, model_problems
from batchrun.simulator.requests.native_files import file_problems

NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"
_SAMPLING = ("temperature", "top_p", "top_k")
_BLOCKS = ("document", "image", "redacted_thinking", "search_result", "text", "thinking", "tool_result", "tool_use")
_OWN_WORDS: Mapping[tuple[str | int, ...], str] = {  # what the API says instead of pydantic
    ("max_tokens", "greater_than_equal"): "must be greater than or equal to 0",
    ("messages", "too_short"): "at least one message is required",
}

Params = Mapping[str, Any]
FindModel = Callable[[str], ModelCard | None]


class StrictForm(BaseModel):
    """An object without other members than those named, and without conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


def problem(message: str, kind: str = "problem") -> PydanticCustomError:
    """Make what a validator raises."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def _tagged(*tags: str) -> BeforeValidator:
    """Check the `type` of an object that may be one of several."""

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise problem(NO_OBJECT)
        if (tag := value.get("type")) not in tags:
            expected = ", ".join(f"'{name}'" for name in tags)
            raise problem(f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}")
        return value

    return BeforeValidator(check)


class _Mark(StrictForm):
    type: str
    ttl: Literal["5m", "1h"] = "5m"


_CacheControl = Annotated[_Mark, _tagged("ephemeral")]


class _Block(BaseModel):
    type: str
    text: Any = None
    id: Any = None
    input: Any = None
    cache_control: _CacheControl | None = None

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if self.type == "text" and not isinstance(self.text, str):
            raise problem("Field required", "text")
        if self.type == "text" and not self.text.strip():
            words = "contain non-whitespace text" if self.text else "be non-empty"
            raise problem(f"text content blocks must {words}", "blank")
        if self.type == "tool_use" and not (isinstance(self.id, str) and isinstance(self.input, dict)):
            raise problem("tool_use.input: Input should be a valid dictionary", "tool_use")
        return self


def _text_or_blocks(value: Any, blocks: Callable[[Any], Any]) -> Any:
    if not isinstance(value, str | list):
        raise problem("Input should be a valid string or list")
    return value if isinstance(value, str) else blocks(value)


_Content = Annotated[list[Annotated[_Block, _tagged(*_BLOCKS)]], WrapValidator(_text_or_blocks)]


class _Message(StrictForm):
    role: Literal["user", "assistant", "system"]
    content: _Content

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.content:
            raise problem("all messages must have non-empty content except for the optional final assistant message")
        return self


class _Format(BaseModel):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class _OutputConfig(StrictForm):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Thinking(BaseModel):
    type: Literal["adaptive", "between_tools", "disabled"]


class _ThinkingBudget(BaseModel):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]


class _Tool(BaseModel):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    description: str = ""
    input_schema: dict[str, Any]
    strict: bool = False


class _ToolChoice(StrictForm):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class _Produced(StrictForm):
    max_tokens: Annotated[int, Field(ge=0)]
    stream: bool = False
    container: Any = None
    diagnostics: Any = None
    inference_geo: Any = None
    metadata: Any = None
    service_tier: Any = None
    stop_sequences: Any = None


class _CountParams(StrictForm):
    model: str
    system: _Content = []
    messages: Annotated[list[_Message], Field(min_length=1)]
    cache_control: _CacheControl | None = None
    output_config: _OutputConfig = _OutputConfig()
    speed: Any = None
    thinking: Annotated[_Thinking | _ThinkingBudget, Field(discriminator="type")] | None = None
    tool_choice: _ToolChoice | None = None
    tools: list[_Tool] | None = None


class _MessageParams(_CountParams, _Produced):
    pass


def check_headers(authorization: str | None, version: str | None) -> None:
    """Take any Bearer key but the word `invalid`; the API of today does not look at `x-api-key`."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise unauthenticated("API key is required. Send it as `Authorization: Bearer <key>`.")
    if key.strip() == "invalid":
        raise unauthenticated("API key is invalid.")
    if not version:
        raise invalid_request("anthropic-version: header is required")


def parse(raw: bytes) -> Params:
    """Read a body as JSON."""
    try:
        params = json.loads(raw)
        if b"\\ud" in raw or b"\\uD" in raw:
            json.dumps(params, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError) as error:
        raise invalid_request(f"The request body is not valid JSON: {error}") from error
    if not isinstance(params, dict):
        raise invalid_request(NO_OBJECT)
    return params


def check_message(params: Params, *, counting: bool = False, find: FindModel = find_model) -> ModelCard:
    """Check the parameters of `POST /v1/messages`, or of `/v1/messages/count_tokens`; return the model."""
    check_form(params, _CountParams if counting else _MessageParams)
    for wrong in cache_problems(params):
        raise invalid_request(wrong)
    card = find(params["model"])
    if card is None:
        raise not_found(f"model: {params['model']}")
    for wrong in (*file_problems(params["messages"], card), *model_problems(params, card)):
        raise invalid_request(wrong)
    return card


def check_form(
    value: object, form: type[StrictForm], no_object: str = "Input does not match the expected shape."
) -> None:
    """Refuse a value of another form in the API's words."""
    try:
        form.model_validate(value)
    except ValidationError as error:
        raise invalid_request(_in_words(error.errors(include_url=False)[0], no_object)) from error


def _in_words(wrong: ErrorDetails, no_object: str) -> str:
    place, kind = wrong["loc"], wrong["type"]
    if kind == "extra_forbidden" and place[0] in _SAMPLING:
        return f"`{place[0]}` is deprecated for this model."
    if kind == "text":
        place = (*place, "text", "text")
    path = ".".join(map(str, place[:1] if kind == "blank" else place))
    path = path.replace("cache_control.", "cache_control.ephemeral.")  # the API names the kind of a breakpoint
    message = no_object if kind in {"model_type", "dict_type"} else _OWN_WORDS.get((*place[:1], kind), wrong["msg"])
    return f"{path}: {message}" if path else message
