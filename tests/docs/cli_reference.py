"""Writes the reference of the commands, batchrun/docs/cli.md, from the commands themselves.

python tests/docs/cli_reference.py      writes the page anew
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from batchrun import cli

PAGE = Path(__file__).parents[2] / "batchrun" / "docs" / "cli.md"
BEGINNING = """\
# The commands

Every command with its options, as `batchrun COMMAND --help` shows them. This page is made from the program by
`tests/docs/cli_reference.py`, and a test holds the page against the program.

- `JOB` is a job file. `RUN` is a job file, a job's name, the beginning of a run's id, or `last`.
- Every option has an environment variable: `BATCHRUN_SUBMIT_MAX_COST=10` is `submit --max-cost 10`.
- `--json`, `-q`, `-v` and `--color` may stand before or behind the command's name.
- What the exit codes mean is said in [unattended](unattended.md#exit-codes).
"""
EVERYWHERE = {"json", "quiet", "verbose", "color", "help"}
"""Parameters that every command has. They are listed once."""


def page() -> str:
    """The whole page."""
    root = click.Context(cli.batchrun, info_name="batchrun")
    parts = [BEGINNING, "## For every command\n", *_options(cli.batchrun, EVERYWHERE, without=set())]
    for name in cli.COMMANDS:
        command = cli.batchrun.get_command(root, name)
        assert command is not None
        parts += _command(command, click.Context(command, info_name=name, parent=root), depth=2)
    return "\n".join(parts).rstrip() + "\n"


def _command(command: click.Command, context: click.Context, *, depth: int) -> Iterator[str]:
    """One command, and the commands below it."""
    yield f"\n{'#' * depth} {context.command_path}\n"
    text, _, examples = inspect.cleandoc(command.help or "").partition("\b\n")
    yield " ".join(_escaped(text).split()) + "\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {usage}\n```\n"
    if examples.strip():
        yield f"```text\n{inspect.cleandoc(examples).rstrip()}\n```\n"
    yield from _options(command, None, without=EVERYWHERE)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _command(below, click.Context(below, info_name=name, parent=context), depth=depth + 1)


def _options(command: click.Command, only: set[str] | None, *, without: set[str]) -> Iterator[str]:
    """The table of a command's options, if it has any."""
    context = click.Context(command)
    shown = [
        record
        for parameter in command.get_params(context)
        if parameter.name not in without and (only is None or parameter.name in only)
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context))
    ]
    if shown:
        yield "| option | what it does |\n|---|---|"
        yield from (
            f"| `{names.replace('|', '/')}` | {_escaped(words)} |" for names, words in shown if "--help" not in names
        )


def _escaped(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
