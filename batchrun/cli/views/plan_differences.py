"""A plan beside an earlier plan that `plan --json` has printed, and the differences."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.plan_file import write_one
from batchrun.cli.views.format import tokens
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control

MOST = 1e18
"""A number that is larger than every number of a plan."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of both plans."""

    field: str
    """The name of the value for programs."""
    label: str
    """The name of the value for people."""
    before: str | float
    now: str | float
    shown: Callable[[Any], str] = str

    @property
    def change(self) -> float | None:
        """The change as a share of the earlier value; None for texts, and if the earlier value was 0."""
        if isinstance(self.before, str) or isinstance(self.now, str) or not self.before:
            return None
        return self.now / self.before - 1

    @property
    def words(self) -> str:
        """The two values as a line of text."""
        before, now = escape_control(self.shown(self.before)), escape_control(self.shown(self.now))
        if before == now:
            return f"{self.label:<18}  {now}, as before"
        change = "" if self.change is None else f"   ({self.change:+.1%})"
        return f"{self.label:<18}  {before} -> {now}{change}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, path: Path, job: Path) -> list[Difference]:
    """Compare in the order of a plan. Raises UsageProblem if the earlier plan is of another job or version."""
    hint = write_one(path, job)
    if before.get("job") != now["job"]:
        raise UsageProblem(
            f'{path} is a plan of the job "{escape_control(before.get("job"))}", and this is "{now["job"]}".', hint=hint
        )
    try:
        return list(_differences(before, now))
    except LookupError as error:
        raise UsageProblem(f"{path} is a plan of another version of batchrun: it has no {error}.", hint=hint) from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    def compared(field: str, label: str, shown: Callable[[Any], str], *place: str) -> Difference:
        present, earlier = _found(now, place), _found(before, place)
        if _kind(earlier) != _kind(present):
            raise LookupError(f"{_kind(present)} in {'.'.join(place)}")
        return Difference(field, label, earlier, present, shown)

    yield compared("model", "model", str, "model")
    yield compared("fingerprint", "prompt and output", "{:.12}".format, "fingerprint")
    yield compared("to_send", "documents to send", "{:,}".format, "documents", "to_send")
    yield compared("input_tokens", "input tokens", tokens, "tokens", "input", "mean")
    yield compared("output_tokens", "output tokens", tokens, "tokens", "output", "mean")
    yield compared("route", "route", str, "chosen")
    yield compared("cost_usd", "cost", _usd, "estimate_usd", "mean")
    yield compared("most_usd", "at most, at 90%", _usd, "estimate_usd", "high")
    routes = _found(before, ("routes",))
    for name in now["routes"]:
        if isinstance(routes, dict) and name in routes:
            yield compared(f"{name}_usd", f"  {name}", _usd, "routes", name, "estimate_usd", "mean")
    yield compared("prices", "prices of", str, "prices", "date")


def _kind(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and -MOST < value < MOST else None


def _found(plan: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    found: Any = plan
    for key in place:
        if not isinstance(found, dict) or key not in found:
            raise LookupError(".".join(place))
        found = found[key]
    return found


def _usd(amount: float) -> str:
    return dollars(round(amount * DOLLAR))


def compare_fields(found: list[Difference]) -> dict[str, dict[str, object]]:
    """The comparison for programs."""
    return {
        one.field: {"before": one.before, "now": one.now, "change": one.change and round(one.change, 6)}
        for one in found
    }
