"""The match rules: which rules suit a field, and which rule a field has when the job file names none."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Optional

from batchrun.job.field_types import ArrayField, FieldSpec, ObjectField

MatchName = Literal[
    "exact", "casefold", "date", "datetime", "number", "tokens", "names", "set", "entries", "members"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MatchRule:
    """How an answer of one field is held against the gold label.

    * `exact`: texts are equal after Unicode's NFC and one space for all white space; any other value is equal as it is.
    * `casefold`: texts are equal as for `exact`, whatever their case.
    * `date`: both say one day, however it is spelt. A text that may mean two days is compared as text.
    * `datetime`: both say one moment, which is compared in UTC.
    * `number`: the numbers differ by at most `tolerance` * max(1, |gold|), and no two currencies differ.
    * `tokens`: the F1 of the words, each as often as it stands there, is at least `threshold`.
    * `names`: the letters and digits are equal, whatever their case, punctuation and space.
    * `set`: for a list; each entry is held against the entries by `item`. The order of a list never counts.
    * `entries`: for a list of objects; entries are paired so that as many cells as possible are equal.
    * `members`: for an object; each member has a rule of its own.
    """

    name: MatchName
    tolerance: float = 0.0
    threshold: float = 0.5
    ignore_legal_form: bool = False
    """Whether `names` takes "Acme Ltd." for "Acme"."""
    item: Optional["MatchRule"] = None
    """The rule for the entries of a `set`; None for every other rule."""
    members: tuple[tuple[str, "MatchRule"], ...] = ()
    """The rules of `entries` and `members` by the name of the member; empty for every other rule."""


_RULES_OF: Mapping[str, tuple[MatchName, ...]] = {
    "string": ("exact", "casefold", "names", "tokens", "date", "datetime", "number"),
    "enum": ("exact", "casefold"),
    "boolean": ("exact",),
    "integer": ("number", "exact"),
    "number": ("number", "exact"),
    "date": ("date", "exact"),
    "datetime": ("datetime", "date", "exact"),
    "object": ("members", "exact"),
}
_OF_ENTRIES: tuple[MatchName, ...] = ("casefold", "names", "date")
"""The rules that a list may have for each of its entries: two entries that equal a third are equal to each other."""


def suiting_rules(field: FieldSpec) -> tuple[MatchName, ...]:
    """Return the names of the rules that suit a field; the first holds when the job file names none.

    A list has `exact` for the whole list in its order, and may have a rule that suits its entries for each entry.
    """
    if not isinstance(field, ArrayField):
        return _RULES_OF[field.kind]
    if isinstance(field.items, ObjectField):
        return ("entries", "exact")
    return ("set", "exact", *(name for name in suiting_rules(field.items) if name in _OF_ENTRIES))


def default_rule(field: FieldSpec) -> MatchRule:
    """Return the rule that a field has by its type."""
    return rule_for(field, MatchRule(suiting_rules(field)[0]))


def rule_for(field: FieldSpec, wish: MatchRule) -> MatchRule:
    """Complete a rule that suits the field, by the rules of entries and members."""
    match wish.name, field:
        case "members", ObjectField():
            return replace(wish, members=_members(field))
        case "entries", ArrayField(items=ObjectField() as entry):
            return replace(wish, members=_members(entry))
        case "set", ArrayField():
            return replace(wish, item=default_rule(field.items))
        case name, ArrayField() if name != "exact":
            return MatchRule("set", item=rule_for(field.items, wish))
        case _:
            return wish


def _members(field: ObjectField) -> tuple[tuple[str, MatchRule], ...]:
    return tuple((name, default_rule(member)) for name, member in field.fields.items())
