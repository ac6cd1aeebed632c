"""What the simulated model writes into a field of free text: tried in order, by the words of the field's name."""

import re
from collections.abc import Callable, Mapping, Sequence

from batchrun.simulator.reading import Reading
from batchrun.simulator.topic import Topic

_LONGEST = 240
_PATTERN = re.compile(r"\bpattern: (.+?)(?:, (?:minLength|maxLength): \d+)*\}\s*$", re.DOTALL)
_CANDIDATES = 2_000  # words that are held against a pattern
_SECOND_PARTY = ("b", "buyer", "client", "counterparty", "customer", "employee", "licensee", "recipient", "tenant")

Finder = Callable[[Topic, Reading], str | None]


def text_about(topic: Topic, description: str, reading: Reading) -> str | None:
    """Return what the document says about the topic, or None."""
    if pattern := _PATTERN.search(description):
        return _matching(pattern[1], reading)
    if (labelled := reading.labelled(topic)) is not None:
        return labelled
    for words, finder in _FINDERS.items():
        if topic.names(*words):
            return finder(topic, reading)
    sentence = reading.sentence_about(topic)
    return None if sentence is None else _shortened(" ".join(sentence.split()))


def _matching(pattern: str, reading: Reading) -> str | None:
    try:
        expression = re.compile(pattern)
    except re.error:  # JSON Schema's dialect knows more than Python's
        return None
    words = (word.strip(".,;:()\"'") for word in reading.text.split(None, _CANDIDATES)[:_CANDIDATES])
    return next((word for word in words if word and expression.search(word)), None)


def _quote(topic: Topic, reading: Reading) -> str | None:
    return reading.sentence_about(topic)


def _summary(_: Topic, reading: Reading) -> str | None:
    text = " ".join(" ".join(reading.sentences[:2]).split())
    return _shortened(text) or None


def _party(topic: Topic, reading: Reading) -> str | None:
    second = any(word in _SECOND_PARTY for word in topic.words)
    return _first(reading.parties[1:] if second else reading.parties)


def _money(topic: Topic, reading: Reading) -> str | None:
    money = reading.nearest(reading.money, topic)
    return money.text if money else None


def _currency(topic: Topic, reading: Reading) -> str | None:
    money = reading.nearest(reading.money, topic)
    return money.currency if money else None


def _duration(topic: Topic, reading: Reading) -> str | None:
    found = reading.nearest(reading.durations, topic)
    return f"{found.count} {found.unit}{'s' * (found.count != 1)}" if found else None


def _date(topic: Topic, reading: Reading) -> str | None:
    found = reading.nearest(reading.dates, topic)
    return found.isoformat() if found else None


def _first(found: Sequence[str]) -> str | None:
    return found[0] if found else None


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rpartition(" ")[0] + "…"


_FINDERS: Mapping[tuple[str, ...], Finder] = {
    ("quote", "evidence", "excerpt", "clause", "passage", "citation", "sentence", "snippet"): _quote,
    ("summary", "abstract", "overview", "synopsis", "gist"): _summary,
    ("law", "jurisdiction", "state", "country"): lambda topic, reading: reading.nearest(reading.laws, topic),
    ("currency",): _currency,
    ("email", "mail"): lambda _, reading: _first(reading.emails),
    ("phone", "telephone"): lambda _, reading: _first(reading.phones),
    ("url", "link", "website"): lambda _, reading: _first(reading.links),
    ("reference", "code", "id", "sku"): lambda _, reading: _first(reading.references),
    ("title", "subject", "heading", "topic"): lambda _, reading: reading.title or None,
    ("date", "day"): _date,
    ("amount", "price", "fee", "rent", "salary", "cost", "total", "cap"): _money,
    ("term", "duration", "period", "notice"): _duration,
    (
        "party",
        "parties",
        "company",
        "vendor",
        "supplier",
        "provider",
        "seller",
        "landlord",
        "licensor",
        "employer",
        "name",
        *_SECOND_PARTY[1:],
    ): _party,
}
"""Words of a field's name, and how to find what it asks for; the first that fits decides."""
