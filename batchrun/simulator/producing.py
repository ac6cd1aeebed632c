"""What the simulated model produces for a request: the text, what it thought, why it stopped, and the tokens of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from batchrun.simulator.answers import Answering
from batchrun.simulator.counting import count_text
from batchrun.simulator.fault_kinds import Spoiling
from batchrun.simulator.models import ModelCard
from batchrun.simulator.reading import Reading, document_in

_THINKS_ALOUD = 0.3  # share of the answers of a thinking model that begin with a thinking block
_SHORTEST_THOUGHT, _LONGEST_THOUGHT = 16, 120

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """One answer before it is put into the API's words."""

    text: str
    """Empty: no text block."""
    stop_reason: str = "end_turn"
    stop_details: Mapping[str, Any] | None = None
    text_tokens: int = 0
    thinking_tokens: int = 0
    thought: str | None = None
    """The text of the thinking block, empty as a rule; None: no such block."""

    @property
    def output_tokens(self) -> int:
        """Everything produced, which is what is billed."""
        return self.text_tokens + self.thinking_tokens


def produce(params: Params, card: ModelCard, *, seed: int, chance: float, spoiling: Spoiling | None) -> Production:
    """Answer a valid request. `chance` in [0, 1) decides whether the model thinks first."""
    prompt = "".join(_texts(params["messages"][-1]["content"]))
    text = _answer(params, document_in(prompt), seed=seed, spoiling=spoiling)
    thinking_tokens = 0
    if spoiling is Spoiling.THINKING_FIRST or (_thinks(params, card) and chance < _THINKS_ALOUD):
        span = _LONGEST_THOUGHT - _SHORTEST_THOUGHT
        thinking_tokens = _SHORTEST_THOUGHT + int(span * chance / _THINKS_ALOUD) % span
    whole = Production(
        text=text,
        text_tokens=count_text(text, card.tokenizer),
        thinking_tokens=thinking_tokens,
        thought=_thought(params) if thinking_tokens else None,
    )
    return _stopped(_spoiled(whole, spoiling, params["max_tokens"]), params["max_tokens"])


def _texts(content: str | list[dict[str, Any]]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for block in content:
        source = block.get("source")
        if block["type"] == "text":
            yield block["text"]
        elif isinstance(source, dict) and source.get("type") == "text":
            yield f"\n\n<document>\n{source.get('data', '')}\n</document>\n\n"


def _answer(params: Params, document: str, *, seed: int, spoiling: Spoiling | None) -> str:
    reading = Reading(document)
    output_format = params.get("output_config", {}).get("format")
    if output_format is None:
        said = " ".join(" ".join(reading.sentences[:2]).split())
        return said or reading.title or "There is nothing to read in this message."
    schema = output_format["schema"]
    key = hashlib.blake2b(document.encode(), salt=seed.to_bytes(8, "big", signed=True)).digest()
    answer = Answering(reading, schema, key).answer()
    if spoiling is Spoiling.SCHEMA_VIOLATION:
        answer = _against_schema(answer)
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return f"{text[: len(text) * 2 // 3]}…" if spoiling is Spoiling.INVALID_JSON else text


def _against_schema(answer: object) -> dict[str, Any]:
    """Leave out the first property; what has none gets one that no schema allows."""
    if isinstance(answer, dict) and answer:
        return dict(list(answer.items())[1:])
    return {"unexpected": True}


def _thinks(params: Params, card: ModelCard) -> bool:
    asked = (params.get("thinking") or {}).get("type")
    return card.thinks_unasked if asked is None else asked in {"adaptive", "enabled"}


def _thought(params: Params) -> str:
    shown = (params.get("thinking") or {}).get("display") == "summarized"
    return "Reading the document for what was asked." if shown else ""


def _spoiled(whole: Production, spoiling: Spoiling | None, max_tokens: int) -> Production:
    match spoiling:
        case Spoiling.TRUNCATED:
            # Thinking used the room up: the visible half is far shorter than max_tokens, as with the real models.
            half = replace(whole, text=whole.text[: len(whole.text) // 2], text_tokens=whole.text_tokens // 2)
            rest = max(0, max_tokens - half.text_tokens)
            return replace(half, stop_reason="max_tokens", thinking_tokens=rest)
        case Spoiling.WINDOW_EXCEEDED:
            return replace(whole, text=whole.text[: len(whole.text) // 2], stop_reason="model_context_window_exceeded")
        case Spoiling.EMPTY:
            return Production(text="", text_tokens=2)
        case Spoiling.REFUSED:
            # `bio` is one of the categories that are billed even when nothing was produced.
            details = {"type": "refusal", "category": "bio", "explanation": None}
            return Production(text="", stop_reason="refusal", stop_details=details, text_tokens=1)
        case _:
            return whole


def _stopped(production: Production, max_tokens: int) -> Production:
    """Cut an answer where `max_tokens` ends it; thinking counts too."""
    if production.output_tokens <= max_tokens:
        return production
    thinking = min(production.thinking_tokens, max_tokens)
    room = max_tokens - thinking
    text = production.text[: len(production.text) * room // max(1, production.text_tokens)]
    return replace(production, text=text, text_tokens=room, thinking_tokens=thinking, stop_reason="max_tokens")
