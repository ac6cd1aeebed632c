"""What a run waits for: who watches the run is told once of every wait that is longer than half a minute."""

from dataclasses import dataclass

LONG_S = 30.0


@dataclass(slots=True)
class Wait:
    """One wait that has begun."""

    why: str
    since: float
    least_s: float
    """How long the wait takes at least, as far as that is known."""
    is_told: bool = False


class LongWaits:
    """The waits of one run that have not ended, by what is waited for. Times are the loop's seconds."""

    def __init__(self) -> None:
        self._waits: dict[str, Wait] = {}

    def begin(self, what: str, why: str, *, now: float, least_s: float = 0.0) -> None:
        """Note that a wait has begun, or goes on, and why just now."""
        wait = self._waits.setdefault(what, Wait(why, now, least_s))
        if not wait.is_told:
            wait.why, wait.least_s = why, max(wait.least_s, now - wait.since + least_s)

    def end(self, what: str) -> None:
        """Note that nobody waits for this any more."""
        self._waits.pop(what, None)

    def news(self, now: float) -> list[str]:
        """Return the reasons of the waits that are long, and were not returned before."""
        long = [
            wait for wait in self._waits.values() if not wait.is_told and max(wait.least_s, now - wait.since) >= LONG_S
        ]
        for wait in long:
            wait.is_told = True
        return [wait.why for wait in long]

    @property
    def told(self) -> str | None:
        """The reasons of all long waits, or None if there is no such wait just now."""
        return "; ".join(wait.why for wait in self._waits.values() if wait.is_told) or None
