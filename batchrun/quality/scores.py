"""How good the answers of a run are: accuracy, precision, recall and F1 of each field, and of all fields together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrun.estimation.interval import Interval
from batchrun.quality.matching.keys import folded
from batchrun.quality.matching.match import Matched
from batchrun.statistics.intervals import ratio_interval

DocumentMatches = Mapping[str, Matched]
"""How the answers of one document fit their labels, by the name of the field."""

ENOUGH_DOCUMENTS = 20
"""Below so many documents, a share in percent says more than is known: counts are shown."""
MOST_CONFUSED = 100
"""How many kinds of pairs of a label and an answer are counted."""
ALL_FIELDS = "all fields"
"""The name of the score of all fields together; no field has a name with a space."""


@dataclass(frozen=True, slots=True)
class FieldScore:
    """How well the answers of a field fit their labels, with intervals at 90%.

    The intervals are those of `ratio_interval`: errors of one document may depend on each other. A share of nothing
    (the precision of a field that was never answered) is the interval from 0 to 1.
    """

    name: str
    documents: int
    """The documents with a label for the field."""
    right: int
    """The answers that are right as a whole; with all fields together, over all fields."""
    hits: float
    gold: int
    given: int
    greedy: int
    """The documents in which a list was too long to be paired at best."""
    accuracy: Interval
    """Right answers of those asked for."""
    precision: Interval
    """Hits of the values that were given."""
    recall: Interval
    """Hits of the values in the labels."""
    f1: Interval
    """2 * hits / (gold + given): the harmonic mean of precision and recall."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How good the answers are for the documents that have labels."""

    documents: int
    fields: tuple[FieldScore, ...]
    pooled: FieldScore
    """All fields together; the interval is still that of independent documents, whatever the fields share."""

    @property
    def asked(self) -> int:
        """How many values have labels, over all fields."""
        return sum(field.documents for field in self.fields)

    @property
    def enough(self) -> bool:
        """Whether there are enough documents to show percentages."""
        return self.documents >= ENOUGH_DOCUMENTS


def score(documents: Mapping[str, DocumentMatches], fields: Iterable[str] = ()) -> Scores:
    """Score the documents, by their ids. Fields stand in the order given, or in which documents first name them."""
    by_field: defaultdict[str, list[Sequence[Matched]]] = defaultdict(list, {name: [] for name in fields})
    for matches in documents.values():
        for name, matched in matches.items():
            by_field[name].append((matched,))
    together = [tuple(matches.values()) for matches in documents.values()]
    return Scores(
        documents=len(documents),
        fields=tuple(_field_score(name, matched) for name, matched in by_field.items() if matched),
        pooled=_field_score(ALL_FIELDS, together),
    )


def _field_score(name: str, documents: Sequence[Sequence[Matched]]) -> FieldScore:
    """Score what was matched in each document."""
    right = [sum([one.right for one in matched]) for matched in documents]
    hits = [sum([one.hits for one in matched]) for matched in documents]
    gold = [sum([one.gold for one in matched]) for matched in documents]
    given = [sum([one.given for one in matched]) for matched in documents]
    return FieldScore(
        name=name,
        documents=len(documents),
        right=sum(right),
        hits=sum(hits),
        gold=sum(gold),
        given=sum(given),
        greedy=sum(any(one.greedy for one in matched) for matched in documents),
        accuracy=ratio_interval(right, [len(matched) for matched in documents]),
        precision=ratio_interval(hits, given),
        recall=ratio_interval(hits, gold),
        f1=ratio_interval([2 * hit for hit in hits], [one + other for one, other in zip(gold, given, strict=True)]),
    )


@dataclass(frozen=True, slots=True)
class Confused:
    """How many documents have one answer for one label; None stands for null."""

    gold: str | None
    answer: str | None
    documents: int


def confusion(pairs: Iterable[tuple[object, object]]) -> tuple[Confused, ...]:
    """Count the pairs of a label and an answer of an enum, right answers among them; the most frequent come first."""
    counts = Counter((_word(gold), _word(answer)) for gold, answer in pairs)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], *((word is None, word or "") for word in pair[0])))
    return tuple(Confused(gold, answer, number) for (gold, answer), number in ordered[:MOST_CONFUSED])


def _word(value: object) -> str | None:
    """Return a word as `exact` compares it. An answer to an earlier job file may be no text: its type is shown."""
    if value is None or isinstance(value, str):
        return folded(value or "") or None
    return f"<{type(value).__name__}>"


def worst(documents: Mapping[str, DocumentMatches], most: int) -> list[str]:
    """Return the ids of the documents with wrong fields, at most so many: those with most wrong fields first.

    Among documents with as many wrong fields, those with more values missed or invented come first; then ids decide.
    """
    ordered = []
    for doc_id, matches in documents.items():
        if wrong := [one for one in matches.values() if not one.right]:
            ordered.append((-len(wrong), -sum(one.gold + one.given - 2 * one.hits for one in wrong), doc_id))
    return [doc_id for _, _, doc_id in sorted(ordered)[:most]]
