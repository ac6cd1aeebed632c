"""How a check inside the job file's models says no, in words that the problem report shows unchanged."""

from collections.abc import Callable

from pydantic_core import PydanticCustomError

REFUSAL = "job_file_refusal"


def refusal(sentence: str, *, key: str | None = None, hint: str | None = None) -> PydanticCustomError:
    """Make the error for a value that cannot be used; `key` names the culprit inside a table."""
    return PydanticCustomError(REFUSAL, "{sentence}", {"sentence": sentence, "key": key, "hint": hint})


def wrong_value(expected: str, *, key: str | None = None, hint: str | None = None) -> PydanticCustomError:
    """Make the error for a value that is not what was expected; the report adds what it got."""
    context = {"sentence": f"input should be {expected}", "key": key, "hint": hint, "show_value": True}
    return PydanticCustomError(REFUSAL, "{sentence}", context)


def one_of(allowed: tuple[str, ...], *, key: str | None = None) -> PydanticCustomError:
    """Make the error for a word that is none of the allowed ones; the report adds the closest."""
    context = {"sentence": "input should be another word", "key": key, "allowed": allowed}
    return PydanticCustomError(REFUSAL, "{sentence}", context)


def matching(fits: Callable[[str], object], expected: str) -> Callable[[str], str]:
    """Make a check for text: returned as it is when it fits, refused with `expected` when not."""

    def check(text: str) -> str:
        if not fits(text):
            raise wrong_value(expected)
        return text

    return check
