"""A plan beside an earlier one: what `plan --json` has printed before, and what is different now."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.cli.words import tokens
from batchrun.errors import UsageProblem
from batchrun.planning.money import DOLLAR, dollars
from batchrun.untrusted import inert

HINT = "write one with: batchrun plan JOB --json > plan.json"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that both plans tell, in words; `change` is a share, None where there is none to speak of."""

    name: str
    before: str
    now: str
    change: float | None = None

    @property
    def words(self) -> str:
        """As a line of text."""
        change = "" if self.change is None else f"   ({100 * self.change:+.1f}%)"
        if self.before == self.now and not change:
            return f"{self.name:<18}  {inert(self.now)}, as before"
        return f"{self.name:<18}  {inert(self.before)} -> {inert(self.now)}{change}"


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
            f'{path} is a plan of the job "{inert(before.get("job"))}", and this is "{now["job"]}".', hint=HINT
        )
    try:
        return list(_differences(before, now))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageProblem(f"{path} is a plan of another version of batchrun: it lacks {error}.", hint=HINT) from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    yield Difference("model", str(before["model"]), str(now["model"]))
    same = before["fingerprint"] == now["fingerprint"]
    yield Difference("prompt and output", "the same" if same else "others", "the same" if same else "these")
    yield _numbers("documents to send", before["documents"]["to_send"], now["documents"]["to_send"], "{:,}".format)
    for kind in ("input", "output"):
        yield _numbers(f"{kind} tokens", before["tokens"][kind]["mean"], now["tokens"][kind]["mean"], tokens)
    yield Difference("route", str(before["chosen"]), str(now["chosen"]))
    yield _numbers("cost", before["estimate_usd"]["mean"], now["estimate_usd"]["mean"], _usd)
    yield _numbers("at most, at 90%", before["estimate_usd"]["high"], now["estimate_usd"]["high"], _usd)
    for name, route in now["routes"].items():
        if name in before["routes"]:
            was = before["routes"][name]["estimate_usd"]["mean"]
            yield _numbers(f"  {name}", was, route["estimate_usd"]["mean"], _usd)
    yield Difference("prices of", str(before["prices"]["date"]), str(now["prices"]["date"]))


def _numbers(name: str, before: float, now: float, words: Callable[[float], str]) -> Difference:
    return Difference(name, words(before), words(now), now / before - 1 if before else None)


def _usd(amount: float) -> str:
    return dollars(round(amount * DOLLAR))


def compare_lines(found: list[Difference], path: Path) -> list[str]:
    """For people."""
    return [f"compared with {path}", *[f"  {one.words}" for one in found]]


def compare_fields(found: list[Difference]) -> dict[str, dict[str, object]]:
    """For programs."""
    return {
        one.name.strip(): {
            "before": one.before, "now": one.now, "change": None if one.change is None else round(one.change, 6),
        }
        for one in found
    }  # fmt: skip
