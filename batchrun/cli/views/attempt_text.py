"""The attempts at a document in full: what was asked, what the tokens were, and what a reply said that is no row."""

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.cli.views.format import labelled
from batchrun.documents.split import merged_id, segment_name
from batchrun.escaping import escape_control
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.conversation import reply_text
from batchrun.store.ledger.ledger import Ledger

MOST_NAMES = 5
"""How many fields are named that a turn asks for."""


def told_attempt(ledger: Ledger, number: int, attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Add to an attempt its number, what was asked, and what its reply said if the reply is no row."""
    is_row = attempt["outcome"] in {None, Outcome.SUCCEEDED}
    raw = None if is_row else ledger.reply(attempt["attempt_no"])
    return {"number": number, **attempt, "asked": asked(attempt), "said": reply_text(raw) if raw else None}


def asked(attempt: Mapping[str, Any]) -> str:
    """Say in words what an attempt asked."""
    turn = attempt["turn"] or {}
    fields, first, repairs, most = (turn.get(name) for name in ("fields", "first", "repairs", "max_tokens"))
    names = [*map(escape_control, fields[:MOST_NAMES]), *(["…"] if len(fields) > MOST_NAMES else [])] if fields else []
    twice = most and attempt["max_tokens"] and most == 2 * attempt["max_tokens"]
    words = [
        f"asked for {', '.join(names)}{'' if first else ' alone'}" if names else "",
        f"entries from {first:,} on" if first else "",
        f"shown again with its problems (repair {repairs})" if repairs else "",
        f"with {'twice the max_tokens' if twice else 'more max_tokens'} ({most:,})" if most else "",
    ]
    return ", ".join(filter(None, words)) or "asked for everything"


def attempt_lines(attempt: Mapping[str, Any], width: int | None) -> Iterator[str]:
    """Yield the lines on an attempt that `told_attempt` has told."""
    name = segment_name(attempt["doc_id"])
    merges = "the merging of the parts: " if merged_id(attempt["doc_id"]) else ""
    of = f"part {name.number}: " if name else merges
    model = f", by {escape_control(attempt['model'])}" if attempt["model"] else ""
    yield f"attempt {attempt['number']}  {of}{attempt['asked']}{model}"
    if attempt["output_tokens"] is not None:
        yield f"  tokens   {_tokens(attempt)}"
    yield from labelled("why", attempt["reason"] or "", width=width)
    yield from labelled("said", attempt["said"] or "", width=width)


def _tokens(attempt: Mapping[str, Any]) -> str:
    read, written, thinking = (attempt[f"{name}_tokens"] for name in ("cache_read", "cache_write", "thinking"))
    cached = [f"{read:,} read from the cache"] if read else []
    cached += [f"{written:,} written to the cache"] if written else []
    beside = f", {', '.join(cached)}" if cached else ""
    thought = f" ({thinking:,} of them thinking)" if thinking is not None else ""
    return f"{attempt['input_tokens']:,} input{beside}, {attempt['output_tokens']:,} output{thought}"
