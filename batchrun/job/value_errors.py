"""The errors by which checks of the job file's values say no, in words that the problem report shows unchanged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

T = TypeVar("T")

REFUSAL = "job_file_refusal"


def refusal(
    sentence: str, *, key: str | tuple[str | int, ...] | None = None, hint: str | None = None
) -> PydanticCustomError:
    """Make the error for a value that cannot be used; `key` names the culprit inside a table, or the way to it."""
    return PydanticCustomError(REFUSAL, "{sentence}", {"sentence": sentence, "key": key, "hint": hint})


def wrong_value(expected: str, *, hint: str | None = None) -> PydanticCustomError:
    """Make the error for a value that is not as expected; the report adds the value."""
    context = {"sentence": f"input should be {expected}", "hint": hint, "show_value": True}
    return PydanticCustomError(REFUSAL, "{sentence}", context)


def one_of(allowed: tuple[str, ...], *, key: str | None = None) -> PydanticCustomError:
    """Make the error for a word that is not allowed; the report adds the closest allowed word."""
    context = {"sentence": "input should be another word", "key": key, "allowed": allowed}
    return PydanticCustomError(REFUSAL, "{sentence}", context)


@dataclass(frozen=True, slots=True)
class matching:  # noqa: N801 - it is used as a function that makes a check
    """A check that returns a text unchanged if the text fits, and otherwise refuses the text with `expected`."""

    fits: Callable[[str], object]
    expected: str

    def __call__(self, text: str) -> str:
        """Check a text."""
        if not self.fits(text):
            raise wrong_value(self.expected)
        return text


def held(section: T, *checks: Callable[[], None]) -> T:
    """Return a section that keeps to all checks. Raises the problems of all checks that it does not keep to."""
    problems: list[InitErrorDetails] = []
    for check in checks:
        try:
            check()
        except PydanticCustomError as error:
            problems.append({"type": error, "input": section})
    if problems:
        raise ValidationError.from_exception_data(type(section).__name__, problems)
    return section
