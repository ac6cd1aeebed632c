"""The models the simulator knows, and what each accepts."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

Tokenizer = Literal["old", "new"]  # models from 4.7 on use the newer one: more tokens for the same Latin text

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_UP_TO_HIGH = ("low", "medium", "high")
_UNKNOWN_TIME = "1970-01-01T00:00:00Z"  # the API's own way to say that a time is not known


class ModelCard(NamedTuple):
    """What one model accepts and how large it is; the defaults are those of a model that always thinks."""

    id: str
    pool: str  # models of one pool share their rate limits
    context: int = 1_000_000
    max_output: int = 128_000
    tokenizer: Tokenizer = "new"
    thinking: tuple[str, ...] = ("adaptive",)  # the `thinking.type` values that the model accepts
    thinks_unasked: bool = True  # whether a request without `thinking` gets adaptive thinking
    efforts: tuple[str, ...] = ALL_EFFORTS
    unthinking_efforts: tuple[str, ...] = ALL_EFFORTS  # accepted with thinking turned off
    forced_tools: bool = True
    prefill: bool = False
    retires_at: str | None = None
    caches_from: int = 512  # the fewest tokens of a prompt that are cached


_newest = partial(ModelCard, forced_tools=False)
_choosing = partial(ModelCard, thinking=("adaptive", "disabled"))
_silent = partial(_choosing, thinks_unasked=False)
_with_budget = partial(ModelCard, thinks_unasked=False, tokenizer="old", thinking=("adaptive", "disabled", "enabled"))
_version_4_6 = partial(_with_budget, efforts=("low", "medium", "high", "max"))
_small = partial(_with_budget, context=200_000, max_output=64_000, thinking=("disabled", "enabled"), prefill=True)
_version_4_5 = partial(_small, efforts=())

_MYTHOS_END, _SONNET_END, _OPUS_END = "2026-06-30T00:00:00Z", "2026-11-30T00:00:00Z", "2027-01-22T00:00:00Z"
_SONNET_THINKING = ("adaptive", "between_tools")
_TABLE = (
    _newest(id="claude-fable-5-2", pool="fable"),
    _newest(id="claude-fable-5-1", pool="fable"),
    ModelCard(id="claude-fable-5", pool="fable"),
    _newest(id="claude-mythos-5-2", pool="mythos"),
    _newest(id="claude-mythos-5-1", pool="mythos"),
    ModelCard(id="claude-mythos-5", pool="mythos"),
    _silent(id="claude-mythos-preview", pool="mythos-preview", caches_from=2048, retires_at=_MYTHOS_END),
    _newest(id="claude-opus-5-5", pool="opus-5-5"),
    _choosing(id="claude-opus-5", pool="opus-5", unthinking_efforts=_UP_TO_HIGH),
    _silent(id="claude-opus-4-8", pool="opus-4", caches_from=1024),
    _silent(id="claude-opus-4-7", pool="opus-4", caches_from=2048),
    _version_4_6(id="claude-opus-4-6", pool="opus-4", caches_from=4096),
    _small(id="claude-opus-4-5-20251101", pool="opus-4", efforts=_UP_TO_HIGH, caches_from=4096, retires_at=_OPUS_END),
    _newest(id="claude-sonnet-5-5", pool="sonnet-5-5", thinking=_SONNET_THINKING, unthinking_efforts=_UP_TO_HIGH),
    _choosing(id="claude-sonnet-5", pool="sonnet-5", caches_from=1024),
    _version_4_6(id="claude-sonnet-4-6", pool="sonnet-4", caches_from=1024),
    _version_4_5(id="claude-sonnet-4-5-20250929", pool="sonnet-4", caches_from=1024, retires_at=_SONNET_END),
    _choosing(id="claude-haiku-5-5", pool="haiku-5-5"),
    _version_4_5(id="claude-haiku-4-5-20251001", pool="haiku-4-5", caches_from=4096),
)

CARDS: Mapping[str, ModelCard] = {card.id: card for card in _TABLE}


def find_model(name: str) -> ModelCard | None:
    """Find the card behind an id or an alias, which is an id without its date; replies name the card's own id."""
    dated = (card for card in _TABLE if card.id.startswith(f"{name}-20"))
    return CARDS.get(name) or next(dated, None)


def find_any_model(name: str) -> ModelCard | None:
    """Find a card, or make one for a name that is no Claude model's: what a server of one's own might serve."""
    if (card := find_model(name)) or not name.strip() or "claude" in name.lower():
        return card
    return _silent(id=name, pool=name, context=400_000, prefill=True, caches_from=1024)


def model_info(card: ModelCard) -> dict[str, Any]:
    """Make the body of `GET /v1/models/{id}`."""
    line, _, version = card.id.removeprefix("claude-").partition("-")
    return {
        "type": "model",
        "id": card.id,
        "display_name": f"Claude {line.title()} {'.'.join(version.split('-')[:2])}",
        "created_at": _UNKNOWN_TIME,
        "lifecycle": "deprecated" if card.retires_at else "active",
        "deprecated_at": _UNKNOWN_TIME if card.retires_at else None,
        "retires_at": card.retires_at,
        "line": line,
        "max_input_tokens": card.context,
        "max_tokens": card.max_output,
        "capabilities": capabilities(card),
    }


def capabilities(card: ModelCard) -> dict[str, Any]:
    """Say what a model accepts, with the keys of the SDK's `ModelCapabilities`. What is off is not simulated."""
    on, off = {"supported": True}, {"supported": False}
    efforts = {name: {"supported": name in card.efforts} for name in ALL_EFFORTS}
    types = {
        name: {"supported": name in card.thinking} for name in ("adaptive", "between_tools", "disabled", "enabled")
    }
    return {
        "batch": on,
        "citations": off,
        "code_execution": off,
        "context_management": off,
        "effort": {"supported": bool(card.efforts), **efforts},
        "image_input": on,
        "pdf_input": on,
        "server_tools": {**off, "code_execution": off, "web_search": off},
        "structured_outputs": on,
        "thinking": {"supported": True, "types": types},
    }
