"""What has changed between the answers of two runs, counted while the answers go by: no answer is kept but examples."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from statistics import median
from typing import Any

from batchrun.job.match_rules import MatchRule
from batchrun.outcome import Outcome
from batchrun.quality.distribution import Distribution, drifts
from batchrun.quality.gold_change import GoldChange, Labelled, gold_change
from batchrun.quality.matching.match import match
from batchrun.statistics.drift import Drift
from batchrun.store.reports.run_answers import RunAnswer, side_by_side

EXACT = MatchRule("exact")
"""The rule of a field of which nothing is known."""
NOT_ASKED = object()
"""Stands for the value of a field that a run has not asked for."""
MOST_EXAMPLES = 10
"""How many changes of a field are kept to be shown."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field of a document that has another value now."""

    doc_id: str
    field: str
    before: Any
    now: Any


@dataclass(slots=True)
class FieldComparison:
    """How the values of one field have changed, over the documents that both runs have answered."""

    values: tuple[Distribution, Distribution]
    """The values of the earlier run, and of the later run."""
    documents: int = 0
    """The documents for which both runs have asked for the field."""
    changed: int = 0
    only_before: int = 0
    """The documents for which only the earlier run has asked for the field."""
    only_now: int = 0
    to_null: int = 0
    """Changes from a value to no value."""
    from_null: int = 0
    relative: "array[float]" = field(default_factory=lambda: array("d"))
    """The change of each changed number as a share of the number before; a change from 0 has no such share."""
    examples: list[Change] = field(default_factory=list)

    @property
    def median_change(self) -> float | None:
        """The median of the relative changes of those numbers that have changed; None if there are none."""
        return median(self.relative) if self.relative else None


class Comparison:
    """The changes between two runs, as far as `changes` has gone through their answers."""

    def __init__(
        self, rules: Mapping[str, MatchRule], labels: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str]
    ) -> None:
        """Take the match rule and the type of each field, and the gold labels by document and field."""
        self._rules, self._labels, self._kinds = rules, labels, kinds
        self.fields: dict[str, FieldComparison] = {}
        self.outcomes = (Counter[Outcome | None](), Counter[Outcome | None]())
        """The outcomes of all documents of each run; None is a pending document."""
        self.both = 0
        """Documents of both runs."""
        self.answered = 0
        """Documents that both runs have answered: only these are compared."""
        self.changed = 0
        """Documents with a changed field."""
        self.only_answered = (0, 0)
        """Documents of both runs that only the earlier run, or only the later one, has answered."""
        self._labelled: list[Labelled] = []

    def changes(self, before: Iterable[RunAnswer], now: Iterable[RunAnswer]) -> Iterator[Change]:
        """Go through two runs' answers, both in the order of their ids, and yield every change.

        Documents that no request can be made for, such as empty ones, are left out: they belong to the run that saw
        them first, whatever is asked later.
        """
        for pair in side_by_side(before, now):
            if any(answer and _is_asked(answer) for answer in pair):
                for answer, outcomes in zip(pair, self.outcomes, strict=True):
                    if answer:
                        outcomes[answer.outcome] += 1
                if pair[0] and pair[1]:
                    yield from self._changes_of(pair[0], pair[1])

    def _changes_of(self, before: RunAnswer, now: RunAnswer) -> list[Change]:
        self.both += 1
        if gold := self._labels.get(before.doc_id):
            self._labelled.append(self._held_against(gold, before.values or {}, now.values or {}))
        if before.values is None or now.values is None:
            lost, gained = before.values is not None, now.values is not None
            self.only_answered = (self.only_answered[0] + lost, self.only_answered[1] + gained)
            return []
        self.answered += 1
        found = [
            Change(before.doc_id, name, before.values.get(name), now.values.get(name))
            for name in {**before.values, **now.values}
            if self._count(name, before.values, now.values)
        ]
        self.changed += bool(found)
        for change in found:
            if len(examples := self.fields[change.field].examples) < MOST_EXAMPLES:
                examples.append(change)
        return found

    def _count(self, name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Count a field of a document. Return whether the field has changed."""
        if (one := self.fields.get(name)) is None:
            kind = self._kinds.get(name)
            one = self.fields[name] = FieldComparison((Distribution(kind), Distribution(kind)))
        old, new = before.get(name, NOT_ASKED), now.get(name, NOT_ASKED)
        if old is NOT_ASKED or new is NOT_ASKED:
            one.only_before += new is NOT_ASKED
            one.only_now += old is NOT_ASKED
            return False
        one.documents += 1
        one.values[0].add(old)
        one.values[1].add(new)
        if old == new or (matched := match(self._rules.get(name, EXACT), old, new)).right:
            return False
        one.changed += 1
        one.to_null += not matched.given
        one.from_null += not matched.gold
        if (share := _relative(old, new)) is not None:
            one.relative.append(share)
        return True

    def _held_against(self, gold: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> Labelled:
        """Say which fields of a labelled document are right in each run; a document without an answer is all null."""

        def right(name: str, values: Mapping[str, Any]) -> bool:
            return match(self._rules.get(name, EXACT), gold[name], values.get(name)).right

        return {name: (right(name, old), right(name, new)) for name in gold}

    @cached_property
    def gold(self) -> GoldChange | None:
        """Whether the later run is better or worse; None if no document of both runs has a gold label.

        This and `drifts` are worked out once, when `changes` has gone through all answers.
        """
        return gold_change(self._labelled)

    @cached_property
    def drifts(self) -> dict[str, Drift]:
        """The drift of every field that both runs have: of its values or of its nulls, whichever is nearer an alarm."""
        in_both = {name: one for name, one in self.fields.items() if one.documents}
        return {
            name: max(
                drifts(*one.values, fields=len(in_both)).values(), key=lambda drift: drift.statistic / drift.threshold
            )
            for name, one in in_both.items()
        }

    @property
    def most_changed(self) -> list[tuple[str, FieldComparison]]:
        """The fields, those with the most changes first."""
        return sorted(self.fields.items(), key=lambda named: -named[1].changed)

    def examples(self) -> list[Change]:
        """Return a few changes: the first of each field, the fields with the most changes first, then the second."""
        columns = [one.examples for _, one in self.most_changed]
        turns = (column[turn] for turn in range(MOST_EXAMPLES) for column in columns if turn < len(column))
        return [change for change, _ in zip(turns, range(MOST_EXAMPLES), strict=False)]


def _is_asked(answer: RunAnswer) -> bool:
    return answer.request_no is not None or answer.values is not None


def _relative(before: Any, now: Any) -> float | None:
    """Return the change as a share of the number before.

    Returns None if a value is no number that a float can hold, and if the number before was 0.
    """
    if any(isinstance(value, bool) or not isinstance(value, int | Decimal) for value in (before, now)):
        return None
    try:
        old, new = float(before), float(now)
    except OverflowError:
        return None
    share = (new - old) / abs(old) if old else math.inf
    return share if math.isfinite(share) else None
