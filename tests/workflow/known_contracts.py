"""Contracts that nobody signed, of which everything is known: each value, the sentence that states it, and its page."""

import random
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "documents" / "formats"))

from format_samples import page_of, pdf

WIDTH, LINES = 80, 16
"""Characters of a line, and lines of a page."""
NAMES = ("Alder", "Birch", "Calloway", "Dunmore", "Ellery", "Fenwick", "Garrity", "Holloway", "Ingram", "Jessop")
KINDS = ("Holdings Ltd", "Partners LLP", "Logistics GmbH", "Technologies Inc", "Capital plc")
LAWS = ("Delaware", "Ontario", "Denmark", "Bavaria", "Singapore")
TERMS = {12: "twelve", 18: "eighteen", 24: "twenty-four", 36: "thirty-six", 60: "sixty"}
ADJECTIVES = ("confidential", "quarterly", "outstanding", "commercial", "reasonable", "preliminary", "undisputed")
NOUNS = ("specification", "certificate", "inventory", "warehouse", "consignment", "reimbursement", "deliverable")
VERBS = ("inspect", "maintain", "document", "reimburse", "disclose", "transfer", "certify")
FIELDS = {
    "buyer": 'buyer = "string"',
    "signed": 'signed = "date"',
    "fee": 'fee = "number"',
    "term": 'term = "integer"',
    "law": f"law = {{ enum = {[*LAWS]} }}",
    "renews": 'renews = "boolean"',
    "seller": 'seller = { type = "object", fields = { name = "string", city = "string" }, evidence = false }',
}
"""The lines of a job file that ask for all values beside the payments."""
CITIES = ("Aarhus", "Toronto", "Munich", "Dover")


@dataclass(frozen=True)
class KnownContract:
    """A contract on pages, with all that a reader should find."""

    values: dict[str, Any]
    payments: list[dict[str, Any]]
    sentences: dict[str, str]
    """The sentence that states each value."""
    changed: dict[str, tuple[str, Any]]
    """Each sentence with another value in it, and that value."""
    pages: tuple[tuple[str, ...], ...]
    """The lines of each page, running lines included."""
    found_on: dict[str, tuple[int, ...]]
    """The pages of each sentence."""
    printed: dict[str, tuple[str, ...]]
    """The lines of each sentence as they are printed, with the running lines of a page break within the sentence."""

    @property
    def text(self) -> str:
        """All lines."""
        return "\n\n".join("\n".join(page) for page in self.pages)

    @property
    def pdf(self) -> bytes:
        """The contract as a PDF with a text layer."""
        return pdf([page_of(*page) for page in self.pages])


def known_contract(seed: int, *, payments: int = 0, clauses: int = 20) -> KnownContract:
    """Draw a contract. The same seed draws the same contract."""
    draw = random.Random(f"known contract {seed}")
    values, stated = _values(draw, seed)
    entries = _payments(draw, payments)
    paragraphs: list[tuple[str | None, str]] = [(None, _filler(draw)) for _ in range(clauses)]
    for name, (sentence, _, _) in stated.items():
        paragraphs.insert(draw.randrange(len(paragraphs) + 1), (name, f"{sentence} {_filler(draw)}"))
    rows = [(None, f"Instalment {no}: {said_number(one['amount'])} due on {said_day(one['due'])}.")
            for no, one in enumerate(entries, 1)]  # fmt: skip
    sentences = {name: sentence for name, (sentence, _, _) in stated.items()}
    pages, found_on, printed = _set_on_pages([*paragraphs, *rows], sentences, f"Agreement no. {seed}")
    changed = {name: (sentence, value) for name, (_, sentence, value) in stated.items()}
    return KnownContract(values, entries, sentences, changed, pages, found_on, printed)


def _values(draw: random.Random, seed: int) -> tuple[dict[str, Any], dict[str, tuple[str, str, Any]]]:
    """Draw the values; of each that is quoted, the sentence, and the sentence with another value."""
    buyer, seller = (f"{name} {draw.choice(KINDS)}" for name in draw.sample(NAMES, 2))
    signed = date(2001, 1, 1) + timedelta(days=draw.randrange(9_000))
    other_day = signed + timedelta(days=draw.randint(1, 27))
    fee = draw.randint(1_000_000, 900_000_000) / 100
    other_fee = fee + draw.randint(1, 900)
    term, other_term = draw.sample(sorted(TERMS), 2)
    law, other_law = draw.sample(LAWS, 2)
    renews, city = draw.random() < 0.5, draw.choice(CITIES)
    other_buyer = f"{draw.choice([name for name in NAMES if name not in buyer + seller])} {draw.choice(KINDS)}"

    def twice(text: str, true: str, other: str, value: Any) -> tuple[str, str, Any]:
        return text.format(true), text.format(other), value

    silent, unless = ("renews for one further year", "does not renew for a further year")
    said = (silent, unless) if renews else (unless, silent)
    stated = {
        "buyer": twice(f"The buyer under agreement number {seed} is {{}} with its seat in {city}.",
                       buyer, other_buyer, other_buyer),
        "signed": twice("Both parties have signed this agreement on {} in two originals of equal force.",
                        said_day(signed.isoformat()), said_day(other_day.isoformat()), other_day.isoformat()),
        "fee": twice("For all services the buyer pays a fixed fee of {} before any taxes that are due.",
                     said_number(fee), said_number(other_fee), other_fee),
        "term": twice("The initial term of this agreement is {} months from the day of its signature.",
                      f"{TERMS[term]} ({term})", f"{TERMS[other_term]} ({other_term})", other_term),
        "law": twice("This agreement and every dispute about it are governed by the laws of {} alone.",
                     law, other_law, other_law),
        "renews": twice("At the end of its term this agreement {} if neither party objects in writing.",
                        *said, not renews),
    }  # fmt: skip
    values = {"buyer": buyer, "signed": signed.isoformat(), "fee": fee, "term": term, "law": law, "renews": renews}
    return values | {"seller": {"name": seller, "city": city}}, stated


def _payments(draw: random.Random, count: int) -> list[dict[str, Any]]:
    first = date(2002, 1, 1)
    return [
        {"due": (first + timedelta(days=7 * number)).isoformat(), "amount": draw.randint(100_000, 9_999_999) / 100}
        for number in range(count)
    ]


def said_day(day: str) -> str:
    """A day as contracts write it."""
    one = date.fromisoformat(day)
    return f"{one.day} {one:%B %Y}"


def said_number(number: float) -> str:
    """An amount as contracts write it."""
    return f"EUR {number:,.2f}"


def _filler(draw: random.Random) -> str:
    party, other = draw.sample(("seller", "buyer"), 2)
    return (
        f"The {party} may {draw.choice(VERBS)} any {draw.choice(ADJECTIVES)} {draw.choice(NOUNS)} and each "
        f"{draw.choice(ADJECTIVES)} {draw.choice(NOUNS)} that the {other} has provided under its obligations, and "
        f"shall {draw.choice(VERBS)} every {draw.choice(ADJECTIVES)} {draw.choice(NOUNS)} without undue delay."
    )


def _set_on_pages(
    paragraphs: list[tuple[str | None, str]], sentences: dict[str, str], title: str
) -> tuple[tuple[tuple[str, ...], ...], dict[str, tuple[int, ...]], dict[str, tuple[str, ...]]]:
    """Set paragraphs on pages with running lines; say on which pages and lines the sentences are."""
    lines: list[tuple[str, str | None]] = []
    for name, text in paragraphs:
        lines += _lines(text, name, len(sentences[name].split()) if name else 0)
    sheets = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
    pages, found_on, printed = [], {name: list[int]() for name in sentences}, {name: list[str]() for name in sentences}
    for number, sheet in enumerate(sheets, 1):
        header, footer = f"{title} - Strictly confidential", f"Page {number} of {len(sheets)}"
        pages.append((header, *(line for line, _ in sheet), footer))
        for line, name in sheet:
            if name:
                if found_on[name] and found_on[name][-1] != number:
                    printed[name] += [f"Page {number - 1} of {len(sheets)}", header]
                printed[name].append(line)
                found_on[name].append(number)
    return (
        tuple(pages),
        {name: tuple(sorted(set(numbers))) for name, numbers in found_on.items()},
        {name: _up_to(of, sentences[name].split()[-1]) for name, of in printed.items()},
    )


def _up_to(lines: list[str], last_word: str) -> tuple[str, ...]:
    """Cut the last of some lines behind a word."""
    before, word, _ = lines[-1].partition(last_word)
    return (*lines[:-1], before + word)


def _lines(text: str, name: str | None, words: int) -> list[tuple[str, str | None]]:
    """Break a paragraph into lines with hyphens. The first lines, up to so many words, are those of a sentence."""
    lines: list[tuple[str, str | None]] = []
    line, belongs = "", name
    for begun, word in enumerate(text.split()):
        if line and len(line) + len(word) + 1 > WIDTH:
            cut = len(word) // 2
            parts = len(word) >= 8 and word.isalpha() and word.islower()
            lines.append((f"{line} {word[:cut]}-" if parts else line, belongs))
            belongs = name if begun < words else None
            line = word[cut:] if parts else word
        else:
            line = f"{line} {word}".strip()
    return [*lines, (line, belongs)]
