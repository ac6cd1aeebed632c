"""A gold label and an answer held against each other: the counts of one field of one document."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from batchrun.job.match_rules import MatchRule
from batchrun.quality.matching.keys import Amount, key_of, rows_of
from batchrun.quality.matching.pairing import Row, pair

_EXACT = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
"""Enough digits for what two doubles near each other differ by. No number of a label is an error, however large."""


@dataclass(frozen=True, slots=True)
class Matched:
    """How an answer of one field of one document fits its gold label.

    A plain value counts as one, a list counts its entries, and objects count their members. What has no value (null, a
    blank text, an empty list) counts nothing: null against null is right, and is no hit.
    """

    right: bool
    """Whether the whole answer is as the label says: counts for accuracy."""
    hits: float
    """The values that are in the label and in the answer: true positives."""
    gold: int
    """The values in the label: the denominator of recall."""
    given: int
    """The values in the answer: the denominator of precision."""
    greedy: bool = False
    """Whether a list was too long to be paired at best, so that the hits may be a few too low."""


_NOTHING = Matched(right=True, hits=0, gold=0, given=0)
_MISSED = Matched(right=False, hits=0, gold=1, given=0)
_INVENTED = Matched(right=False, hits=0, gold=0, given=1)
_HIT = Matched(right=True, hits=1, gold=1, given=1)
_WRONG = Matched(right=False, hits=0, gold=1, given=1)


def match(rule: MatchRule, gold: Any, answer: Any) -> Matched:
    """Hold an answer against a gold label; both may be any JSON-like value, whatever the type of the field.

    A value of another shape than the rule expects is another value. Lists of 10,000 entries are matched within
    seconds: equal entries are found by hash, and the pairing of the rest is bounded, as `pair` says.
    """
    if rule.name in {"set", "entries", "members"}:
        return _rows(rows_of(rule, gold), rows_of(rule, answer))
    return _value(rule, key_of(rule, gold), key_of(rule, answer))


def _value(rule: MatchRule, gold: Hashable | None, answer: Hashable | None) -> Matched:
    if gold is None:
        return _NOTHING if answer is None else _INVENTED
    if answer is None:
        return _MISSED
    return _HIT if gold == answer or _is_near(rule, gold, answer) else _WRONG


def _is_near(rule: MatchRule, gold: Hashable, answer: Hashable) -> bool:
    match gold, answer:
        case Amount(), Amount() if rule.name == "number":
            return _same_currency(gold, answer) and _within(gold.number, answer.number, rule.tolerance)
        case str(), str() if rule.name == "tokens":
            return _token_f1(gold.split(), answer.split()) >= rule.threshold
        case _:
            return False


def _same_currency(gold: Amount, answer: Amount) -> bool:
    """Whether no two currencies differ: a number without a currency may be of any."""
    return gold.currency is None or answer.currency is None or gold.currency == answer.currency


def _within(gold: Decimal, answer: Decimal, tolerance: float) -> bool:
    apart = _EXACT.abs(_EXACT.subtract(gold, answer))
    allowed = _EXACT.multiply(Decimal(repr(tolerance)), _EXACT.max(Decimal(1), _EXACT.abs(gold)))
    return _EXACT.compare(apart, allowed) in {Decimal(-1), Decimal(0)}


def _token_f1(gold: Sequence[str], answer: Sequence[str]) -> float:
    return 2 * (Counter(gold) & Counter(answer)).total() / (len(gold) + len(answer))


def _rows(gold: Sequence[Row], answer: Sequence[Row]) -> Matched:
    """Count the cells of two lists: they are equal if every cell of both is a hit."""
    pairing, wanted, given = pair(gold, answer), _cells(gold), _cells(answer)
    return Matched(pairing.hits == wanted == given, pairing.hits, wanted, given, pairing.greedy)


def _cells(rows: Sequence[Row]) -> int:
    return sum(cell is not None for row in rows for cell in row)
