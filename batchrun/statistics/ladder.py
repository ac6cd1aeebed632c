"""Which setting is the cheapest that holds a target: a ladder, climbed from the cheapest setting up.

All settings are measured on the same shuffled documents, of which more and more are looked at. A setting is dropped as
soon as its upper bound misses the target, which only costs money where it is a mistake; a setting is taken only on the
last look, where its lower bound holds the target. Dearer settings than the taken one are never asked.
"""

from dataclasses import dataclass
from enum import Enum

from batchrun.estimation.interval import Interval

FIRST_LOOK = 10
"""How many documents a setting answers before it is judged for the first time."""

_GROWTH = 1.5


class Judgement(Enum):
    """What a look at a setting decides."""

    DROPPED = "dropped"
    TAKEN = "chosen"
    GOES_ON = "goes on"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Step:
    """What a climb wants to be measured next: a setting, on the first so many of the shuffled documents."""

    setting: int
    documents: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a climb was told of a setting, and what it decided. The latest look at a setting counts."""

    documents: int
    interval: Interval
    judgement: Judgement


def looks(documents: int) -> list[int]:
    """Say after how many documents a setting is judged: 10, 15, 22, 33, 50, 75, 112, 168 and so on, and after all."""
    counts = [FIRST_LOOK]
    while counts[-1] < documents:
        counts.append(round(counts[-1] * _GROWTH))
    return [*(count for count in counts if count < documents), documents]


def judge(interval: Interval, target: float, *, is_last: bool) -> Judgement:
    """Judge a setting by the 90% interval of its accuracy; each bound of the interval holds at 95%."""
    if interval.high < target:
        return Judgement.DROPPED
    if not is_last:
        return Judgement.GOES_ON
    return Judgement.TAKEN if interval.low >= target else Judgement.UNDECIDED


class Climb:
    """A climb of a ladder: says what to measure next, is told what was measured, and ends at the first taken setting.

    The settings are numbered from the cheapest, 0, on. A climb does nothing by itself and is a function of what it is
    told, so that a climb which was broken off is repeated from its beginning with the answers that are there:

        while (step := climb.step) is not None:
            climb.tell(await measure(step))
    """

    def __init__(self, settings: int, documents: int, target: float) -> None:
        """Begin at the cheapest of `settings` settings; a setting is taken on its interval over all `documents`."""
        self._settings, self._counts, self._target = settings, looks(documents), target
        self.step = Step(0, self._counts[0]) if settings else None
        """What to measure next; None if the climb has ended."""
        self.looks: dict[int, Look] = {}
        """The latest look at each setting that was asked, by the number of the setting."""

    @property
    def taken(self) -> int | None:
        """The cheapest setting that holds the target; None if the climb goes on, or ended without one."""
        return next((setting for setting, look in self.looks.items() if look.judgement is Judgement.TAKEN), None)

    def tell(self, interval: Interval) -> Judgement:
        """Take in the accuracy that was measured for `step`, and move on to the next step.

        Raises ValueError if the climb has ended.
        """
        if self.step is None:
            raise ValueError("the climb has ended")
        setting, documents = self.step.setting, self.step.documents
        judgement = judge(interval, self._target, is_last=documents == self._counts[-1])
        self.looks[setting] = Look(documents, interval, judgement)
        if judgement is Judgement.GOES_ON:
            self.step = Step(setting, self._counts[self._counts.index(documents) + 1])
        else:
            is_over = judgement is Judgement.TAKEN or setting + 1 == self._settings
            self.step = None if is_over else Step(setting + 1, self._counts[0])
        return judgement
