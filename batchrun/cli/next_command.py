"""The commands that a person is told to type next: as the program was called, quoted, with the options typed before."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

COMMAND = re.compile(r"batchrun'? (?=[a-z]{2})")
"""The program's name before the name of a command, in a text for people, however the program is called."""
PLAIN_COMMAND = re.compile(r"(?<![\w./-])(?<!uv run )(?<!-m )batchrun (?=[a-z]{2})")
"""The program's name before the name of a command, where nothing says yet how the program was called."""
NOT_OF_A_RUN = frozenset({
    "json", "quiet", "verbose", "color", "check", "online", "compare", "output", "plan_file", "ledger", "status",
    "max_tokens", "profile", "job", "workers",
})  # fmt: skip
"""Options that a submit that goes on with the same work does not take, or that change nothing of the work."""


@cache
def program() -> str:
    """Return how this program was called, as a person types the call."""
    if os.environ.get("UV_RUN_RECURSION_DEPTH"):  # set by `uv run`, whose environment is on the path only inside
        return "uv run batchrun"
    called = Path(sys.argv[0])
    if called.parts[-2:] == ("batchrun", "__main__.py"):
        python = Path(sys.executable)
        on_path = shutil.which(python.name) == str(python)
        return f"{python.name if on_path else shlex.quote(typed_path(python))} -m batchrun"
    found = shutil.which("batchrun")
    if called.name != "batchrun" or (found and Path(found).absolute() == called.absolute()):
        return "batchrun"
    return shlex.quote(sys.argv[0])


def as_called(text: str) -> str:
    """Replace the program's name before commands in a text by the way in which the program was called."""
    return PLAIN_COMMAND.sub(lambda _: f"{program()} ", text)


def command(name: str, argument: Path | None, options: Sequence[str] = ()) -> str:
    """Return a command as a person types it; a path is relative to the current directory, if that is shorter."""
    words = [shlex.quote(typed_path(argument))] if argument else []
    return " ".join([program(), name, *words, *map(_quoted, options)])


def again(job: str, argument: Path, options: Sequence[str] = ()) -> str:
    """Return the command that goes on with the runs of a job as the ledger names it."""
    from batchrun.job.tune_section import is_tuned

    return command("tune" if is_tuned(job) else "submit", argument, options)


def typed_path(path: Path) -> str:
    """Return a path as a person would type the path here."""
    return min(str(path), os.path.relpath(path), key=len)


def typed_command() -> tuple[str, ...]:
    """Return the command that runs, and its options, as in `Plan.typed`. Returns nothing if a ledger would cut them."""
    from batchrun.strategy.plan_record import MOST_CHARACTERS, MOST_ENTRIES

    ctx = click.get_current_context(silent=True)
    words = (ctx.command.name or "", *_typed_options(ctx)) if ctx else ()
    return words if len(words) <= MOST_ENTRIES and all(len(word) <= MOST_CHARACTERS for word in words) else ()


def _typed_options(ctx: click.Context) -> tuple[str, ...]:
    """Return the options that were typed and that a submit of the same work takes, as a person types them."""
    words: list[str] = []
    for param in ctx.command.params:
        name = param.name or ""
        typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and isinstance(param, click.Option) and name not in NOT_OF_A_RUN:
            words += _words_of(param, ctx.params[name])
    return tuple(words)


def _words_of(option: click.Option, value: Any) -> list[str]:
    flag = option.opts[-1]
    if option.is_flag or (option.name == "simulate" and value == "calm"):
        return [flag]
    typed = getattr(option.type, "typed", "{:g}".format if isinstance(value, float) else str)
    return [f"{flag}={typed(one)}" for one in (value if isinstance(value, tuple) else (value,))]


def changed(options: Sequence[str], **values: object) -> tuple[str, ...]:
    """Return typed options with other values: `changed(options, max_cost="0.05")`; None leaves an option out."""
    given = {f"--{name.replace('_', '-')}": value for name, value in values.items()}
    kept = [word for word in options if word.partition("=")[0] not in given]
    return (*kept, *(f"{flag}={value}" for flag, value in given.items() if value is not None))


def _quoted(option: str) -> str:
    flag, equals, value = option.partition("=")
    return f"{flag}={shlex.quote(value)}" if equals else flag
