"""Promises about what nobody looked at: which answers are accepted so that at most a share of them is wrong.

A promise is tested along a fixed sequence of thresholds, strict to lax, and the sequence stops at the first threshold
that does not pass (Angelopoulos and others 2021, "Learn then Test"): so many looks need no correction. The scores may
be anything, but they have to be fixed before the first cell is drawn. Scores are higher for what is more suspicious.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrun.statistics.intervals import clopper_pearson_upper

RISK = 0.05
"""How often a promise may be broken: each is made with 95% confidence."""

QUEUE_SHARES = (0.40, 0.30, 0.25, 0.20, 0.15, 0.12, 0.10, 0.075, 0.05, 0.0)
"""The shares of documents that a queue may hold, in the order in which they are tested."""

ACCEPT_SHARES = tuple(tenths / 10 for tenths in range(1, 11))
"""The shares of documents whose cheap answer a cascade may accept, in the order in which they are tested."""

_BETS = (0.3, 0.6, 0.8, 0.92, 0.98)
_UNBOUNDED = 10**12


class AuditBet:
    """A bet against "more than `max_error` of `total` cells are wrong", on cells drawn at random without replacement.

    Who bets against a true statement multiplies the stake by 20 in at most 1 of 20 games, however often the stake is
    looked at (Ville 1939; Waudby-Smith and Ramdas 2024). The stake is split among five bets of different courage.
    """

    def __init__(self, total: int, max_error: float) -> None:
        """Begin without any cell; `max_error` lies between 0 and 1."""
        self.total, self.allowed = total, max_error * total
        self._logs = [0.0] * len(_BETS)
        self._won = False
        self.seen = self.wrong = 0

    def add(self, *, wrong: bool) -> None:
        """Take in the next cell of the random order. Raises ValueError if all cells have been seen."""
        remaining = self.total - self.seen
        if remaining <= 0:
            raise ValueError("all cells have been seen")
        null = (self.allowed - self.wrong) / remaining
        if 0 < null < 1 and not self._won:
            self._logs = [
                log + math.log1p(bet / (1 - null) * (null - wrong)) for log, bet in zip(self._logs, _BETS, strict=True)
            ]
            self._won = math.fsum(map(math.exp, self._logs)) >= len(_BETS) / RISK
        self.seen += 1
        self.wrong += wrong

    @property
    def promised(self) -> bool:
        """Whether at most `max_error` of all cells are wrong, with 95% confidence or because the rest cannot matter.

        A promise that was won is kept, except where more wrong cells have been seen than it allows.
        """
        return self.wrong <= self.allowed and (self._won or self.total - self.seen <= self.allowed - self.wrong)


def reviews_needed(max_error: float, errors: int = 0, total: int | None = None) -> int | None:
    """Say how many cells have to be reviewed for a promise if so many of them are wrong, of `total` cells in all.

    The wrong cells are counted as the first. Without `total` there are so many cells that their number does not matter.
    Returns None if no number is enough, because there are more errors than the promise allows.
    """
    bet = AuditBet(_UNBOUNDED if total is None else total, max_error)
    if errors > bet.allowed:
        return None
    while bet.seen < errors or not bet.promised:
        bet.add(wrong=bet.seen < errors)
    return bet.seen


@dataclass(frozen=True, slots=True)
class Queue:
    """The documents that a person has to look at, and the bet on the cells of all the others, which are accepted."""

    documents: tuple[str, ...]
    """The documents of the queue, the most suspicious first. They are all documents if nothing can be promised."""
    tested: AuditBet
    """The bet on the cells behind the shortest queue that passed. If none passed, those behind the longest queue."""

    @property
    def promised(self) -> bool:
        """Whether a promise is made: at most `max_error` of the accepted cells are wrong, with 95% confidence."""
        return self.tested.promised and self.tested.total > 0


def queue_threshold(
    scores: Mapping[str, float], audited: Iterable[tuple[str, bool]], *, cells: int, max_error: float
) -> Queue:
    """Find the shortest queue after which a promise can be made of the rest.

    `scores` are the frozen scores of all documents, of `cells` cells each. `audited` names the document of each audited
    cell, and says whether the cell was wrong, in the random order in which the cells were drawn from all cells. A cell
    is not counted if its document has no score. Documents of one score are accepted together or not at all.
    """
    ordered = sorted(scores, key=lambda document: -scores[document])
    ranks = {document: rank for rank, document in enumerate(ordered)}
    drawn = [(ranks.get(document, -1), wrong) for document, wrong in audited]
    falling = [scores[document] for document in ordered]
    shortest = None
    for share in QUEUE_SHARES:
        length = _with_ties(falling, round(share * len(ordered)))
        if length == len(ordered):  # nothing would be accepted
            continue
        bet = AuditBet((len(ordered) - length) * cells, max_error)
        for rank, wrong in drawn:
            if rank >= length:
                bet.add(wrong=wrong)
        if not bet.promised:
            return shortest or Queue(tuple(ordered), bet)
        shortest = Queue(tuple(ordered[:length]), bet)
    return shortest or Queue((), AuditBet(0, max_error))


def _with_ties(falling: Sequence[float], length: int) -> int:
    """Lengthen a queue by the documents whose score is that of its last document."""
    while 0 < length < len(falling) and falling[length] == falling[length - 1]:
        length += 1
    return length


@dataclass(frozen=True, slots=True)
class CascadeThreshold:
    """Which cheap answers a cascade accepts, and what is known of them."""

    below: float
    """An answer is accepted if its score is below this number, which is infinite if all are accepted."""
    share: float
    """The share of answers that is accepted, in the steps of `ACCEPT_SHARES`."""
    calibrated: int
    """How many calibrated documents would have been accepted."""
    differing: int
    """How many of these documents have a cheap answer that differs from the strong model's."""
    at_most: float
    """The upper bound of the share of accepted answers that differ, with 95% confidence."""


def calibration_needed(max_difference: float) -> int:
    """Say how many accepted documents have to be calibrated before a threshold is tested: 223 for at most 2%."""
    return math.ceil(1.5 * math.log(RISK) / math.log1p(-max_difference))


def calibrated_threshold(calibrated: Sequence[tuple[float, bool]], max_difference: float) -> CascadeThreshold | None:
    """Find the laxest threshold below which at most `max_difference` of the cheap answers differ from the strong ones.

    `calibrated` has the score of each document that both models answered, drawn at random, and whether the answers
    differ. A threshold is a calibrated score and excludes the document that has it, so that the accepted ones are still
    a random sample. Returns None if no threshold passes, or fewer documents than `calibration_needed` are calibrated.
    """
    rising = [*sorted(score for score, _ in calibrated), math.inf]
    laxest = None
    for share in ACCEPT_SHARES:
        below = rising[round(share * len(calibrated))]
        accepted = [differs for score, differs in calibrated if score < below]
        if len(accepted) < calibration_needed(max_difference):
            continue
        at_most = clopper_pearson_upper(sum(accepted), len(accepted), 1 - RISK)
        if at_most > max_difference:
            break
        laxest = CascadeThreshold(below, share, len(accepted), sum(accepted), at_most)
    return laxest
