"""Answers that follow a JSON Schema, made of what the document says: the model of the simulator.

Nothing is invented where the schema leaves a way out: a nullable value that was not found is null, and a quote is a
sentence of the document, word for word. The same request always gets the same answer.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from batchrun.simulator.quantities import quantity_about
from batchrun.simulator.reading import Reading
from batchrun.simulator.text_answers import text_about
from batchrun.simulator.topic import Topic, topic_of

Schema = Mapping[str, Any]

_FEW = 3
_RULE = re.compile(r"\b(minimum|maximum|minLength|maxLength|minItems|maxItems): (-?\d+(?:\.\d+)?)")
_NEGATION = re.compile(r"\b(?:not|no|nor|neither|without|never|nicht|kein|keine)\b", re.IGNORECASE)
_LEFTOVERS = {"other", "others", "unknown", "none", "general", "misc", "unclear"}
_SURE_WORDS = ("certainty", "confidence", "likelihood", "probability", "score")
_FALLBACKS = {
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "unknown@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Field:
    """Where an answer goes: its topic, and the rules its description tells."""

    name: str
    description: str
    topic: Topic
    rules: Mapping[str, float]

    @classmethod
    @lru_cache(maxsize=4096)  # a job asks for the same fields of every document
    def of(cls, name: str, description: str) -> "Field":
        """Read the rules that the description tells."""
        rules = {rule: float(bound) for rule, bound in _RULE.findall(description)}
        return cls(name, description, topic_of(name, description), rules)

    def within(self, value: float) -> float:
        """Return the allowed value that is closest."""
        return max(self.rules.get("minimum", value), min(self.rules.get("maximum", value), value))


@dataclass(frozen=True, slots=True)
class Answering:
    """One document being asked by one schema."""

    reading: Reading
    schema: Schema
    seed: bytes

    def answer(self) -> Any:
        """Return a value that is valid for the schema."""
        return self.value(self.schema, Field.of("", ""))

    def value(self, schema: Schema, field: Field) -> Any:
        """Answer what was found; else null where that is allowed; else something of the right form."""
        found = self._search(schema, field)
        if found is not None:
            return found
        variants = self._variants(schema)
        if any(_allows_null(variant) for variant in variants):
            return None
        return self._fallback(variants[0], self._described(variants[0], field))

    def _search(self, schema: Schema, field: Field) -> Any:
        """Return what the document has for the first form that it has anything for, or None."""
        found = (self._found(variant, self._described(variant, field)) for variant in self._variants(schema))
        return next((value for value in found if value is not None), None)

    def _variants(self, schema: Schema) -> list[Schema]:
        """Take unions, references and `allOf` apart: what is left has one type each."""
        if "$ref" in schema:
            return self._variants(self.schema["$defs"][schema["$ref"].removeprefix("#/$defs/")])
        if "anyOf" in schema:
            told = {"description": schema["description"]} if "description" in schema else {}
            return [leaf for variant in schema["anyOf"] for leaf in self._variants({**told, **variant})]
        if "allOf" in schema:
            merged = {key: value for part in schema["allOf"] for key, value in self._variants(part)[0].items()}
            return self._variants(merged | {key: value for key, value in schema.items() if key != "allOf"})
        if isinstance(schema.get("type"), list) and "enum" not in schema and "const" not in schema:
            return [{**schema, "type": name} for name in schema["type"]]
        return [schema]

    @staticmethod
    def _described(schema: Schema, field: Field) -> Field:
        description = schema.get("description", field.description)
        return field if description == field.description else Field.of(field.name, description)

    def _found(self, schema: Schema, field: Field) -> Any:
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._mentioned(schema["enum"])
        finders: Mapping[str, Callable[[Schema, Field], Any]] = {
            "object": self._object,
            "array": lambda schema, field: self._array(schema, field) or None,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": self._boolean,
        }
        finder = finders.get(schema.get("type", ""))
        return finder(schema, field) if finder else None

    def _fallback(self, schema: Schema, field: Field) -> Any:
        if "enum" in schema:
            return self._leftover(schema["enum"], field)
        makers: Mapping[str, Callable[[], Any]] = {
            "array": lambda: [self.value(schema["items"], field)] if schema.get("minItems") else [],
            "string": lambda: self._any_string(schema, field),
            "integer": lambda: round(field.within(0.0)),
            "number": lambda: field.within(0.0),
            "boolean": lambda: False,
        }
        return makers[schema["type"]]()

    def _object(self, schema: Schema, _: Field) -> dict[str, Any]:
        """Answer required properties first, as the API does, then the optional ones that were found."""
        properties, required = schema.get("properties", {}), set(schema.get("required", ()))
        answer = {name: self.value(properties[name], Field.of(name, "")) for name in properties if name in required}
        for name in properties:
            if name not in required:
                found = self._search(properties[name], Field.of(name, ""))
                answer |= {} if found is None else {name: found}
        return answer

    def _array(self, schema: Schema, field: Field) -> list[Any]:
        items = schema.get("items", {"type": "string"})
        few = int(min(_FEW, field.rules.get("maxItems", _FEW)))
        kind = self._variants(items)[0]
        if "enum" in kind:
            return [option for option in kind["enum"] if self._mentions(option)][:few]
        if kind.get("type") == "string" and "format" not in kind:
            return list(self._several_texts(field.topic)[:few])
        sentences = (sentence for sentence in self.reading.sentences if field.topic.score(sentence.lower()))
        readings = [Reading(sentence) for sentence, _ in zip(sentences, range(few), strict=False)]
        return [replace(self, reading=reading).value(items, field) for reading in readings]

    def _several_texts(self, topic: Topic) -> tuple[str, ...]:
        if topic.names("party", "parties", "company", "name", "signatory", "vendor"):
            return self.reading.parties
        if topic.names("email", "contact"):
            return self.reading.emails
        return tuple(" ".join(text.split()) for text in self.reading.sentences if topic.score(text.lower()) > 0)

    def _string(self, schema: Schema, field: Field) -> str | None:
        match schema.get("format"):
            case None:
                text = text_about(field.topic, field.description, self.reading)
                return None if text is None else _cut(text, field)
            case "date":
                found = self.reading.nearest(self.reading.dates, field.topic)
                return found.isoformat() if found else None
            case "date-time":
                found = self.reading.nearest(self.reading.dates, field.topic)
                return f"{found.isoformat()}T00:00:00Z" if found else None
            case "email":
                return next(iter(self.reading.emails), None)
            case _:
                return None

    def _any_string(self, schema: Schema, field: Field) -> str:
        form = schema.get("format")
        if form in {"date", "date-time"}:
            dates = [each.value for each in self.reading.dates]
            day = dates[0] if dates else date(2024, 1, 1) + timedelta(days=int(366 * self._chance(field.name)))
            return day.isoformat() + ("T00:00:00Z" if form == "date-time" else "")
        return _FALLBACKS[form] if form else _cut(self.reading.title or "Not stated", field)

    def _number(self, schema: Schema, field: Field) -> float | int | None:
        if field.topic.names(*_SURE_WORDS):
            found: float | None = self._sureness(field)
        else:
            found = quantity_about(field.topic, self.reading)
        if found is None or found != field.within(found):
            return None
        return round(found) if schema["type"] == "integer" else found

    def _sureness(self, field: Field) -> float:
        low, high = field.rules.get("minimum", 0.0), field.rules.get("maximum", 1.0)
        return round(low + (high - low) * (0.6 + 0.39 * self._chance(field.name)), 2)

    def _boolean(self, _: Schema, field: Field) -> bool | None:
        """Answer yes when a sentence is about it and does not deny it."""
        sentence = self.reading.sentence_about(replace(field.topic, description_stems=()))
        return None if sentence is None else not _NEGATION.search(sentence)

    def _mentioned(self, options: list[Any]) -> Any:
        scores = [self._mentions(option) for option in options]
        best = max(scores)
        return options[scores.index(best)] if best > 0 else None

    def _mentions(self, option: object) -> int:
        """Count an option's rarest word, or its initials' expansion in the title."""
        words = re.findall(r"\w+", str(option).replace("_", " "))
        if not words or str(option).lower() in _LEFTOVERS:
            return 0
        spelled = min(self.reading.mentions(word) for word in words)
        return spelled + self.reading.has_initials(str(option))

    def _leftover(self, options: list[Any], field: Field) -> Any:
        """Choose when no option is mentioned: `other` if there is one, else by chance."""
        leftover = next((option for option in options if str(option).lower() in _LEFTOVERS), None)
        return leftover if leftover is not None else options[int(self._chance(field.name) * len(options))]

    def _chance(self, name: str) -> float:
        digest = hashlib.blake2b(name.encode(), key=self.seed[:64], digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48


def _allows_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or None in schema.get("enum", ())


def _cut(text: str, field: Field) -> str:
    longest = int(field.rules.get("maxLength", len(text)))
    return text[:longest].rstrip() if len(text) > longest else text
