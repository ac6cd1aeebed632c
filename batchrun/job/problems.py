"""Problems of a job file as a person sees them: the sentence, the line with a caret under the culprit, and help."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.escaping import columns_of, escape_control
from batchrun.job.toml_positions import Span

_SHOWN_COLUMNS = 110
_BEFORE_CARET = 60
_TAB = "    "
_GIVEN = "(given by a program)"


def path_of_given(root: Path) -> Path:
    """Return the path that stands for the file of a job that a program gives: nothing is there."""
    return root / _GIVEN


def is_given(path: Path) -> bool:
    """Whether a path stands for the file of a job that a program gave."""
    return path.name == _GIVEN


@dataclass(frozen=True)
class TextFile:
    """A file of the job, with its text as it may be shown."""

    path: Path
    text: str

    @property
    def shown_path(self) -> str:
        """The path from the current directory when the file is below that directory, else the whole path."""
        here = Path.cwd()
        if is_given(self.path):
            return "the dictionary of the job"
        return escape_control(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    @property
    def end(self) -> Span:
        """The place behind the last word, where something missing would go."""
        end = len(self.text.rstrip())
        return Span(end, end)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one place of a file."""

    message: str
    file: TextFile
    span: Span
    hint: str | None = None

    def __str__(self) -> str:
        if is_given(self.file.path):  # there is no line to show, and the message names the key
            return f"error: {escape_control(self.message)}" + (
                f"\nhelp: {escape_control(self.hint)}" if self.hint else ""
            )
        text, start = self.file.text, self.span.start
        line_start = text.rfind("\n", 0, start) + 1
        line, _, _ = text[line_start:].partition("\n")
        number, column = text.count("\n", 0, line_start) + 1, start - line_start
        source, carets = _excerpt(line, start=column, end=self.span.end - line_start)
        margin = " " * len(str(number))
        lines = [
            f"error: {escape_control(self.message)}",
            f"{margin}--> {self.file.shown_path}:{number}:{column + 1}",
            f"{margin} |",
            f"{number} | {source}".rstrip(),
            f"{margin} | {carets}",
        ]
        return "\n".join([*lines, f"{margin} = help: {escape_control(self.hint)}"] if self.hint else lines)


class JobFileError(UsageProblem):
    """Everything wrong with a job file, in file order; nothing was sent."""

    def __init__(self, problems: Iterable[Problem], *, file: TextFile) -> None:
        # The problems of the job file stand before the problems of other files.
        order = sorted(problems, key=lambda one: (one.file.path != file.path, str(one.file.path), one.span.start))
        self.problems = tuple(order)
        many = "" if len(self.problems) == 1 else "s"
        where = file if any(one.file.path == file.path for one in self.problems) else self.problems[0].file
        summary = f"batchrun: {len(self.problems)} problem{many} in {where.shown_path}; nothing was sent"
        self.rendered = "\n\n".join([*(str(problem) for problem in self.problems), summary])
        """The whole report."""
        # Whoever prints an error puts the word "error" before the message; the report has the word before each problem.
        super().__init__(self.rendered.removeprefix("error: "))


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that was probably meant."""
    by_folded = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def _excerpt(line: str, *, start: int, end: int) -> tuple[str, str]:
    """Cut a long line around the culprit; also return the carets that underline the culprit."""
    before, culprit, after = (
        escape_control(part.replace("\t", _TAB)) for part in (line[:start], line[start:end], line[end:])
    )
    if columns_of(before + culprit + after) > _SHOWN_COLUMNS:
        before = before if len(before) <= _BEFORE_CARET else "…" + before[-_BEFORE_CARET:]
        room = _SHOWN_COLUMNS - len(before)
        rest = culprit + after
        culprit = culprit[:room]
        after = rest[len(culprit) : room] + "…" * (len(rest) > room)
    return before + culprit + after, " " * columns_of(before) + "^" * max(1, columns_of(culprit))
