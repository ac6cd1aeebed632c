"""A simulated model thinks, or does not, as the request and the model say."""

from typing import Any

import pytest

from batchrun.simulator.replies.production import produce
from batchrun.simulator.requests.model_cards import CARDS

SOON = 0.0
"""The chance with which every model that may think does."""


@pytest.mark.parametrize(
    ("name", "thinking", "thinks"),
    [
        ("claude-sonnet-5-5", None, True),
        ("claude-sonnet-5-5", {"type": "adaptive"}, True),
        ("claude-sonnet-5-5", {"type": "between_tools"}, False),
        ("claude-haiku-5-5", {"type": "disabled"}, False),
        ("claude-haiku-4-5-20251001", None, False),
        ("claude-haiku-4-5-20251001", {"type": "enabled", "budget_tokens": 1_024}, True),
    ],
    ids=["by default", "adaptive", "between tools", "disabled", "not by default", "with a budget"],
)
def test_who_thinks(name: str, thinking: dict[str, Any] | None, thinks: bool) -> None:
    params: dict[str, Any] = {"max_tokens": 4_000, "messages": [{"role": "user", "content": "A lease."}]}

    made = produce(
        params | ({"thinking": thinking} if thinking else {}), CARDS[name], seed=1, chance=SOON, spoiling=None
    )

    assert (made.thinking_tokens > 0, made.thought is not None) == (thinks, thinks)
    assert made.output_tokens == made.text_tokens + made.thinking_tokens
