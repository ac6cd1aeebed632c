"""A job as a dictionary, and its documents."""

from collections.abc import Iterator
from typing import Any

JOB: dict[str, Any] = {
    "job": {"name": "letters"},
    "model": {"name": "claude-haiku-4-5", "max_tokens": 100},
    "prompt": {"user": "From {{ doc.sender }}:\n{{ doc.text }}"},
    "output": {"fields": {"title": "string", "year": "integer?"}},
    "limits": {
        "requests_per_minute": 600_000,
        "input_tokens_per_minute": 900_000_000,
        "output_tokens_per_minute": 900_000_000,
    },
    "budget": {"max_cost_usd": 1.0},
}
FAST: dict[str, Any] = {"simulate": True, "speed": 10_000.0}
"""How tests submit: against the simulator, whose clock is fast."""


def letters(number: int = 4, sender: str = "Ada") -> Iterator[dict[str, Any]]:
    """Documents, once."""
    for one in range(number):
        yield {"doc_id": f"letter-{one:03}", "text": f"Letter {one} of 1904.", "sender": sender}
