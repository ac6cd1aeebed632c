"""What nobody sees is written out; what people read every day stays readable."""

import sys
from unicodedata import category

import pytest

from batchrun.escaping import escape_control

SEEN = [
    "plain words", "naïve Straße 合同 привет שלום مرحبا हिन्दी", "I ❤️ you", "1️⃣ and #️⃣", "☎️ ✈️ ©️ ‼️ ↔️ 🕵️", "🙂👍🏽",
    "a\u00a0b\u3000c",
]  # fmt: skip
UNSEEN = [
    *range(0xE0000, 0xE0FFF + 1), *range(0xFE00, 0xFE0F + 1), 0x115F, 0x1160, 0x3164, 0xFFA0, 0x34F, 0x17B4, 0x180B,
    0x200B, 0x2060, 0x202E, 0xFEFF, 0xAD, 0xE000, 0xF8FF, 0x10FFFD, 0x378, 0xFFFE, 0x1FFFF, 0xFFF0, 0x7F, 0x85, 0x2028,
]  # fmt: skip


@pytest.mark.parametrize("text", SEEN)
def test_readable_text_stays(text: str) -> None:
    assert escape_control(text) == text


def test_what_is_not_seen_is_written_out() -> None:
    for number in UNSEEN:
        assert escape_control(f"a{chr(number)}b") == f"a{chr(number).encode('unicode_escape').decode()}b", hex(number)


def test_a_text_hidden_in_tags_or_selectors_is_written_out() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all")
    assert escape_control(f"🙂{hidden}").isascii() is False
    assert r"\U000e0069" in escape_control(f"🙂{hidden}")
    assert escape_control("❤\ufe0f\ufe0f\ufe0e") == "❤\ufe0f\\ufe0f\\ufe0e"


@pytest.mark.slow
def test_every_character_that_is_escaped_has_a_reason() -> None:
    escaped = {chr(n) for n in range(sys.maxunicode + 1) if escape_control(f"a{chr(n)}") != f"a{chr(n)}"}
    letters = {one for one in escaped if category(one) not in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}}
    assert len(letters) < 300
