"""The simulator's token counts: like Claude's in size, like nobody's in detail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.simulator.requests.token_count import count_prompt, count_text

PROSE = (
    "This Agreement shall be governed by and construed in accordance with the laws of the State of Delaware, without "
    "regard to its conflict of law provisions. Each party shall keep the terms of this Agreement confidential. "
)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        (PROSE * 20, 2.9, 3.6),
        ("1250.75,330.10,4471.05\n" * 50, 1.5, 2.1),
        ("本协议受中华人民共和国法律管辖。" * 20, 0.8, 1.3),
        ("Настоящий договор регулируется правом. " * 20, 2.2, 3.2),
        ("هذا العقد يخضع لقوانين الدولة " * 20, 1.2, 1.9),
    ],
    ids=["english", "numbers", "chinese", "russian", "arabic"],
)
def test_characters_per_token_of_the_newer_tokenizer(text: str, low: float, high: float) -> None:
    assert low <= len(text) / count_text(text, "new") <= high


def test_the_older_tokenizer_needs_fewer_for_english_and_as_many_for_chinese() -> None:
    assert 1.3 <= count_text(PROSE, "new") / count_text(PROSE, "old") <= 1.6
    assert count_text("合同" * 50, "new") == count_text("合同" * 50, "old")


@pytest.mark.parametrize(
    ("text", "recorded"), [("Who created you?", 11), ("Say hello", 9), ("List all U.S. states.", 15)]
)
def test_near_what_the_api_counted(text: str, recorded: int) -> None:
    counted = count_prompt({"messages": [{"role": "user", "content": text}]}, "old")

    assert counted == pytest.approx(recorded, rel=0.25)


def test_a_schema_costs_about_what_the_api_charged() -> None:
    schema = {
        "additionalProperties": False,
        "properties": {
            "city": {"type": "string"},
            "country": {"type": "string"},
            "population": {"type": "integer"},
        },
        "required": ["city", "country", "population"],
        "type": "object",
    }
    params = {
        "messages": [{"role": "user", "content": "Give me facts about Berlin"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }

    assert count_prompt(params, "old") == pytest.approx(197, rel=0.1)


@given(st.text(min_size=1))
def test_any_text_has_tokens_and_more_text_has_no_fewer(text: str) -> None:
    assert 1 <= count_text(text, "new") <= 3 * len(text.encode())
    assert count_text(text + " and more words", "new") >= count_text(text, "new")
