"""A document as the simulated model reads it: its sentences, labelled lines, and what was found in it."""

import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import TypeVar

from batchrun.simulator.contract_findings import find_laws, find_parties
from batchrun.simulator.findings import (
    Duration,
    Found,
    Money,
    find_dates,
    find_durations,
    find_money,
    find_numbers,
)
from batchrun.simulator.topic import Topic

T = TypeVar("T")

_READ_CHARACTERS = 60_000  # far into any contract; keeps the time for a large document bounded
_BEFORE, _AFTER = 90, 40
_SENTENCE_END = re.compile(r"[.!?][\"”']?(?=\s+[\"“(]?[A-ZÀ-Þ0-9])|\n(?=\s*\n)|:(?=\n)")
_OPENING = re.compile(r"^<(\w+)(?:\s[^<>]*)?>$", re.MULTILINE)
_LABEL = re.compile(r"^[ \t>*#-]*([A-Za-z][\w /-]{0,30}?)\**:\**[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(r"(?<!\w)\+?\d[\d ()/-]{7,18}\d(?!\w)")
_LINK = re.compile(r"https?://[^\s<>\"')]+")
_REFERENCE = re.compile(r"\b(?=[A-Z0-9-]{0,40}\d)(?=[A-Z0-9-]{0,40}[A-Z])[A-Z0-9]{1,20}(?:-[A-Z0-9]{1,20})+\b")
_SHORTEST_SENTENCE = 24
_RULER = " \t#*=-_"
_SMALL_WORDS = {"of", "and", "the", "for", "a", "an"}


def document_in(prompt: str) -> str:
    """Return the document within a prompt: what the first tag around whole lines encloses, or all of it."""
    opening = _OPENING.search(prompt)
    end = prompt.rfind(f"\n</{opening[1]}>") if opening else -1
    return prompt[opening.end() : end].strip() if opening and end > 0 else prompt


class Reading:
    """One document. Everything is found when it is first asked for."""

    def __init__(self, document: str) -> None:
        self.text = document[:_READ_CHARACTERS]
        self._lowered = self.text.lower()

    def __repr__(self) -> str:
        return f"Reading({self.title!r}, {len(self.text)} characters)"

    @cached_property
    def title(self) -> str:
        """The first line with letters in it."""
        lines = (line.strip(_RULER) for line in self.text.splitlines())
        return next((line for line in lines if any(map(str.isalpha, line))), "")

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """Sentences, word for word."""
        found, start = [], 0
        for end in _SENTENCE_END.finditer(self.text):
            # `4. Governing Law.` begins a sentence rather than being one.
            if end[0] in {"\n", ":"} or end.end() - start >= _SHORTEST_SENTENCE:
                found.append(self.text[start : end.end()].strip())
                start = end.end()
        found.append(self.text[start:].strip())
        return tuple(part for part in found if len(part) >= _SHORTEST_SENTENCE and part.strip(_RULER) != self.title)

    @cached_property
    def _lowered_sentences(self) -> tuple[str, ...]:
        return tuple(sentence.lower() for sentence in self.sentences)

    @cached_property
    def _labels(self) -> dict[tuple[str, ...], str]:
        found = ((tuple(re.findall(r"[a-z]+", match[1].lower())), match[2]) for match in _LABEL.finditer(self.text))
        return {words: value for words, value in reversed(list(found)) if words}

    @cached_property
    def parties(self) -> tuple[str, ...]:
        """Names of parties, each once."""
        return tuple(dict.fromkeys(" ".join(name.split()) for name in find_parties(self.text)))

    @cached_property
    def laws(self) -> tuple[Found[str], ...]:
        """Laws named, in their order."""
        return tuple(find_laws(self.text))

    @cached_property
    def dates(self) -> tuple[Found[date], ...]:
        """Dates, in their order."""
        return tuple(find_dates(self.text))

    @cached_property
    def durations(self) -> tuple[Found[Duration], ...]:
        """Durations, in their order."""
        return tuple(find_durations(self.text))

    @cached_property
    def money(self) -> tuple[Found[Money], ...]:
        """Amounts of money, in their order."""
        return tuple(find_money(self.text))

    @cached_property
    def numbers(self) -> tuple[Found[float], ...]:
        """Other numbers, in their order."""
        return tuple(find_numbers(self.text))

    @cached_property
    def emails(self) -> tuple[str, ...]:
        """Mail addresses."""
        return tuple(dict.fromkeys(_EMAIL.findall(self.text)))

    @cached_property
    def phones(self) -> tuple[str, ...]:
        """Telephone numbers."""
        return tuple(dict.fromkeys(_PHONE.findall(self.text)))

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Web addresses."""
        return tuple(dict.fromkeys(_LINK.findall(self.text)))

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Codes such as INV-2024-0031."""
        return tuple(dict.fromkeys(_REFERENCE.findall(self.text)))

    def labelled(self, topic: Topic) -> str | None:
        """Return the value of the line `Label: value` whose label is the field's name."""
        return self._labels.get(topic.words)

    def nearest(self, found: Sequence[Found[T]], topic: Topic) -> T | None:
        """Return the finding whose surroundings are most about the topic; any, if the topic says nothing."""
        if not found:
            return None
        if not topic.name_stems:
            return found[0].value
        scores = [topic.score(self._around(each.start)) for each in found]
        best = max(scores)
        return found[scores.index(best)].value if best > 0 else None

    def _around(self, start: int) -> str:
        return self._lowered[max(0, start - _BEFORE) : start + _AFTER]

    def sentence_about(self, topic: Topic) -> str | None:
        """Return the sentence that is most about the topic, word for word; the shortest of equals says it best."""
        scores = [topic.score(sentence) for sentence in self._lowered_sentences]
        best = max(scores, default=0)
        if best == 0:
            return None
        return min((text for text, score in zip(self.sentences, scores, strict=True) if score == best), key=len)

    def mentions(self, word: str) -> int:
        """Count how often a word begins in the text, whatever its case; the title counts more."""
        pattern = re.compile(rf"\b{re.escape(word.lower())}")
        return len(pattern.findall(self._lowered)) + 5 * len(pattern.findall(self.title.lower()))

    def has_initials(self, option: str) -> bool:
        """Tell whether the letters of an option, such as `nda`, begin neighbouring words of the title."""
        words = re.findall(r"[a-z]+", self.title.lower())
        all_initials = "".join(word[0] for word in words)
        initials = "".join(word[0] for word in words if word not in _SMALL_WORDS)
        return len(option) > 1 and (option.lower() in all_initials or option.lower() in initials)
