"""Plans in files: written by `plan -o`, compared by `plan --compare`, and carried out by `submit --plan`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.next_command import changed, command
from batchrun.cli.permissions import to_file
from batchrun.errors import Refused, UsageProblem
from batchrun.escaping import escape_control
from batchrun.file_system import TooLargeError, read_bounded

MOST_BYTES = 10_000_000
"""The largest file of a plan that is read: a plan has a few thousand bytes, whatever the number of its documents."""
MOST_ONLINE = 2_000
"""The most requests that `plan --online` lets the API count."""
OF_A_PLAN = ("--exact", "--simulate", "--route", "--deadline", "--limit", "--next", "--id", "--source", "--where",
             "--max-cost", "--rescan", "--reread", "--partial-answers")  # fmt: skip
"""The options that a plan may have and a submit takes."""


def write_one(path: Path, job: Path | None) -> str:
    """Say how to write a plan of a job to a file."""
    return f"write one with: {command('plan', job, [f'--output={path}'])}" if job else "see: batchrun plan --help"


def read_plan(path: Path, *, job: Path | None) -> Mapping[str, Any]:
    """Read a plan that `plan -o` or `plan --json` wrote. Raises UsageProblem for any other file.

    `job` is the job file that the person named, if the person named one.
    """
    hint = write_one(path, job)
    try:
        plan = json.loads(read_bounded(path, most_bytes=MOST_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError, TooLargeError) as error:
        raise UsageProblem(f"the earlier plan {path} cannot be read: {error}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"the earlier plan {path} is no JSON: {error}", hint=hint) from error
    if not isinstance(plan, dict) or plan.get("v") != 1:
        raise UsageProblem(f"{path} is no plan of `batchrun plan --json`.", hint=hint)
    return plan


def write_plan(plan: Mapping[str, Any], path: Path) -> None:
    """Write a plan. Raises EnvironmentProblem if the file cannot be written."""
    to_file([json.dumps(plan, indent=2) + "\n"], path)


def job_of(plan: Mapping[str, Any], path: Path) -> Path:
    """Return the job file of a plan, relative to the directory where the plan was made."""
    job = plan.get("job_file")
    if not isinstance(job, str) or "\0" in job:
        raise _of_another_version(path, "job_file")
    return Path(job)


def options_of(plan: Mapping[str, Any], path: Path) -> list[str]:
    """Return the options of the plan, as a submit takes them. Raises UsageProblem for options that a plan has not."""
    options = plan.get("options")
    if not isinstance(options, list) or not all(_is_option(word) for word in options):
        raise _of_another_version(path, "options")
    return options


def online_of(plan: Mapping[str, Any]) -> int | None:
    """Return how many requests the API was asked to count for a plan; None if the API was not asked."""
    online = plan.get("online")
    return online if isinstance(online, int) and 0 < online <= MOST_ONLINE else None


def _is_option(word: object) -> bool:
    return isinstance(word, str) and word.partition("=")[0] in OF_A_PLAN


def _of_another_version(path: Path, missing: str) -> UsageProblem:
    return UsageProblem(f"{path} is a plan of another version of batchrun: it has no {missing}.", hint="plan again")


def stale(before: Mapping[str, Any], now: Mapping[str, Any], *, path: Path) -> Refused | None:
    """Say what has changed since a plan was written. Returns None if a submit does exactly what the plan says."""
    changes = [said for field, words in _COMPARED.items() if (said := _change(before, now, field, words))]
    if not changes:
        return None
    return Refused(
        f"the plan {path} is stale: {'; '.join(changes)}. Nothing was sent.",
        hint=f"plan again: {_plan_again(now, path)}",
    )


def _plan_again(now: Mapping[str, Any], path: Path) -> str:
    of_a_plan = [word for word in now["options"] if _is_option(word)]
    return command("plan", Path(now["job_file"]), changed(of_a_plan, output=path))


def _usd(amount: float) -> str:
    return dollars(float(amount) * DOLLAR)


Words = tuple[str, Callable[[Any], str] | None]
_COMPARED: Mapping[Sequence[str], Words] = {
    ("job",): ("the job is {now}, and was {before}", str),
    ("fingerprint",): ("the prompt, the model's settings or the output changed", None),
    ("model",): ("the model is {now}, and was {before}", str),
    ("documents", "to_send"): ("{now} documents to send, and there were {before}", "{:,}".format),
    ("digest",): ("the documents to send are others", None),
    ("chosen",): ("the route is {now}, and was {before}", str),
    ("budget_usd",): ("the budget is {now}, and was {before}", _usd),
    ("prices", "date"): ("the prices are of {now}, and were of {before}", str),
    ("estimate_usd", "high"): ("the estimate's upper bound is {now}, and was {before}", _usd),
}
"""What has to be the same, with the words for a change; without a second part the values say nothing to a person."""


def _change(before: Mapping[str, Any], now: Mapping[str, Any], place: Sequence[str], words: Words) -> str | None:
    earlier, present = _found(before, place), _found(now, place)
    if earlier == present:
        return None
    text, shown = words
    if shown is None:
        return text
    try:
        return text.format(now=shown(present), before=escape_control(shown(earlier)))
    except (TypeError, ValueError, OverflowError):  # the file has something else there
        return text.format(now=shown(present), before="not stated")


def _found(plan: Mapping[str, Any], place: Sequence[str]) -> Any:
    value: Any = plan
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value
