"""The answers over the parts of one document, merged into one answer, with the parts that gave each value."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batchrun.answers.merged_lists import Entry, Given, Parts, comparable, entries_of, is_empty, united, without_repeats

RuleName = Literal["first", "last", "all", "max", "min", "vote", "concat"]
_ORDERED: tuple[RuleName, ...] = ("first", "last", "max", "min", "vote")
RULES_OF: Mapping[str, tuple[RuleName, ...]] = {
    "string": ("first", "last", "vote", "concat"),
    "integer": _ORDERED,
    "number": _ORDERED,
    "boolean": ("max", "min", "first", "last", "vote"),
    "date": _ORDERED,
    "datetime": _ORDERED,
    "enum": ("first", "last", "vote"),
    "array": ("all", "concat", "first", "last"),
    "object": ("first", "last", "vote"),
}
"""The rules that suit a type of field; the first holds when the job file names none. True is more than false, so that
what one part of a document says makes the whole true."""


@dataclass(frozen=True, slots=True)
class MergeRule:
    """How the answers for one field become one value."""

    name: RuleName
    key: tuple[str, ...] = ()
    """With `all`: the fields that name an entry, so that entries with equal names are one entry."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which parts gave the value of a field. A value that no part gave is null or empty."""

    parts: Parts
    items: tuple[Parts, ...] | None = None
    """Which parts gave each item of a list that is put together; None for every other value."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The answer for a whole document."""

    values: dict[str, Any]
    provenance: dict[str, Origin]


def merge(
    answers: Sequence[Mapping[str, Any] | None], rules: Mapping[str, MergeRule], *, overlapping: bool = True
) -> Merged:
    """Merge the answers of all parts, in the order of the parts; None stands for a part without an answer.

    The values of the parts are taken over as they are. `overlapping` says whether neighbouring parts share some text,
    whose entries then stand in both answers. The merged answer has the fields that `rules` names.
    """
    answered = [(number, answer) for number, answer in enumerate(answers, 1) if answer is not None]
    if not answered:
        raise ValueError("no part has an answer")
    merged = {}
    for name, rule in rules.items():
        given = [(number, answer[name]) for number, answer in answered if not is_empty(answer[name])]
        merged[name] = _merged(given, rule, overlapping=overlapping) if given else (answered[0][1][name], Origin(()))
    return Merged(
        values={name: value for name, (value, _) in merged.items()},
        provenance={name: origin for name, (_, origin) in merged.items()},
    )


def _merged(given: Given, rule: MergeRule, *, overlapping: bool) -> tuple[Any, Origin]:
    if rule.name in _CHOICES:
        return _chosen(given, _CHOICES[rule.name])
    if rule.name == "concat" and isinstance(given[0][1], str):
        return "\n\n".join(text for _, text in given), Origin(tuple(number for number, _ in given))
    if rule.key:
        return _of_entries(united(given, rule.key))
    repeats = rule.name == "concat" or not overlapping
    return _of_entries(entries_of(given) if repeats else without_repeats(given))


def _chosen(given: Given, choose: Callable[[list[Any]], Any]) -> tuple[Any, Origin]:
    """Return the value that `choose` takes, with every part that answered the same."""
    value = choose([value for _, value in given])
    return value, Origin(tuple(number for number, other in given if comparable(other) == comparable(value)))


def _most_frequent(values: list[Any]) -> Any:
    """Return the value that most parts answered; of several such values, the earliest."""
    votes = Counter(map(comparable, values))
    return max(values, key=lambda value: votes[comparable(value)])


def _of_entries(entries: Sequence[Entry]) -> tuple[list[Any], Origin]:
    items = tuple(entry.parts for entry in entries)
    return [entry.value for entry in entries], Origin(tuple(sorted({part for parts in items for part in parts})), items)


_CHOICES: Mapping[RuleName, Callable[[list[Any]], Any]] = {
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "max": max,
    "min": min,
    "vote": _most_frequent,
}
"""The rules that take one part's value as it is."""
