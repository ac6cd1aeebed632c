"""Options that several commands share: a flag means the same in every command."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeVar

import click

from batchrun.cli.views.terminal import Terminal
from batchrun.planning.selection import Selection

if TYPE_CHECKING:
    from batchrun.job.spec import WorkersSetting

PROFILES = ("calm", "busy", "hostile")
F = TypeVar("F", bound=Callable[..., Any])

JOB = click.argument("job", type=click.Path(path_type=Path, dir_okay=True))


class JobCommand(click.Command):
    """A command whose `--simulate` may stand anywhere. Without `=PROFILE` the option does not take the next word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare `--simulate` its default profile."""
        return super().parse_args(ctx, [f"--simulate={PROFILES[0]}" if word == "--simulate" else word for word in args])


class FiniteRange(click.FloatRange):
    """A number within bounds, such as a share, or seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `0.95`. NaN and infinity, which may be within the bounds, are refused all the same."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class DollarsOption(click.ParamType[int]):
    """An amount of US dollars, as whole nano-USD."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `10` or `0.25`."""
        try:
            nusd = Decimal(value) * 10**9
        except InvalidOperation:
            nusd = Decimal(-1)
        if not nusd.is_finite() or nusd <= 0:
            self.fail(f"{value!r} is not an amount of dollars above 0", param, ctx)
        return int(nusd)

    def typed(self, nusd: int) -> str:
        """Return the amount as a person types the amount."""
        return f"{Decimal(nusd) / 10**9:f}"


class DurationOption(click.ParamType[float]):
    """A duration, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `45m` or `24h`."""
        from pydantic_core import PydanticCustomError

        from batchrun.job.units import MONTH_S, duration_s

        try:
            return duration_s(value, most_s=MONTH_S)
        except PydanticCustomError:
            self.fail(f"{value!r} is not a duration such as 45m or 24h", param, ctx)

    def typed(self, seconds: float) -> str:
        """Return the duration as a person types the duration."""
        return f"{Decimal(str(seconds)):f}s".replace(".0s", "s")


def workers_setting(text: str) -> "WorkersSetting":
    """Read `auto`, `8` or `ray`. Raises BadParameter."""
    from pydantic import ValidationError

    from batchrun.job.spec import RunSection

    try:
        return RunSection(workers=int(text) if text.isdecimal() else text).workers  # type: ignore[arg-type]
    except ValidationError as error:
        raise click.BadParameter(error.errors(include_url=False)[0]["msg"]) from None


SPEAKING = (
    click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour."),
    click.option(
        "-v",
        "--verbose",
        count=True,
        help="One line for each document; -vv also every retry, with --json every attempt.",
    ),
    click.option("-q", "--quiet", count=True, help="Nothing on success; only warnings and errors."),
    click.option("--json", is_flag=True, help="JSON on stdout, for programs."),
)
"""Options before or after the command's name: `batchrun -q submit …` and `batchrun submit -q …` mean the same."""


def speaking(command: F) -> F:
    """Gather --json, -q, -v and --color, from before and after the command's name, into `terminal`."""

    def gathered(*args: Any, json: bool, quiet: int, verbose: int, color: str, **kwargs: Any) -> Any:
        before = click.get_current_context().find_root().params
        terminal = Terminal(
            json=json or bool(before.get("json")),
            quiet=quiet + int(before.get("quiet") or 0),
            verbose=verbose + int(before.get("verbose") or 0),
            color=color if color != "auto" else str(before.get("color") or "auto"),
        )
        return command(*args, terminal=terminal, **kwargs)

    return with_options(command, gathered, SPEAKING)


def with_options(command: F, gathered: Callable[..., Any], options: Sequence[Callable[[Any], Any]]) -> F:
    """Put the gathering function in the command's place. Click lists `options` after the command's own options."""
    gathered.__doc__, gathered.__name__ = command.__doc__, command.__name__
    for option in options:
        gathered = option(gathered)
    own = getattr(command, "__click_params__", [])
    gathered.__click_params__ = [*getattr(gathered, "__click_params__", []), *own]  # type: ignore[attr-defined]
    return gathered  # type: ignore[return-value]


NEXT = click.option(
    "--next", type=click.IntRange(min=1), metavar="N", help="Send only the next N documents that have to be sent."
)
SELECTING = (
    click.option("--where", metavar="SQL", help="Take only documents for which the condition holds."),
    click.option("--source", multiple=True, metavar="GLOB", help="Take only documents from these files."),
    click.option("--id", multiple=True, metavar="ID", help="Take only these documents."),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Take only the first N of the selected documents."
    ),
)


def selecting(command: F) -> F:
    """Gather --limit, --next, --id, --source and --where into `selection`."""

    def gathered(*args: Any, limit: int | None, source: Sequence[str], where: str | None, **kwargs: Any) -> Any:
        selection = Selection(
            limit=limit,
            next=kwargs.pop("next", None),
            ids=frozenset(kwargs.pop("id")),
            sources=tuple(source),
            where=where,
        )
        return command(*args, selection=selection, **kwargs)

    return with_options(command, gathered, SELECTING)


class RunFlags(TypedDict):
    """The values of the options from `MAX_COST` to `LEAVING`, for `submit` and `retry`."""

    max_cost: int | None
    partial: bool
    partial_answers: bool
    pay_again: bool
    route: str | None
    deadline: float | None
    workers: "WorkersSetting | None"
    fail_fast: bool
    max_run_time: float | None
    no_wait: bool
    speed: float
    progress: str
    log: Path | None
    report: NotRequired[Path | None]
    live: NotRequired[bool]
    junit: NotRequired[Path | None]


def in_order(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order in which help lists the options."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


ROUTE = click.option(
    "--route",
    type=click.Choice(["stream", "batch", "auto"]),
    help="How requests travel. By default the job file decides.",
)
DEADLINE = click.option(
    "--deadline", type=DurationOption(), metavar="TIME", help="When all should be done, such as 45m or 24h."
)
WORKERS = click.option(
    "--workers",
    type=workers_setting,
    metavar="WHO",
    help="Who reads documents: auto, inline, a number of processes, ray or dask. By default the job file decides.",
)
PAY_AGAIN = click.option(
    "--pay-again",
    is_flag=True,
    help="Send also documents that have a row in the output which the ledger does not know.",
)
RUNNING = in_order(
    PAY_AGAIN,
    ROUTE,
    DEADLINE,
    WORKERS,
    click.option("--fail-fast", is_flag=True, help="Stop when the first document fails."),
    click.option(
        "--max-run-time",
        type=DurationOption(),
        metavar="TIME",
        help="Stop after this time, such as 45m. All answers are kept.",
    ),
    click.option(
        "--no-wait",
        is_flag=True,
        help="Submit and collect what is ready, and return: exit 10 while batches are in progress.",
    ),
)
SIMULATE = click.option(
    "--simulate",
    default=None,
    type=click.Choice(PROFILES),
    metavar="[=PROFILE]",
    help="Rehearse against the local simulator: no key, no cost, separate files.",
)
MAX_COST = click.option(
    "--max-cost", type=DollarsOption(), metavar="USD", help="A lower budget for the run than the job file's."
)
EXACT = click.option(
    "--exact",
    is_flag=True,
    help="Count the tokens of every document. By default only a sample is counted if there are many.",
)
READING_AGAIN = in_order(
    click.option(
        "--rescan", is_flag=True, help="Open all files, also those that have not changed since their answers."
    ),
    click.option("--reread", is_flag=True, help="Send documents again whose text an older reader found."),
)
REASK = click.option(
    "--reask",
    type=click.Choice(["new", "all"]),
    default="new",
    help="What documents are asked for that have an answer under the same prompt: only what is new, or all fields.",
)
PARTIAL = click.option(
    "--partial",
    is_flag=True,
    help="Begin although the budget is not enough for all documents, and stop at the budget: exit 4.",
)
PARTIAL_ANSWERS = click.option(
    "--partial-answers",
    is_flag=True,
    help="Send requests although most replies are expected to be cut off at max_tokens.",
)
PROGRESS = click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "lines", "none"]),
    default="auto",
    help="A bar, or a line a minute. auto: a bar on a terminal, else lines.",
)
WATCHING = in_order(
    click.option(
        "--speed",
        type=FiniteRange(min=0.01),
        default=20.0,
        show_default=True,
        help="The speed of the simulator's clock.",
    ),
    PROGRESS,
    click.option(
        "--log",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Append a line of JSON for every attempt: model, tokens, latency, cost, error, but no text.",
    ),
)
LEAVING = in_order(
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write the HTML report of the run, instead of where [report] says.",
    ),
    click.option("--live", is_flag=True, help="Write the report every 15 s while the run goes on; it reloads itself."),
    click.option(
        "--junit",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write the outcome of every document as JUnit XML.",
    ),
)
LEDGER = click.option(
    "--ledger",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The ledger's file, if it is not the project's own.",
)
