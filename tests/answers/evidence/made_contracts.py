"""Contracts that nobody signed: drawn from a seed, with pages, running lines, numbered clauses, amounts and parties."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from batchrun.document import Place


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


MODALS = ("shall", "may", "will", "must")
ROLES = {"Licensor": "Licensee", "Lessor": "Lessee", "Disclosing Party": "Receiving Party", "Buyer": "Seller"}
SURNAMES = _listed(
    "Alder Birch Calloway Dunmore Ellery Fenwick Garrity Holloway Ingram Jessop Kessler Lindqvist Marlowe"
)
KINDS = ("Holdings, Inc.", "Partners LLP", "Technologies Ltd.", "Logistics GmbH", "Capital Corp.")
MONTHS = _listed("January February March April May June July August September October November December")
STATES = ("Delaware", "New York", "California", "Texas", "Ontario", "Bavaria")
ADJECTIVES = _listed(
    "written confidential material quarterly defective outstanding commercial technical reasonable itemised "
    "affiliated certified monthly preliminary final undisputed overdue proprietary external internal specialised"
)
NOUNS = _listed(
    "invoice schedule warehouse licence deliverable warranty notice escrow specification certificate inventory "
    "prototype milestone deposit report subcontractor premises equipment insurance workflow office affidavit forecast "
    "statement ledger consignment audit trademark reimbursement fixture classification effort benefit identification"
)
VERBS = _listed(
    "deliver inspect approve return disclose assign maintain reject replace transfer review publish certify finance "
    "identify modify terminate withhold reimburse document classify sufficiently fulfil"
)
LINKS = ("under", "relating to", "referred to in", "in connection with", "arising out of", "on behalf of")
APOSTROPHE, DASH = "\u2019", "\u2013"
LINES = 38
"""So many lines of text fit on a page."""
WIDTH = 84


@dataclass(frozen=True)
class Contract:
    """The words of a contract, a paragraph each."""

    title: str
    paragraphs: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Style:
    """How a contract is set."""

    hyphen: str = ""
    """What stands where a word is parted at the end of a line, with the line break; empty if no word is parted."""
    with_running_lines: bool = True
    ligatures: bool = False


@dataclass(frozen=True)
class Printed:
    """A contract on pages, as a reader of files makes a text of it."""

    text: str
    places: tuple[Place, ...]
    pages: tuple[tuple[int, ...], ...]
    """The page of each word of each paragraph."""


def made_contract(seed: int, clauses: int = 60) -> Contract:
    """Draw a contract. The same seed draws the same contract."""
    draw = random.Random(f"contract {seed}")
    parties = [f"{name} {draw.choice(KINDS)}" for name in draw.sample(SURNAMES, 2)]
    roles = draw.choice(list(ROLES.items()))
    opening = (
        f"This {draw.choice(NOUNS)} agreement is made as of {_day(draw)} between {parties[0]} (the “{roles[0]}”) and "
        f"{parties[1]} (the “{roles[1]}”), a company organised under the laws of {draw.choice(STATES)}."
    )
    paragraphs = [opening]
    for number in range(clauses):
        sentences = " ".join(_sentence(draw, parties, roles) for _ in range(draw.randint(1, 3)))
        paragraphs.append(f"{number // 6 + 1}.{number % 6 + 1} {draw.choice(NOUNS).title()}. {sentences}")
    return Contract(f"{parties[0].split()[0]} Agreement", tuple(tuple(text.split()) for text in paragraphs))


def _sentence(draw: random.Random, parties: list[str], roles: tuple[str, str]) -> str:
    who, other = draw.sample(roles, 2)
    modal, verb, noun, party = draw.choice(MODALS), draw.choice(VERBS), draw.choice(NOUNS), draw.choice(parties)
    things = [_thing(draw) for _ in range(3)]
    one, two, three = things
    section = f"{draw.randint(1, 9)}.{draw.randint(1, 9)}"
    return draw.choice(
        (
            f"The {who} {modal} not {verb} {one} without {two} of the {other}, except {three}.",
            f"The {who} {modal} pay {_amount(draw)} for {one} within {_days(draw)} after {two}.",
            f"If {one} is not received by {_day(draw)}, the {other} {modal} {verb} {two} or {three}.",
            f"Interest of {draw.randint(2, 18)}.{draw.randint(1, 9)}% accrues on {one} and on {two}.",
            f"{party} {modal} {verb} {one} and {two}, subject to Section {section}.",
            f"No {noun} of the {who} exceeds {_amount(draw)}, unless {party} {verb}s {one}.",
            f"{one.capitalize()} ends on {_day(draw)} or, if the {other} so elects, {_days(draw)} after {two}.",
            f"The parties{APOSTROPHE} “{noun}” {DASH} other than {one} {DASH} {modal} {verb} {two}.",
        )
    )


def _thing(draw: random.Random) -> str:
    one = f"{draw.choice(('the', 'any', 'each', 'such'))} {draw.choice(ADJECTIVES)} {draw.choice(NOUNS)}"
    return (
        f"{one} {draw.choice(LINKS)} the {draw.choice(ADJECTIVES)} {draw.choice(NOUNS)}" if draw.random() < 0.6 else one
    )


def _amount(draw: random.Random) -> str:
    return draw.choice(
        (f"${draw.randint(2, 999)},{draw.randint(0, 999):03}", f"€{draw.randint(100, 999)}.{draw.randint(10, 99)}")
    )


def _days(draw: random.Random) -> str:
    word, number = draw.choice((("thirty", 30), ("sixty", 60), ("ten", 10), ("twenty-one", 21), ("ninety", 90)))
    return f"{word} ({number}) {draw.choice(('days', 'months', 'business days'))}"


def _day(draw: random.Random) -> str:
    return f"{draw.choice(MONTHS)} {draw.randint(1, 28)}, {draw.randint(1998, 2031)}"


def printed(contract: Contract, style: Style) -> Printed:
    """Set a contract on pages."""
    lines = [
        (paragraph, line, begun)
        for paragraph, words in enumerate(contract.paragraphs)
        for line, begun in _lines(words, style.hyphen)
    ]
    sheets = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
    text, places = "", []
    pages: list[list[int]] = [[] for _ in contract.paragraphs]
    for number, sheet in enumerate(sheets, 1):
        places.append(Place("page", str(number), len(text)))
        body = "".join(line for _, line, _ in sheet).rstrip("\n")
        body = (
            body.replace("ffi", "\ufb03").replace("fi", "\ufb01").replace("fl", "\ufb02") if style.ligatures else body
        )
        running = f"{contract.title} - Confidential\n", f"\nPage {number} of {len(sheets)}"
        text += f"{running[0]}{body}{running[1]}\n\n" if style.with_running_lines else f"{body}\n\n"
        for paragraph, _, begun in sheet:
            pages[paragraph] += [number] * begun
    return Printed(text, tuple(places), tuple(map(tuple, pages)))


def _lines(words: tuple[str, ...], hyphen: str) -> Iterator[tuple[str, int]]:
    """Break a paragraph into lines, each with the number of words that begin on the line."""
    line, begun = "", 0
    for word in words:
        if line and len(line) + len(word) > WIDTH:
            cut = len(word) // 2
            if hyphen and len(word) >= 8 and word.isalpha() and word.islower():
                yield f"{line}{word[:cut]}{hyphen}", begun + 1
                line, begun = f"{word[cut:]} ", 0
                continue
            yield f"{line.rstrip()}\n", begun
            line, begun = "", 0
        line, begun = f"{line}{word} ", begun + 1
    yield f"{line.rstrip()}\n", begun
