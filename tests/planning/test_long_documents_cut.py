"""A long document is cut where an exact count of all its tokens would cut it, and most of it is never counted."""

import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.document import Document
from batchrun.estimation import tokenizer
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.text_class import TextClass, factor, text_class
from batchrun.estimation.tokenizer import count_tokens, truncate
from batchrun.planning import request_builder
from batchrun.planning.request_builder import CUTS, RequestBuilder, SizeLimit

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = 'the contract party shall Vertrag straße naïve 合同 привет 🙂 1234 3.14 foo() {"x": 1} \t \r\n \n\n ==== it\'s'
UNITS = ["a", " ", "\n", "あ", "0", "=", "\t", "ab \n", "x-1", "日a "]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Estimated:
    """An estimator that knows nothing but a factor."""

    def __init__(self, multiple: float) -> None:
        self._multiple = multiple

    def factor(self, kind: TextClass) -> float:
        return factor("new", kind).mean * self._multiple

    def document_tokens(self, tokens: RequestTokens) -> float:
        return tokens.counted * self.factor(tokens.text_class)


class Rendered:
    """A template that renders nothing but the document's part."""

    renderer: "Rendered"

    def __init__(self) -> None:
        self.renderer = self

    def document_text(self, document: Document) -> str:
        return "\n".join([document.text, *map(str, document.columns.values())])


def cut_by(limit: int, multiple: float, document: Document) -> str:
    size_limit = SizeLimit(limit, "limit", truncates=True)
    parts: tuple[Any, Any] = (Rendered(), Estimated(multiple))
    builder = RequestBuilder(*parts, size_limit, count=count_tokens, truncate=truncate)
    return builder._fitted(document)[0].text


def cut_exactly(limit: int, multiple: float, document: Document) -> str:
    """The rule, over exact counts of everything."""
    estimated, text = Estimated(multiple), document.text
    for _ in range(CUTS):
        whole = "\n".join([text, *map(str, document.columns.values())])
        counted = count_tokens(whole)
        size = estimated.document_tokens(RequestTokens(counted, text_class(whole)))
        if size <= limit:
            break
        kept = count_tokens(text) - math.ceil((size - limit) * counted / size)
        text = exactly_truncated(text, max(0, kept))
    return text


def exactly_truncated(text: str, tokens: int) -> str:
    encoded = tokenizer._encoding().encode_ordinary(text)
    for kept in range(min(tokens, len(encoded)), 0, -1):
        try:
            return text if kept == len(encoded) else tokenizer._encoding().decode_bytes(encoded[:kept]).decode()
        except UnicodeDecodeError:
            continue
    return ""


def some_text(draw: random.Random, size: int) -> str:
    kinds: list[Callable[[], str]] = [
        lambda: "".join(draw.choices(LETTERS, k=size)),
        lambda: "".join(draw.choices("!@#$%^&*()-=", k=size)),
        lambda: "".join(draw.choices(" \n\t\r", k=size)),
        lambda: "".join(draw.choices("あ日a1 🙂\ud800", k=size)),
        lambda: (draw.choice(UNITS) * size)[:size],
        lambda: " ".join(draw.choices(WORDS.split(" "), k=size // 4))[:size],
        lambda: "".join(some_text(draw, size // 4) for _ in range(4)),
    ]
    return draw.choice(kinds)()


def small_texts_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "LONG_TEXT", 400)
    monkeypatch.setattr(request_builder, "LONG_TEXT", 400)
    monkeypatch.setattr(tokenizer, "SETTLED", 100)


def same_cuts(draw: random.Random, times: int, *, sizes: tuple[int, int]) -> int:
    """Compare so many cuts with the rule. Returns how many documents were cut at all."""
    cut = 0
    for _ in range(times):
        text = some_text(draw, draw.randrange(*sizes))
        columns = {} if draw.random() < 0.6 else {"c": some_text(draw, 40)}
        document = Document("a", "a", text, columns=columns)
        limit, multiple = draw.randrange(1, len(text) + 2), draw.choice([1.0, 1 / 1.54, draw.uniform(0.6, 1.6)])
        expected = cut_exactly(limit, multiple, document)
        assert cut_by(limit, multiple, document) == expected, (limit, multiple, text, columns)
        cut += expected != text
    return cut


def test_the_cut_is_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    small_texts_are_long(monkeypatch)
    assert same_cuts(random.Random(1), 150, sizes=(401, 3_000)) > 50


@pytest.mark.slow
def test_the_cut_is_the_rules_for_many_more(monkeypatch: pytest.MonkeyPatch) -> None:
    small_texts_are_long(monkeypatch)
    assert same_cuts(random.Random(2), 2_000, sizes=(401, 6_000)) > 500


@pytest.mark.slow
def test_the_cut_of_a_really_long_document_is_the_rules() -> None:
    text = "".join(random.Random(3).choices(LETTERS, k=1_500_000))
    document = Document("a", "a", text)
    assert cut_by(100_000, 1.0, document) == cut_exactly(100_000, 1.0, document)


class Watched:
    """The encoding, and how many characters it was given."""

    def __init__(self) -> None:
        self._encoding, self.characters = tokenizer._encoding(), 0

    def encode_ordinary(self, text: str) -> list[int]:
        self.characters += len(text)
        return self._encoding.encode_ordinary(text)

    def decode_bytes(self, tokens: list[int]) -> bytes:
        return self._encoding.decode_bytes(tokens)


@pytest.mark.parametrize("columns", [{}, {"c": "a column"}], ids=["a file", "a row"])
def test_what_is_cut_off_is_not_encoded(monkeypatch: pytest.MonkeyPatch, columns: dict[str, str]) -> None:
    watched = Watched()
    monkeypatch.setattr(tokenizer, "_encoding", lambda: watched)
    text = ("abcd efgh " if columns else "!?") * 800_000
    cut = cut_by(10_000, 1.0, Document("a", "a", text, columns=columns))
    assert 5_000 < len(cut) < 100_000
    assert watched.characters < 1_200_000
