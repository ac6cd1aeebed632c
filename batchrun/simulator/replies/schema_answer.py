"""Answers that follow a JSON Schema, made of what the document says: the model of the simulator.

Nothing is invented where the schema leaves a way out: a nullable value that was not found is null, and a quote is a
sentence of the document, word for word. The same request always gets the same answer.
"""

import hashlib
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from batchrun.simulator.replies import document as found_in

T = TypeVar("T")
Schema = Mapping[str, Any]

_FEW = 3
_LONGEST_TEXT = 240
_STEM_LENGTH = 5
_NAME_WEIGHT = 3
_WORD = re.compile(r"[A-Za-zÀ-ÿ]+")
_RULES = re.compile(r"\{[^{}]*(?:minimum|maximum|minLength|maxLength|pattern|minItems|maxItems):.*\}", re.DOTALL)
_RULE = re.compile(r"\b(minimum|maximum|maxLength|maxItems): (-?\d{1,15}(?:\.\d+)?)")
_PATTERN = re.compile(r"\bpattern: (.+?)(?:, (?:minLength|maxLength): \d+)*\}\s*$", re.DOTALL)
_NEGATION = re.compile(r"\b(?:not|no|nor|neither|without|never|nicht|kein|keine)\b", re.IGNORECASE)
_COMPLETE = re.compile(r"^Whether `\w+` has all entries")
_EMPTY_WORDS = re.compile(
    r"a|all|amount|an|and|any|are|as|at|be|by|currency|date|day|days|document|does|each|evidence|field|first|fixes|for|"
    r"from|given|has|if|in|into|is|it|its|list|months?|names?|no|not|null|number|of|on|one|only|or|other|quote|"
    r"sentence|should|that|the|there|this|to|usd|value|was|weeks?|when|where|whether|which|who|whose|with|words?|years?"
)
_RELATED = {
    "effec": ("as of", "commenc", "dated", "entered into", "start", "made on"),
    "signa": ("signed", "dated", "executed"),
    "signe": ("signature", "dated", "executed"),
    "term": ("period",),
    "law": ("governed by", "jurisdiction"),
    "liabi": ("aggregate", "exceed"),
    "cap": ("exceed",),
    "renew": ("successive",),
}
_LEFTOVERS = {"other", "others", "unknown", "none", "general", "misc", "unclear"}
_SMALL_WORDS = {"of", "and", "the", "for", "a", "an"}
_MONEY_WORDS = ("amount", "budget", "cap", "cost", "fee", "payment", "price", "rent", "salary", "total", "usd", "eur")
_DAYS, _WEEKS, _MONTHS = {"day": 1, "week": 7}, {"week": 1}, {"month": 1, "year": 12}
_CURRENCIES = dict.fromkeys(("USD", "EUR", "GBP", "CHF", "JPY", "CAD", "AUD"), 1)
_SECOND_PARTY = ("b", "buyer", "client", "counterparty", "customer", "employee", "licensee", "recipient", "tenant")
_PARTY_WORDS = ("party", "parties", "company", "vendor", "supplier", "seller", "landlord", "name", *_SECOND_PARTY[1:])
_ANY_TEXT: Schema = {"type": "string"}  # what is in an array whose items are free
_FALLBACKS = {"date": "2024-01-01", "date-time": "2024-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class AnswerField:
    """What a value is about: the words of its name and description, and the rules that the description states."""

    name: str
    description: str
    words: tuple[str, ...]
    stems: Mapping[str, int]  # of words that say something, and their weights
    rules: Mapping[str, float]

    @classmethod
    @lru_cache(maxsize=4096)  # a job asks for the same fields of every document
    def of(cls, name: str, description: str) -> "AnswerField":
        """Make a field. The name says more than the description, and rules (`{minimum: 0}`) say nothing."""
        words, described = _WORD.findall(name.lower()), _WORD.findall(_RULES.sub("", description).lower())
        weighted = [*((word, 1) for word in described), *((word, _NAME_WEIGHT) for word in words)]
        stems = {word[:_STEM_LENGTH]: weight for word, weight in weighted if not _EMPTY_WORDS.fullmatch(word)}
        rules = {rule: float(bound) for rule, bound in _RULE.findall(description)}
        return cls(name, description, tuple(words), stems, rules)

    def names(self, *words: str) -> bool:
        """Return whether the name has one of the words, which are given without plural."""
        return any(word in words or word.removesuffix("s") in words for word in self.words)

    def score(self, text: str) -> int:
        """Return how much a text is about the field, as a sum of weights."""
        lowered = text.lower()
        return sum(
            weight
            for stem, weight in self.stems.items()
            if stem in lowered or (weight > 1 and any(form in lowered for form in _RELATED.get(stem, ())))
        )

    def within(self, value: float) -> float:
        """Return the allowed value that is closest."""
        return max(self.rules.get("minimum", value), min(self.rules.get("maximum", value), value))

    def cut(self, text: str) -> str:
        """Shorten a text to what is allowed."""
        return text[: int(self.rules.get("maxLength", len(text)))].rstrip()


@dataclass(frozen=True, slots=True)
class SchemaAnswer:
    """One document being asked by one schema."""

    document: str
    schema: Schema
    seed: bytes

    def answer(self) -> Any:
        """Return a value that is valid for the schema."""
        return self._value(self.schema, AnswerField.of("", ""))

    def _value(self, schema: Schema, field: AnswerField) -> Any:
        """Answer what was found; else null where that is allowed; else something of the right form."""
        found, variants = self._search(schema, field), self._variants(schema)
        if found is not None or any(each.get("type") == "null" or None in each.get("enum", ()) for each in variants):
            return found
        return self._fallback(variants[0], AnswerField.of(field.name, variants[0].get("description", "")))

    def _search(self, schema: Schema, field: AnswerField) -> Any:
        """Return what the document has for the first form that it has anything for, or None."""
        for variant in self._variants(schema):
            found = self._found(variant, AnswerField.of(field.name, variant.get("description", field.description)))
            if found is not None and found != []:
                return found
        return None

    def _variants(self, schema: Schema) -> list[Schema]:
        """Take unions, references and `allOf` apart: what is left has one type each."""
        if "$ref" in schema:
            return self._variants(self.schema["$defs"][schema["$ref"].removeprefix("#/$defs/")])
        if "anyOf" in schema:
            described = {key: schema[key] for key in ("description",) if key in schema}
            return [leaf for variant in schema["anyOf"] for leaf in self._variants({**described, **variant})]
        if "allOf" in schema:
            merged = {key: value for part in schema["allOf"] for key, value in self._variants(part)[0].items()}
            return self._variants(merged | {key: value for key, value in schema.items() if key != "allOf"})
        if "const" in schema:
            return [{**schema, "enum": [schema["const"]]}]
        if isinstance(schema.get("type"), list) and "enum" not in schema:
            return [{**schema, "type": name} for name in schema["type"]]
        return [schema]

    def _found(self, schema: Schema, field: AnswerField) -> Any:
        finders: Mapping[str, Callable[[Schema, AnswerField], Any]] = {
            "enum": self._option,
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": self._boolean,
        }
        find = finders.get("enum" if "enum" in schema else schema.get("type", "null"))
        return find(schema, field) if find else None

    def _fallback(self, schema: Schema, field: AnswerField) -> Any:
        if "enum" in schema:
            leftovers = [option for option in schema["enum"] if str(option).lower() in _LEFTOVERS] or schema["enum"]
            return leftovers[int(self._chance(field.name) * len(leftovers))]
        if schema["type"] == "array":
            return [self._value(schema.get("items", _ANY_TEXT), field)] if schema.get("minItems") else []
        if schema["type"] == "string":
            title = found_in.title_of(self.document) or "Not stated"
            return _FALLBACKS.get(schema.get("format", "")) or field.cut(title)
        least = field.within(0.0)
        return {"integer": round(least), "number": least, "boolean": False}[schema["type"]]

    def _object(self, schema: Schema, _: AnswerField) -> dict[str, Any]:
        """Answer required properties first, as the API does, then the optional ones that were found."""
        named = [(name, each, AnswerField.of(name, "")) for name, each in schema.get("properties", {}).items()]
        required = set(schema.get("required", ()))
        answer = {name: self._value(each, field) for name, each, field in named if name in required}
        optional = {name: self._search(each, field) for name, each, field in named if name not in required}
        return answer | {name: found for name, found in optional.items() if found is not None}

    def _array(self, schema: Schema, field: AnswerField) -> Sequence[Any]:
        items = schema.get("items", _ANY_TEXT)
        few = int(min(_FEW, field.rules.get("maxItems", _FEW)))
        kind = self._variants(items)[0]
        about = self._about(field)
        if "enum" in kind:
            return self._mentioned(kind["enum"])[:few]
        if kind.get("type") == "string" and "format" not in kind:
            parties = found_in.find_parties(self.document) if field.names(*_PARTY_WORDS) else ()
            return (parties or [" ".join(sentence.split()) for sentence in about])[:few]
        # Of several objects, each is read from a sentence of its own.
        return [replace(self, document=sentence)._value(items, field) for sentence in about[:few]]  # noqa: SLF001

    def _string(self, schema: Schema, field: AnswerField) -> str | None:
        form, pattern, text = schema.get("format"), _PATTERN.search(field.description), None
        if form in {"date", "date-time"}:
            day = self._first(found_in.find_dates, field)
            text = f"{day.isoformat()}{'T00:00:00Z' * (form == 'date-time')}" if day else None
        elif pattern:
            text = _first_match(pattern[1], self.document)
        elif form is None:
            text = self._text(field)
        return None if text is None else field.cut(text)

    def _text(self, field: AnswerField) -> str | None:
        text = next(iter(self._about(field)), None)
        if field.names("law", "jurisdiction", "state", "country"):
            text = self._first(found_in.find_laws, field)
        elif field.names("currency"):
            text = next((currency for _, currency in found_in.find_money(self.document)), None)
        elif field.names(*_PARTY_WORDS):
            second = any(word in _SECOND_PARTY for word in field.words)
            text = next(iter(found_in.find_parties(self.document)[second:]), None)
        elif not field.names("quote", "evidence", "excerpt", "clause", "passage", "citation", "sentence"):
            summary = found_in.beginning_of(self.document) if field.names("summary", "overview") else text or ""
            text = textwrap.shorten(summary, _LONGEST_TEXT, placeholder="…") or None
        return text

    def _number(self, schema: Schema, field: AnswerField) -> float | None:
        """Return the first duration, amount of money or number that is about the field, or None."""
        if field.names("certainty", "confidence", "likelihood", "probability", "score"):
            low, high = field.rules.get("minimum", 0.0), field.rules.get("maximum", 1.0)
            number: float | None = round(low + (high - low) * (0.6 + 0.39 * self._chance(field.name)), 2)
        elif field.names("month", "week", "day", "year", "term", "duration", "period", "notice"):
            units = _DAYS if field.names("day") else _WEEKS if field.names("week") else _MONTHS
            number = self._first(lambda text: _converted(found_in.find_durations(text), units), field)
        elif field.names(*_MONEY_WORDS):
            money = {word.upper(): 1 for word in field.words if word in {"usd", "eur"}} or _CURRENCIES
            number = self._first(lambda text: _converted(found_in.find_money(text), money), field)
        else:
            number = self._first(found_in.find_numbers, field)
        if number is None or number != field.within(number):
            return None
        return round(number) if schema["type"] == "integer" else number

    def _boolean(self, _: Schema, field: AnswerField) -> bool | None:
        """Answer yes when a sentence is about the field's name and does not deny it. A list is always complete."""
        if _COMPLETE.search(field.description):
            return True
        sentence = next(iter(self._about(AnswerField.of(field.name, ""))), None)
        return None if sentence is None else not _NEGATION.search(sentence)

    def _about(self, field: AnswerField) -> Sequence[str]:
        """Return the sentences that are about the field, the best first; the shortest of equals says it best."""
        scored = ((field.score(sentence), sentence) for sentence in found_in.sentences_of(self.document))
        return [text for score, text in sorted(scored, key=lambda each: (-each[0], len(each[1]))) if score]

    def _first(self, find: Callable[[str], Iterable[T]], field: AnswerField) -> T | None:
        """Return the first value in the sentences about the field, or in the document if no sentence stands out."""
        texts = self._about(field)
        if not texts and (not field.stems or field.score(self.document)):
            texts = [self.document]
        return next((value for text in texts for value in find(text)), None)

    def _option(self, schema: Schema, _: AnswerField) -> Any:
        return next(iter(self._mentioned(schema["enum"])), None)

    def _mentioned(self, options: Sequence[Any]) -> list[Any]:
        """Return the options that the document mentions, the one mentioned most first; the title counts more."""
        title = found_in.title_of(self.document).lower()
        text = f"{self.document.lower()}\n{title * 5}"
        words = re.findall(r"[a-z]+", title)
        initials = [word[0] for word in words], [word[0] for word in words if word not in _SMALL_WORDS]
        counts = []
        for option in options:
            words = re.findall(r"\w+", str(option).replace("_", " ").lower())
            if words and str(option).lower() not in _LEFTOVERS:
                spelled = min(len(re.findall(rf"\b{re.escape(word)}", text)) for word in words)
                short = len(words[0]) > 1 and any(words[0] in "".join(letters) for letters in initials)
                counts.append((spelled + short, option))
        return [option for count, option in sorted(counts, key=lambda counted: -counted[0]) if count]

    def _chance(self, name: str) -> float:
        digest = hashlib.blake2b(name.encode(), key=self.seed[:64], digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48


def _converted(found: Iterable[tuple[float, str]], units: Mapping[str, int]) -> Iterable[float]:
    return (number * units[unit] for number, unit in found if unit in units)


def _first_match(pattern: str, text: str) -> str | None:
    try:
        expression = re.compile(pattern)
    except re.error:  # JSON Schema's dialect knows more than Python's
        return None
    words = (word.strip(".,;:()\"'") for word in text.split())
    return next((word for word in words if word and expression.search(word)), None)
