"""What the simulated model produces for a request: the text, the thinking, the stop reason and the tokens."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from batchrun.answers.xml_words import root_of
from batchrun.simulator.faults.kinds import Spoiling
from batchrun.simulator.replies.asked import Asked, asked_in, question_in
from batchrun.simulator.replies.document import beginning_of, document_in, title_of
from batchrun.simulator.replies.schema_answer import SchemaAnswer
from batchrun.simulator.replies.xml_answer import xml_answer
from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.requests.native_files import file_in
from batchrun.simulator.requests.token_count import count_text, text_blocks

_READ_CHARACTERS = 60_000  # far into any contract; keeps the time for a large document bounded
_THINKS_ALOUD = 0.3  # share of the replies of a thinking model that begin with a thinking block
_SELDOM = 32  # of 256: how often a model writes words around XML, or answers in text in place of a tool
_SHORTEST_THOUGHT, _LONGEST_THOUGHT = 16, 120

Params = Mapping[str, Any]


class Production(NamedTuple):
    """One reply before it is put into the API's words."""

    text: str  # no text block is sent for an empty one; the JSON of the input where a tool is called
    tool: str | None = None  # the tool that is called
    stop_reason: str = "end_turn"
    stop_details: Mapping[str, Any] | None = None
    text_tokens: int = 0
    thinking_tokens: int = 0
    thought: str | None = None  # the text of the thinking block, empty as a rule; None if there is no such block

    @property
    def output_tokens(self) -> int:
        """Everything produced, which is what is billed."""
        return self.text_tokens + self.thinking_tokens


def produce(params: Params, card: ModelCard, *, seed: int, chance: float, spoiling: Spoiling | None) -> Production:
    """Answer a valid request. `chance` in [0, 1) decides whether the model thinks first."""
    blocks = text_blocks(question_in(params["messages"])["content"])
    files = [seen for block in blocks if (seen := file_in(block))]
    prompt = "".join(block["text"] if block["type"] == "text" else _text_of(block) for block in blocks)
    asked, question = asked_in(params, prompt)
    document = document_in(question)[:_READ_CHARACTERS]
    named = document.encode() + b"".join(seen.sha for seen in files)
    whole = _whole(asked, document, _key(named, seed), spoiling)
    whole = whole._replace(text_tokens=count_text(whole.text, card.tokenizer))
    thinking = params.get("thinking") or {}
    thinks = thinking.get("type") in {"adaptive", "enabled"} or (card.thinks_unasked and not thinking)
    thinks = thinks and not asked.forced
    if spoiling is Spoiling.THINKING_FIRST or (thinks and chance < _THINKS_ALOUD):
        span = _LONGEST_THOUGHT - _SHORTEST_THOUGHT
        shown = "Reading the document for what was asked." if thinking.get("display") == "summarized" else ""
        tokens = _SHORTEST_THOUGHT + int(span * chance / _THINKS_ALOUD) % span
        whole = whole._replace(thinking_tokens=tokens, thought=shown)
    return _stopped(_spoiled(whole, spoiling, params["max_tokens"]), params["max_tokens"])


def _text_of(block: Params) -> str:
    seen = file_in(block)
    return seen.text if seen else ""


def _key(named: bytes, seed: int) -> bytes:
    return hashlib.blake2b(named, salt=seed.to_bytes(8, "big", signed=True)).digest()


def _whole(asked: Asked, document: str, key: bytes, spoiling: Spoiling | None) -> Production:
    """Answer in the form that is asked for. The key decides what a model does now and then."""
    if asked.schema is None:
        text = beginning_of(document) or title_of(document) or "There is nothing to read in this message."
        return Production(text=_cut(text, spoiling))
    answer = SchemaAnswer(document, asked.schema, key).answer()
    if spoiling is Spoiling.SCHEMA_VIOLATION:  # the first property is left out, or one is added that no schema allows
        answer = dict(list(answer.items())[1:]) if isinstance(answer, dict) and answer else {"unexpected": True}
    if asked.form == "xml":
        return Production(text=_cut(xml_answer(answer, root_of(asked.schema), chatty=key[0] < _SELDOM), spoiling))
    text = _cut(json.dumps(answer, ensure_ascii=False, separators=(",", ":")), spoiling)
    if asked.form == "tool" and (asked.forced or key[0] >= _SELDOM):
        return Production(text=text, tool=asked.tool, stop_reason="tool_use")
    return Production(text=text)


def _cut(text: str, spoiling: Spoiling | None) -> str:
    return f"{text[: len(text) * 2 // 3]}…" if spoiling is Spoiling.INVALID_JSON else text


def _spoiled(whole: Production, spoiling: Spoiling | None, max_tokens: int) -> Production:
    half = whole.text[: len(whole.text) // 2]
    match spoiling:
        case Spoiling.TRUNCATED:
            # Thinking used the tokens up: the visible half is far shorter than max_tokens, as with the real models.
            tokens = whole.text_tokens // 2
            thinking = max(0, max_tokens - tokens)
            return whole._replace(text=half, stop_reason="max_tokens", text_tokens=tokens, thinking_tokens=thinking)
        case Spoiling.WINDOW_EXCEEDED:
            return whole._replace(text=half, stop_reason="model_context_window_exceeded")
        case Spoiling.EMPTY:
            return Production(text="", text_tokens=2)
        case Spoiling.REFUSED:
            # `bio` is one of the categories that are billed even when nothing was produced.
            details = {"type": "refusal", "category": "bio", "explanation": None}
            return Production(text="", stop_reason="refusal", stop_details=details, text_tokens=1)
        case _:
            return whole


def _stopped(production: Production, max_tokens: int) -> Production:
    """Cut a reply where `max_tokens` ends it; thinking counts too."""
    if production.output_tokens <= max_tokens:
        return production
    thinking = min(production.thinking_tokens, max_tokens)
    remaining = max_tokens - thinking
    text = production.text[: len(production.text) * remaining // max(1, production.text_tokens)]
    return production._replace(text=text, text_tokens=remaining, thinking_tokens=thinking, stop_reason="max_tokens")
