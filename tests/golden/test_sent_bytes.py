"""Not one byte that is sent, and no name of a request, may change by accident: every change is to be paid for again."""

import json
from pathlib import Path

import pytest
from recording_api import MESSAGES
from sent_bytes import GOLDEN, VARIANTS, sent

PINNED = json.loads(GOLDEN.read_text("utf-8"))
UNMARKED = [name for name in VARIANTS if "cache" not in name and "long" not in name]
"""Variants whose requests are sent as they are named: without a mark for the prompt cache, and not as a stream."""
SLOW = [pytest.param(name, marks=() if name in UNMARKED else pytest.mark.slow) for name in VARIANTS]


@pytest.mark.parametrize("name", SLOW)
def test_what_is_sent_and_how_it_is_named(name: str, tmp_path: Path) -> None:
    recorded = sent(name, tmp_path)

    assert sorted(recorded) == sorted(PINNED[name])
    for part, pinned in PINNED[name].items():
        assert recorded[part] == pinned, f"{part} of {name}"


def test_nothing_else_is_pinned() -> None:
    assert list(PINNED) == list(VARIANTS)


@pytest.mark.parametrize("name", UNMARKED)
def test_a_request_is_named_by_the_hash_of_the_bytes_sent(name: str) -> None:
    posted = [digest for kind, hashes in PINNED[name]["hashes"].items() for digest in hashes if is_message(kind)]
    named = {line.split(" | ")[0] for line in PINNED[name]["requests"]}
    members = {line.split(" | ")[1] for line in PINNED[name]["members"]}

    assert {digest[:32] for digest in posted} | members == named


def is_message(kind: str) -> bool:
    """Whether bodies of this kind are Messages requests."""
    return kind.startswith(f"{MESSAGES} ")
