"""Quotes drawn from made contracts: true ones in another shape, changed ones, and invented ones."""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from made_contracts import (
    ADJECTIVES,
    APOSTROPHE,
    DASH,
    KINDS,
    MODALS,
    MONTHS,
    ROLES,
    SURNAMES,
    Contract,
    Printed,
    Style,
    made_contract,
    printed,
)

from batchrun.answers.evidence.index import DocumentIndex

STYLES = {
    "plain": Style(),
    "no running lines": Style(with_running_lines=False),
    "hyphens": Style(hyphen="-\n"),
    "soft hyphens": Style(hyphen="\u00ad\n"),
    "U+FFFE": Style(hyphen="\ufffe"),
    "hyphens without a line break": Style(hyphen="-"),
    "ligatures": Style(ligatures=True),
}


@dataclass(frozen=True)
class Draw:
    """A quote, the document that it is sought in, and the page where a true quote begins."""

    kind: str
    index: DocumentIndex
    quote: str
    page: int


@cache
def _printed(seed: int, style: str) -> tuple[Contract, Printed, DocumentIndex]:
    contract = made_contract(seed)
    pages = printed(contract, STYLES[style])
    return contract, pages, DocumentIndex(pages.text, pages.places)


def true_draws(seed: int, count: int, contracts: int = 40) -> list[Draw]:
    """Draw quotes that stand in their documents, with other spaces, case, glyphs or line ends."""
    draw = random.Random(f"true {seed}")
    return [_true(draw, number, contracts) for number in range(count)]


def _true(draw: random.Random, number: int, contracts: int) -> Draw:
    kind = (*SHAPES, *STYLES)[number % (len(SHAPES) + len(STYLES))]
    contract, pages, index = _printed(draw.randrange(contracts), kind if kind in STYLES else "plain")
    paragraph, first, last = _stretch(
        draw, contract, pages, over_pages=kind == "no running lines" or draw.random() < 0.2
    )
    words = contract.paragraphs[paragraph][first:last]
    shape = SHAPES.get(kind, lambda _, given: " ".join(given))
    return Draw(kind, index, shape(draw, words), pages.pages[paragraph][first])


def _stretch(
    draw: random.Random, contract: Contract, pages: Printed, *, over_pages: bool = False
) -> tuple[int, int, int]:
    """Draw 8 to 40 words of a paragraph; if the caller wants this, over the end of a page where a paragraph has one."""
    broken = [at for at, numbers in enumerate(pages.pages) if len(set(numbers)) > 1 and len(numbers) >= 12]
    if over_pages and broken:
        paragraph = draw.choice(broken)
        numbers = pages.pages[paragraph]
        middle = numbers.index(numbers[0] + 1)
        latest = min(middle, len(numbers) - 7)
        before = [at for at in range(max(0, latest - 12), latest) if contract.paragraphs[paragraph][at] != DASH]
        first = draw.choice(before)
        return paragraph, first, min(len(numbers), max(first + 8, middle + draw.randint(1, 12)))
    paragraph = draw.choice([at for at, words in enumerate(contract.paragraphs) if len(words) >= 12])
    words = contract.paragraphs[paragraph]
    first = draw.choice([at for at in range(len(words) - 7) if words[at] != DASH])
    return paragraph, first, draw.randint(first + 8, min(len(words), first + 40))


def _other_spaces(draw: random.Random, words: Sequence[str]) -> str:
    return "".join(word + draw.choice((" ", "  ", "\n", "\t", "\u00a0", " \r\n ")) for word in words)


def _other_case(draw: random.Random, words: Sequence[str]) -> str:
    return draw.choice((str.upper, str.lower, str.swapcase))(" ".join(words))


def _other_glyphs(_draw: random.Random, words: Sequence[str]) -> str:
    plain = {"“": '"', "”": '"', APOSTROPHE: "'", DASH: "-", "-": "\u2011"}
    return " ".join(words).translate(str.maketrans(plain))


def _full_width(_draw: random.Random, words: Sequence[str]) -> str:
    wide = {code: code + 0xFEE0 for code in (*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))}
    return unicodedata.normalize("NFKD", " ".join(words)).translate(wide)


def _lost_spaces(draw: random.Random, words: Sequence[str]) -> str:
    """Lose a space here and there, but none beside a digit: "5 10" and "510" are different."""
    pairs = zip(words, (*words[1:], "1"), strict=True)
    return "".join(
        one + ("" if draw.random() < 0.15 and not re.search(r"\d", one + other) else " ") for one, other in pairs
    )


def _in_quotation_marks(draw: random.Random, words: Sequence[str]) -> str:
    return draw.choice(("“{}”", '"{}"', "… {} …", "'{}...'")).format(" ".join(words))


SHAPES: dict[str, Callable[[random.Random, Sequence[str]], str]] = {
    "white space": _other_spaces,
    "case": _other_case,
    "glyphs": _other_glyphs,
    "full width": _full_width,
    "lost spaces": _lost_spaces,
    "quotation marks": _in_quotation_marks,
}


def changed_draws(seed: int, count: int, contracts: int = 40) -> list[Draw]:
    """Draw quotes in which one thing is changed that matters."""
    draw = random.Random(f"changed {seed}")
    found: list[Draw] = []
    while len(found) < count:
        kind = list(CHANGES)[len(found) % len(CHANGES)]
        contract, pages, index = _printed(draw.randrange(contracts), "plain")
        paragraph, first, last = _stretch(draw, contract, pages)
        words = contract.paragraphs[paragraph][first:last]
        changed = CHANGES[kind](draw, words)
        if changed and len(found) % 3 == 0:
            changed = _without_a_word(draw, changed)
        if changed and not _stands(contract, changed):
            found.append(Draw(kind, index, " ".join(changed), pages.pages[paragraph][first]))
    return found


def _without_a_word(draw: random.Random, words: Sequence[str]) -> list[str]:
    """Leave out one harmless word, which alone would be accepted."""
    places = [at for at, word in enumerate(words) if word in ADJECTIVES]
    left_out = draw.choice(places) if places else len(words)
    return [word for at, word in enumerate(words) if at != left_out]


def _stands(contract: Contract, words: Sequence[str]) -> bool:
    quote = " ".join(words)
    return any(quote in " ".join(paragraph) for paragraph in contract.paragraphs)


def _replaced(draw: random.Random, words: Sequence[str], other: Callable[[str], str | None]) -> list[str] | None:
    """Replace one word; None if no word has another."""
    places = [(at, changed) for at, word in enumerate(words) if (changed := other(word)) and changed != word]
    if not places:
        return None
    at, changed = draw.choice(places)
    return [*words[:at], *changed.split(), *words[at + 1 :]]


def _of(draw: random.Random, group: Sequence[str]) -> Callable[[str], str | None]:
    """Return what replaces a word of a group by another word of the group, with its punctuation."""

    def other(word: str) -> str | None:
        bare = word.strip("“”(),.;")
        return word.replace(bare, draw.choice([one for one in group if one != bare])) if bare in group else None

    return other


def _other_digit(draw: random.Random, words: Sequence[str]) -> list[str] | None:
    def other(word: str) -> str | None:
        digits = [at for at, character in enumerate(word) if character.isdigit()]
        if not digits:
            return None
        at = draw.choice(digits)
        return word[:at] + draw.choice([digit for digit in "123456789" if digit != word[at]]) + word[at + 1 :]

    return _replaced(draw, words, other)


def _other_separators(draw: random.Random, words: Sequence[str]) -> list[str] | None:
    def other(word: str) -> str | None:
        if re.search(r"\d[.,]\d", word) and "," in word:
            return re.sub(r"(?<=\d),(?=\d)", ".", word)
        return re.sub(r"(?<=\d)\.(?=\d)", "", word) if re.search(r"\d\.\d", word) else None

    return _replaced(draw, words, other)


def _other_currency(draw: random.Random, words: Sequence[str]) -> list[str] | None:
    return _replaced(draw, words, lambda word: word.translate(str.maketrans("$€", "€$")) if word[0] in "$€" else None)


def _other_negation(draw: random.Random, words: Sequence[str]) -> list[str] | None:
    """Take a "not" away or put one in, never at an edge: what is left there would be the document's own text."""
    inner = words[1:-1]
    places = [at for at, word in enumerate(inner, 1) if word in MODALS or word == "is"]
    if not places:
        return None
    at = draw.choice(places)
    rest = words[at + 2 :] if words[at + 1] == "not" else ("not", *words[at + 1 :])
    return [*words[: at + 1], *rest] if rest else None


CHANGES: dict[str, Callable[[random.Random, Sequence[str]], list[str] | None]] = {
    "digit": _other_digit,
    "separators": _other_separators,
    "currency": _other_currency,
    "month": lambda draw, words: _replaced(draw, words, _of(draw, MONTHS)),
    "number word": lambda draw, words: _replaced(draw, words, _of(draw, ("thirty", "sixty", "ten", "ninety"))),
    "party": lambda draw, words: _replaced(draw, words, _of(draw, SURNAMES)),
    "negation": _other_negation,
    "role": lambda draw, words: _replaced(draw, words, _of(draw, [word for pair in ROLES.items() for word in pair])),
    "modal": lambda draw, words: _replaced(draw, words, _of(draw, MODALS)),
    "and or": lambda draw, words: _replaced(draw, words, _of(draw, ("and", "or"))),
    "before after": lambda draw, words: _replaced(draw, words, _of(draw, ("within", "after", "before"))),
    "company": lambda draw, words: _replaced(draw, words, _of(draw, [word for kind in KINDS for word in kind.split()])),
}


def invented_draws(seed: int, count: int, contracts: int = 40) -> list[Draw]:
    """Draw quotes that the document does not have: made of its own words, or true of another contract."""
    draw = random.Random(f"invented {seed}")
    found: list[Draw] = []
    while len(found) < count:
        kind = list(INVENTIONS)[len(found) % len(INVENTIONS)]
        number = draw.randrange(contracts)
        contract, _, index = _printed(number, "plain")
        words = INVENTIONS[kind](draw, number)
        if not _stands(contract, words):
            found.append(Draw(kind, index, " ".join(words), 0))
    return found


def _words(draw: random.Random, number: int) -> list[str]:
    contract, pages, _ = _printed(number, "plain")
    paragraph, first, last = _stretch(draw, contract, pages)
    return list(contract.paragraphs[paragraph][first:last])


def _chain_of_words(draw: random.Random, number: int) -> list[str]:
    """Draw each word from those that follow the word before somewhere in the document."""
    contract, _, _ = _printed(number, "plain")
    pairs = [pair for words in contract.paragraphs for pair in pairwise(words)]
    chain = [draw.choice(pairs)[0]]
    for _ in range(draw.randint(9, 30)):
        chain.append(draw.choice([second for first, second in pairs if first == chain[-1]] or [pairs[0][0]]))
    return chain


def _shuffled(draw: random.Random, number: int) -> list[str]:
    words = _words(draw, number)
    return draw.sample(words, len(words))


def _spliced(draw: random.Random, number: int) -> list[str]:
    """Put two halves together that stand in different paragraphs."""
    contract, pages, _ = _printed(number, "plain")
    (one, first, last), (other, start, end) = (_stretch(draw, contract, pages) for _ in range(2))
    if one == other:
        return _spliced(draw, number)
    head, tail = contract.paragraphs[one][first:last], contract.paragraphs[other][start:end]
    return [*head[: max(4, len(head) // 2)], *tail[len(tail) // 2 :]]


def _of_another(draw: random.Random, number: int) -> list[str]:
    return _words(draw, number + draw.randint(1, 3))


INVENTIONS: dict[str, Callable[[random.Random, int], list[str]]] = {
    "chain": _chain_of_words,
    "shuffled": _shuffled,
    "spliced": _spliced,
    "another contract": _of_another,
}
