"""Every way in which batchrun says no: what happened, what to type next, and the exit code that a script sees."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The code that a script sees. Any code not listed is a failure."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    REFUSED = 3
    STOPPED = 4
    ENVIRONMENT = 5
    AMBIGUOUS = 6
    UNFINISHED = 10
    BUG = 70
    BUSY = 75
    INTERRUPTED = 130
    TERMINATED = 143


class BatchrunError(Exception):
    """An error meant for a person: shown without a traceback. `hint` says what to do next."""

    exit_code = ExitCode.ENVIRONMENT
    word = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageProblem(BatchrunError):
    """The command or the job file is wrong; nothing was sent."""

    exit_code = ExitCode.USAGE


class Refused(BatchrunError):
    """The job was understood and is not run: too expensive, too big, ambiguous. Nothing was sent."""

    exit_code = ExitCode.REFUSED
    word = "refused"


class Stopped(BatchrunError):
    """A run reached a limit, of money or failures, and stopped. All answers are saved."""

    exit_code = ExitCode.STOPPED
    word = "stopped"


class Ambiguous(BatchrunError):
    """Nobody knows whether a batch was created: a person decides, since a wrong guess is paid twice."""

    exit_code = ExitCode.AMBIGUOUS
    word = "ambiguous"


class EnvironmentProblem(BatchrunError):
    """Key, permission, network, model, disk: something around the job must be put right."""

    exit_code = ExitCode.ENVIRONMENT


class Busy(BatchrunError):
    """Another process uses this job or this file; the same command will work later."""

    exit_code = ExitCode.BUSY
    word = "busy"


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code of a command that an exception ends: whatever is not meant for a person is a bug."""
    if isinstance(error, BatchrunError):
        return error.exit_code
    return ExitCode.BUG if isinstance(error, Exception) else ExitCode.INTERRUPTED
