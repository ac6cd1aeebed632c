"""The command line: commands, progress and messages. Printing lives here and nowhere else."""

import sys
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from keyword import iskeyword

import click

from batchrun import __version__
from batchrun.cli.options import SPEAKING
from batchrun.cli.permissions import owner_alone
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import BatchrunError, ExitCode
from batchrun.execution.open_files import raise_open_files
from batchrun.file_system import machine_fault

COMMANDS = (
    "init", "plan", "try", "submit", "status", "cost", "retry", "cancel", "batches", "results", "report", "check",
    "eval", "compare", "tune", "review", "sync", "adopt", "cache", "doctor", "providers", "schema", "docs", "simulate",
    "bench", "prove", "verify", "leases", "completion",
)  # fmt: skip
"""The commands in the order of a day's work. A command's module is imported when the command is called: `--help` has to
be instant."""


class Commands(click.Group):
    """The group that finds a command by the name of the command's module."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Keep the order of `COMMANDS`; click would sort the names."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a command for a misspelt name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import the one module that is needed."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name  # no function can be called `try`
        return getattr(import_module(f"batchrun.cli.commands.{name}"), name)  # type: ignore[no-any-return]


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="batchrun")
def batchrun(**_: object) -> None:  # the commands read these
    """Run a prompt over thousands of documents with Claude.

    \b
    batchrun init letters                 look at a folder, and write a job for it
    batchrun plan jobs/contracts.toml     what it will cost; never sends
    batchrun try jobs/contracts.toml      three documents in full, for a cent or two
    batchrun submit jobs/contracts.toml   run it, or continue it after a failure
    batchrun results contracts            look at the rows
    batchrun docs                         the documentation
    """  # noqa: D301 - \b makes click keep the lines


for option in SPEAKING:
    batchrun = option(batchrun)


def main() -> None:
    """Run a command and exit with the exit code of the command."""
    raise_open_files()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that lacks a character gets an escape for it
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())


def run(args: list[str] | None = None) -> int:
    """Run a command and return one of `ExitCode`."""
    terminal = Terminal.of(args if args is not None else sys.argv[1:])
    try:
        with owner_alone():
            result = batchrun.main(args, "batchrun", standalone_mode=False, auto_envvar_prefix="BATCHRUN")
        return result if isinstance(result, int) else ExitCode.OK
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        terminal.event_error("usage", ExitCode.USAGE, error.format_message())
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        terminal.say("interrupted; nothing is lost: the same command goes on")
        return ExitCode.INTERRUPTED
    except BatchrunError as error:
        terminal.problem(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - a bug shows its traceback and has an exit code of its own
        return unexpected(error, terminal)


def unexpected(error: Exception, terminal: Terminal) -> ExitCode:
    """Show an error that no command expected: a machine that failed, or a bug, with its traceback."""
    if fault := machine_fault(error):
        terminal.problem(fault)
        return fault.exit_code
    terminal.traceback(error)
    terminal.say("this is a bug in batchrun; what was answered is safe in the ledger")
    return ExitCode.BUG
