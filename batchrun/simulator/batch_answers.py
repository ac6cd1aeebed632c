"""What becomes of one request of a Message Batch: whether it is valid, its answer, and its line of the results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.simulator.api_error import ApiError, invalid_request
from batchrun.simulator.fault_kinds import Spoiling
from batchrun.simulator.producing import produce
from batchrun.simulator.prompt_cache import NO_PROMPT, Prompt, PromptUsage, prompt_of
from batchrun.simulator.validation import Params, check_length, check_message, known_model, parse
from batchrun.simulator.wire_format import message_body, new_id, to_json

_USER_FACING = {"error_visibility": "user_facing"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What processing a request will find: its model and prompt, or why it cannot be answered."""

    model: str | None = None
    prompt: Prompt = NO_PROMPT
    error: ApiError | None = None


def examine(raw: bytes) -> Verdict:
    """Check the parameters of a request. The API does so when it processes it, not when the batch is created."""
    params = parse(raw)
    if isinstance(params, ApiError):
        return Verdict(error=params)
    if problem := _check(params):
        return Verdict(error=problem)
    card = known_model(params)
    prompt = prompt_of(params, card)
    return Verdict(card.id, prompt, check_length(prompt.tokens, card))


def _check(params: Params) -> ApiError | None:
    if params.get("stream") is True:
        return invalid_request('"stream=True" is not supported in the Message Batches API')
    if "speed" in params:
        return invalid_request('"speed" is not supported in the Message Batches API')
    if problem := check_message(params):
        return problem
    if params["max_tokens"] < 1:  # allowed by /v1/messages
        return invalid_request("max_tokens: must be greater than or equal to 1")
    return None


def answer(
    raw: bytes, used: PromptUsage, *, seed: int, seen: int, chance: float, spoiling: Spoiling | None
) -> dict[str, Any]:
    """Produce the message for valid parameters; the same whenever it is asked for."""
    params = parse(raw)
    assert not isinstance(params, ApiError)
    card = known_model(params)
    production = produce(params, card, seed=seed, chance=chance, spoiling=spoiling)
    message_id = new_id("msg_01", seed, raw, "batch", seen)
    return message_body(production, card, message_id=message_id, used=used, tier="batch")


def result_line(custom_id: str, result: Mapping[str, Any]) -> bytes:
    """Write a line of the results."""
    return to_json({"custom_id": custom_id, "result": result}) + b"\n"


def errored(error: ApiError, *, request_id: str | None) -> dict[str, Any]:
    """Write the result of a request that errored; without an id it was refused before it was processed."""
    inner = {"details": _USER_FACING, "type": error.type, "message": error.message}
    return {"type": "errored", "error": {"type": "error", "error": inner, "request_id": request_id}}
