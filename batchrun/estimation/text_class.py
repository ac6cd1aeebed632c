"""The classes of text that tokenizers treat differently, and the factor from cl100k's count to Claude's."""

import re
from enum import StrEnum

from batchrun.catalog.price import Tokenizer
from batchrun.estimation.interval import Interval

_SAMPLE = 2_048
_OTHER_SCRIPT = re.compile(
    "[\u0370-\u1dff\u1f00-\u1fff\u2e80-\ud7ff\uf900-\ufdff\ufe70-\ufeff\uff66-\uffdc\U00010000-\U0001efff\U00020000-\U0003ffff]"
)
"""Greek to Hangul and beyond, without accented Latin letters and the punctuation, arrows and emoji of Latin texts."""
_DIGITS = b"0123456789"
_MARKS = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_SPACE = b" \t\n\r\x0b\x0c"


class TextClass(StrEnum):
    """A class of texts with about the same ratio of Claude tokens to cl100k tokens."""

    PROSE = "prose"
    """Words in Latin letters, markdown included."""
    CODE = "code"
    """Programs, JSON, markup: many marks between the words."""
    DIGITS = "digits"
    """Tables of numbers, logs with timestamps, identifiers."""
    OTHER_SCRIPT = "other script"
    """Words in other than Latin letters."""
    MIXED = "mixed"
    """Latin and other letters side by side."""
    PAGES = "pages"
    """No text, but a PDF as it is: its count is `pdf_tokens` instead of cl100k's."""
    IMAGE = "image"
    """No text, but an image: its count is `image_tokens` instead of cl100k's."""

    @property
    def is_native(self) -> bool:
        """Whether documents of this class are files that are sent as they are."""
        return self in {TextClass.PAGES, TextClass.IMAGE}


def text_class(text: str) -> TextClass:
    """Classify a text by its first and its middle 2 KB."""
    sample = text if len(text) <= 2 * _SAMPLE else _beginning_and_middle(text)
    ascii_bytes = sample.encode("ascii", "ignore")
    visible = len(sample) - _count(ascii_bytes, _SPACE) or 1
    if not sample.isascii():
        foreign = len(_OTHER_SCRIPT.findall(sample)) / visible
        if foreign > 0.1:
            return TextClass.OTHER_SCRIPT if foreign > 0.5 else TextClass.MIXED
    if _count(ascii_bytes, _DIGITS) / visible > 0.25:
        return TextClass.DIGITS
    if _count(ascii_bytes, _MARKS) / visible > 0.15:
        return TextClass.CODE
    return TextClass.PROSE


def _beginning_and_middle(text: str) -> str:
    middle = len(text) // 2
    return text[:_SAMPLE] + text[middle : middle + _SAMPLE]


def _count(text: bytes, wanted: bytes) -> int:
    return len(text) - len(text.translate(None, wanted))


_FILES_AT_OPENAI = {
    TextClass.PAGES: Interval(1.00, low=0.50, high=2.00),
    TextClass.IMAGE: Interval(1.00, low=0.30, high=2.00),
}
_FACTORS: dict[Tokenizer, dict[TextClass, Interval]] = {
    "old": {
        TextClass.PROSE: Interval(1.13, low=1.03, high=1.25),
        TextClass.CODE: Interval(1.19, low=1.00, high=1.30),
        TextClass.DIGITS: Interval(1.04, low=0.97, high=1.14),
        TextClass.OTHER_SCRIPT: Interval(0.88, low=0.68, high=1.08),
        TextClass.MIXED: Interval(1.05, low=0.75, high=1.27),
        TextClass.PAGES: Interval(0.96, low=0.80, high=1.15),
        TextClass.IMAGE: Interval(0.60, low=0.33, high=1.05),
    },
    "new": {
        TextClass.PROSE: Interval(1.54, low=1.36, high=1.72),
        TextClass.CODE: Interval(1.53, low=1.25, high=1.70),
        TextClass.DIGITS: Interval(1.10, low=0.97, high=1.35),
        TextClass.OTHER_SCRIPT: Interval(0.87, low=0.68, high=1.08),
        TextClass.MIXED: Interval(1.25, low=0.75, high=1.75),
        TextClass.PAGES: Interval(1.04, low=0.85, high=1.75),
        TextClass.IMAGE: Interval(1.00, low=0.95, high=1.05),
    },
    "cl100k_base": {kind: Interval(1.00, low=1.00, high=1.00) for kind in TextClass} | _FILES_AT_OPENAI,
    "o200k_base": {
        TextClass.PROSE: Interval(0.99, low=0.75, high=1.06),
        TextClass.CODE: Interval(1.00, low=0.90, high=1.06),
        TextClass.DIGITS: Interval(0.99, low=0.85, high=1.02),
        TextClass.OTHER_SCRIPT: Interval(0.58, low=0.23, high=0.93),
        TextClass.MIXED: Interval(0.82, low=0.50, high=1.00),
        **_FILES_AT_OPENAI,
    },
    "unknown": {
        TextClass.PROSE: Interval(1.05, low=0.85, high=1.50),
        TextClass.CODE: Interval(1.05, low=0.90, high=1.40),
        TextClass.DIGITS: Interval(1.20, low=0.95, high=1.90),
        TextClass.OTHER_SCRIPT: Interval(0.80, low=0.35, high=1.80),
        TextClass.MIXED: Interval(0.90, low=0.50, high=1.60),
        TextClass.PAGES: Interval(1.00, low=0.50, high=2.00),
        TextClass.IMAGE: Interval(1.00, low=0.10, high=4.00),
    },
}


def factor(tokenizer: Tokenizer, kind: TextClass) -> Interval:
    """Give a model's tokens per cl100k token.

    Claude's are from measurements against an offline reconstruction of the tokenizers, old (to 4.6) / new (4.7 and
    later): English legal prose 1.08 / 1.54, markdown 1.17 / 1.60, German 1.24 / 1.71, French 1.15 / 1.38, Spanish
    1.17 / 1.46; Python 1.26 / 1.61, JSON 1.19 to 1.22 / 1.42 to 1.66; CSV of numbers 1.00 / 1.00, logs 1.10 / 1.25;
    Russian 0.80, Chinese 0.94, Japanese 0.80, Korean 1.07, Arabic 0.93, Hindi 0.69 with both. Recorded replies of 4.x
    models over English prompts of 3,000 tokens gave 1.13. The bounds span the class; nothing measured was above 1.75.

    Models with the new tokenizer see large images, up to 4,784 tokens, and the others up to 1,568 (vision page). Pages
    were measured at 1,575 for both; the new ones' bound leaves room for pages that are rendered larger.

    For OpenAI, o200k_base was counted beside cl100k_base over 940 files and over a paragraph in 16 languages: English,
    code and JSON 1.00, German 0.75, French, Spanish and Polish 0.83, Russian 0.51, Chinese, Japanese and Korean 0.67,
    Arabic 0.46, Hindi 0.31, Tamil 0.23. The tokenizers of Llama 3 and Qwen 3, counted over the same files, lie within
    the bounds of the unknown one; Qwen takes digits one by one.
    """
    return _FACTORS[tokenizer][kind]
