"""The models the simulator knows, and what each accepts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Tokenizer = Literal["old", "new"]
"""Models from 4.7 on use the newer one, which gives more tokens for the same Latin text."""

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")
ALL_THINKING = ("adaptive", "between_tools", "disabled", "enabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What one model accepts and how large it is."""

    id: str
    pool: str
    """Models of one pool share their rate limits."""
    context: int = 1_000_000
    max_output: int = 128_000
    tokenizer: Tokenizer = "new"
    thinking: tuple[str, ...]
    """The `thinking.type` values it accepts."""
    thinks_unasked: bool = False
    """Whether a request without `thinking` gets adaptive thinking."""
    efforts: tuple[str, ...] = ALL_EFFORTS
    unthinking_efforts: tuple[str, ...] = ALL_EFFORTS
    """The effort levels it accepts with thinking turned off."""
    forced_tools: bool = True
    prefill: bool = False
    retires_at: str | None = None
    caches_from: int = 512
    """The fewest tokens of a prompt that are cached."""


_ALWAYS_THINKS = ("adaptive",)
_MAY_THINK = ("adaptive", "disabled")
_UP_TO_HIGH = ("low", "medium", "high")

_TABLE = (
    ModelCard(id="claude-fable-5-2", pool="fable", thinking=_ALWAYS_THINKS, thinks_unasked=True, forced_tools=False),
    ModelCard(id="claude-fable-5-1", pool="fable", thinking=_ALWAYS_THINKS, thinks_unasked=True, forced_tools=False),
    ModelCard(id="claude-fable-5", pool="fable", thinking=_ALWAYS_THINKS, thinks_unasked=True),
    ModelCard(id="claude-mythos-5-2", pool="mythos", thinking=_ALWAYS_THINKS, thinks_unasked=True, forced_tools=False),
    ModelCard(id="claude-mythos-5-1", pool="mythos", thinking=_ALWAYS_THINKS, thinks_unasked=True, forced_tools=False),
    ModelCard(id="claude-mythos-5", pool="mythos", thinking=_ALWAYS_THINKS, thinks_unasked=True),
    ModelCard(
        id="claude-mythos-preview",
        caches_from=2048,
        pool="mythos-preview",
        thinking=_MAY_THINK,
        retires_at="2026-06-30T00:00:00Z",
    ),
    ModelCard(id="claude-opus-5-5", pool="opus-5-5", thinking=_ALWAYS_THINKS, thinks_unasked=True, forced_tools=False),
    ModelCard(
        id="claude-opus-5", pool="opus-5", thinking=_MAY_THINK, thinks_unasked=True, unthinking_efforts=_UP_TO_HIGH
    ),
    ModelCard(id="claude-opus-4-8", caches_from=1024, pool="opus-4", thinking=_MAY_THINK),
    ModelCard(id="claude-opus-4-7", caches_from=2048, pool="opus-4", thinking=_MAY_THINK),
    ModelCard(
        id="claude-opus-4-6",
        caches_from=4096,
        pool="opus-4",
        tokenizer="old",
        thinking=("adaptive", "disabled", "enabled"),
        efforts=("low", "medium", "high", "max"),
    ),
    ModelCard(
        id="claude-opus-4-5-20251101",
        caches_from=4096,
        pool="opus-4",
        context=200_000,
        max_output=64_000,
        tokenizer="old",
        thinking=("disabled", "enabled"),
        efforts=_UP_TO_HIGH,
        prefill=True,
    ),
    ModelCard(
        id="claude-sonnet-5-5",
        pool="sonnet-5-5",
        thinking=("adaptive", "between_tools"),
        thinks_unasked=True,
        unthinking_efforts=_UP_TO_HIGH,
        forced_tools=False,
    ),
    ModelCard(id="claude-sonnet-5", caches_from=1024, pool="sonnet-5", thinking=_MAY_THINK, thinks_unasked=True),
    ModelCard(
        id="claude-sonnet-4-6",
        caches_from=1024,
        pool="sonnet-4",
        tokenizer="old",
        thinking=("adaptive", "disabled", "enabled"),
        efforts=("low", "medium", "high", "max"),
    ),
    ModelCard(
        id="claude-sonnet-4-5-20250929",
        caches_from=1024,
        pool="sonnet-4",
        context=200_000,
        max_output=64_000,
        tokenizer="old",
        thinking=("disabled", "enabled"),
        efforts=(),
        prefill=True,
        retires_at="2026-11-30T00:00:00Z",
    ),
    ModelCard(id="claude-haiku-5-5", pool="haiku-5-5", thinking=_MAY_THINK, thinks_unasked=True),
    ModelCard(
        id="claude-haiku-4-5-20251001",
        caches_from=4096,
        pool="haiku-4-5",
        context=200_000,
        max_output=64_000,
        tokenizer="old",
        thinking=("disabled", "enabled"),
        efforts=(),
        prefill=True,
    ),
)

CARDS: Mapping[str, ModelCard] = {card.id: card for card in _TABLE}

ALIASES: Mapping[str, str] = {
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}


def find_model(name: str) -> ModelCard | None:
    """Find the card behind an id or an alias; answers name the card's own id."""
    return CARDS.get(ALIASES.get(name, name))


def model_info(card: ModelCard) -> dict[str, Any]:
    """Make the body of `GET /v1/models/{id}`."""
    line, _, version = card.id.removeprefix("claude-").partition("-")
    deprecated = card.retires_at is not None
    return {
        "type": "model",
        "id": card.id,
        "display_name": f"Claude {line.title()} {'.'.join(version.split('-')[:2])}",
        "created_at": "1970-01-01T00:00:00Z",  # the API's own way to say: not known
        "lifecycle": "deprecated" if deprecated else "active",
        "deprecated_at": "1970-01-01T00:00:00Z" if deprecated else None,
        "retires_at": card.retires_at,
        "line": line,
        "max_input_tokens": card.context,
        "max_tokens": card.max_output,
        "capabilities": _capabilities(card),
    }


def _capabilities(card: ModelCard) -> dict[str, Any]:
    yes = {"supported": True}
    return {
        "batch": yes,
        "citations": yes,
        "code_execution": yes,
        "context_management": yes,
        "effort": {"supported": bool(card.efforts)} | _support(ALL_EFFORTS, card.efforts),
        "image_input": yes,
        "pdf_input": yes,
        "server_tools": {"supported": True, "code_execution": yes, "web_search": yes},
        "structured_outputs": yes,
        "thinking": {"supported": True, "types": _support(ALL_THINKING, card.thinking)},
    }


def _support(names: Iterable[str], supported: Iterable[str]) -> dict[str, Any]:
    return {name: {"supported": name in supported} for name in names}
