"""What a field is about: the words of its name and description, as stems that can be looked for in a text."""

import re
from dataclasses import dataclass

_WORD = re.compile(r"[A-Za-zÀ-ÿ]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RULES = re.compile(r"\{[^{}]*(?:minimum|maximum|minLength|maxLength|pattern|minItems|maxItems):.*\}", re.DOTALL)
_STEM_LENGTH = 5
_NAME_WEIGHT = 3

_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        """evidence quote excerpt passage citation sentence snippet verbatim word words fixes a all amount an and any
        are as at be been by currency date datetime day days document does each field first for found from
        full given has have if in into is it its last list may month months named no not null number of on
        one only or other second several should text that the their there this to two usd value was week
        weeks when where whether which who whose will with year years""",
    )
)
_RELATED = {
    "effec": ("as of", "commenc", "dated", "entered into", "start", "made on"),
    "start": ("commenc", "effective", "from"),
    "signa": ("signed", "dated", "executed"),
    "signe": ("signature", "dated", "executed"),
    "oblig": ("shall", "must"),
    "dutie": ("shall", "must"),
    "expir": ("end", "terminat", "until"),
    "end": ("expir", "terminat", "until"),
    "termi": ("expir",),
    "term": ("period of", "period"),
    "durat": ("period", "term"),
    "law": ("governed by", "jurisdiction"),
    "liabi": ("aggregate", "exceed"),
    "cap": ("exceed",),
    "renew": ("successive",),
    "price": ("fee", "rent"),
    "fee": ("rent", "salary", "price"),
    "conta": ("@",),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A field's words; the name says more than the description."""

    words: tuple[str, ...]
    name_stems: tuple[str, ...]
    description_stems: tuple[str, ...]

    def names(self, *words: str) -> bool:
        """Tell whether the name has one of the words (given without plural)."""
        return any(word in words or word.removesuffix("s") in words for word in self.words)

    def score(self, lowered: str) -> int:
        """Tell how much a lowered text is about it."""
        by_name = sum(any(form in lowered for form in (stem, *_RELATED.get(stem, ()))) for stem in self.name_stems)
        return _NAME_WEIGHT * by_name + sum(stem in lowered for stem in self.description_stems)


def topic_of(name: str, description: str) -> Topic:
    """Make the topic of a field. Rules told in the description (`{minimum: 0}`) say nothing about it."""
    words = tuple(word.lower() for word in _WORD.findall(_HUMP.sub(" ", name)))
    told = [word.lower() for word in _WORD.findall(_RULES.sub("", description))]
    name_stems = _stems(words)
    return Topic(words, name_stems, tuple(stem for stem in _stems(told) if stem not in name_stems))


def _stems(words: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    kept = (word[:_STEM_LENGTH] for word in words if word not in _EMPTY_WORDS and len(word) > 1)
    return tuple(dict.fromkeys(kept))
