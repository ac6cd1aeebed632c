"""The share of a text that is markup or base64, and texts that are not taken for either."""

import base64
import random
import time

import pytest

from batchrun.estimation.markup import markup_share

WORDS = "The parties agree that this contract ends after twelve months unless it is renewed in writing. "
PROSE = WORDS * 200
BASE64 = base64.encodebytes(random.Random(1).randbytes(60_000)).decode()
ONE_LINE = base64.b64encode(random.Random(2).randbytes(60_000)).decode()
SVG = '<svg viewBox="0 0 9 9"><path d="' + "M10 10 L20.5 30.25 " * 5_000 + '"/><text>Hello</text></svg>'
XML = "".join(f'<row id="{number}" kind="entry"><cell type="number">{number}</cell></row>\n' for number in range(2_000))
PYTHON = 'def less(a: list[int], b: int) -> bool:\n    return a[0] < b and b > 3  # why: "<" is less\n' * 300
MARKDOWN = f"# Heading\n\n{WORDS}\n\n* a [link](https://example.org/a)\n* `code` <br> more\n\n" * 100
GENES = "ACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCA\n" * 200
NUMBERS = "".join(f"{number},{number * 7},{number * 13}\n" for number in range(5_000))
COMPARISONS = "a < b, and c > d; if x<y then y>x. " * 500


@pytest.mark.parametrize("text", [BASE64, ONE_LINE, SVG, XML, WORDS + BASE64, ONE_LINE[:2_000]], ids=range(6))
def test_mostly_markup(text: str) -> None:
    assert markup_share(text) > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        WORDS,
        PROSE,
        PYTHON,
        MARKDOWN,
        GENES,
        NUMBERS,
        COMPARISONS,
        "<" * 5_000,
        "<b " * 3,
        PROSE + BASE64[:9_000],
    ],
    ids=range(12),
)
def test_not_mostly_markup(text: str) -> None:
    assert markup_share(text) < 0.5


def test_a_share_is_one() -> None:
    for text in (BASE64, SVG, XML, PROSE, "<a" * 9_000, "<a>" * 9_000, "<" + "A1b" * 9_000):
        assert 0 <= markup_share(text) <= 1


def test_a_large_text_takes_no_longer_than_a_sample() -> None:
    text = ("<" + "x" * 500) * 20_000
    began = time.perf_counter()

    markup_share(text)

    assert time.perf_counter() - began < 0.5
