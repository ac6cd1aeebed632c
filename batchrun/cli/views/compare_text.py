"""A plan beside an earlier one: what `plan --json` has printed before, and what is different now."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.views.format import tokens
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control

HINT = "write one with: batchrun plan JOB --json > plan.json"
MOST = 1e18
"""More than any number of a plan."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that both plans tell."""

    field: str
    """Its name for programs."""
    label: str
    """Its name for people."""
    before: str | float
    now: str | float
    shown: Callable[[Any], str] = str

    @property
    def change(self) -> float | None:
        """As a share of what it was; None for words, and for what was nothing."""
        if isinstance(self.before, str) or isinstance(self.now, str) or not self.before:
            return None
        return self.now / self.before - 1

    @property
    def words(self) -> str:
        """As a line of text."""
        before, now = escape_control(self.shown(self.before)), escape_control(self.shown(self.now))
        if before == now:
            return f"{self.label:<18}  {now}, as before"
        change = "" if self.change is None else f"   ({self.change:+.1%})"
        return f"{self.label:<18}  {before} -> {now}{change}"


def earlier_plan(path: Path) -> Mapping[str, Any]:
    """Read a plan that `--json` has printed. Raises UsageProblem for anything else."""
    try:
        plan = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"the earlier plan {path} cannot be read: {error}", hint=HINT) from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"the earlier plan {path} is no JSON: {error}", hint=HINT) from error
    if not isinstance(plan, dict) or plan.get("v") != 1:
        raise UsageProblem(f"{path} is no plan of `batchrun plan --json`.", hint=HINT)
    return plan


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, path: Path) -> list[Difference]:
    """What is to be compared, in the order of a plan. Raises UsageProblem when the earlier one is of another job."""
    if before.get("job") != now["job"]:
        raise UsageProblem(
            f'{path} is a plan of the job "{escape_control(before.get("job"))}", and this is "{now["job"]}".', hint=HINT
        )
    try:
        return list(_differences(before, now))
    except LookupError as error:
        raise UsageProblem(f"{path} is a plan of another version of batchrun: it has no {error}.", hint=HINT) from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    def text(field: str, label: str, *place: str, shown: Callable[[str], str] = str) -> Difference:
        return Difference(field, label, _text(before, place), _text(now, place), shown)

    def number(field: str, label: str, shown: Callable[[float], str], *place: str) -> Difference:
        return Difference(field, label, _number(before, place), _number(now, place), shown)

    yield text("model", "model", "model")
    yield text("fingerprint", "prompt and output", "fingerprint", shown=_beginning)
    yield number("to_send", "documents to send", "{:,}".format, "documents", "to_send")
    yield number("input_tokens", "input tokens", tokens, "tokens", "input", "mean")
    yield number("output_tokens", "output tokens", tokens, "tokens", "output", "mean")
    yield text("route", "route", "chosen")
    yield number("cost_usd", "cost", _usd, "estimate_usd", "mean")
    yield number("most_usd", "at most, at 90%", _usd, "estimate_usd", "high")
    routes = _found(before, ("routes",))
    for name in now["routes"]:
        if isinstance(routes, dict) and name in routes:
            yield number(f"{name}_usd", f"  {name}", _usd, "routes", name, "estimate_usd", "mean")
    yield text("prices", "prices of", "prices", "date")


def _text(plan: Mapping[str, Any], place: tuple[str, ...]) -> str:
    found = _found(plan, place)
    if not isinstance(found, str):
        raise LookupError(f"text in {'.'.join(place)}")  # noqa: TRY004 - to the caller it is missing
    return found


def _number(plan: Mapping[str, Any], place: tuple[str, ...]) -> float:
    found = _found(plan, place)
    if not isinstance(found, int | float) or not -MOST < found < MOST:
        raise LookupError(f"number in {'.'.join(place)}")
    return found


def _found(plan: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    found: Any = plan
    for key in place:
        if not isinstance(found, dict) or key not in found:
            raise LookupError(".".join(place))
        found = found[key]
    return found


def _beginning(fingerprint: str) -> str:
    return fingerprint[:12]


def _usd(amount: float) -> str:
    return dollars(round(amount * DOLLAR))


def compare_lines(found: list[Difference], path: Path) -> list[str]:
    """For people."""
    return [f"compared with {path}", *[f"  {one.words}" for one in found]]


def compare_fields(found: list[Difference]) -> dict[str, dict[str, object]]:
    """For programs."""
    return {
        one.field: {
            "before": one.before, "now": one.now, "change": None if one.change is None else round(one.change, 6),
        }
        for one in found
    }  # fmt: skip
