"""On a terminal lines are broken between words, and what is to be typed stays whole."""

import pytest
from command_line import CommandLine, on_a_terminal
from trial_project import TrialProject

from batchrun.cli.views.terminal import wrapped

LINES = {
    "short": ("cost     $0.10", "cost     $0.10"),
    "a label": (
        "counted  tiktoken cl100k, times the measured factor of this model",
        "counted  tiktoken cl100k, times the\n         measured factor of this model",
    ),
    "a route": (
        "> stream        $0.0059   (90%: $0.0046 to $0.0096)   about 4.8 s",
        "> stream        $0.0059   (90%: $0.0046\n                to $0.0096)   about\n                4.8 s",
    ),
    "a sentence": (
        "continuing run d064: $0.00 spent and $0.0006678 reserved",
        "continuing run d064: $0.00 spent and\n  $0.0006678 reserved",
    ),
    "a command": (
        "  next     batchrun submit jobs/a-long-name-of-a-job.toml   # continues with 15 documents",
        "  next     batchrun submit jobs/a-long-name-of-a-job.toml\n           # continues with 15 documents",
    ),
    "a command alone": ("To run this:  batchrun submit jobs/a-long-name.toml",) * 2,
    "an excerpt": ('9 | name = "a very long name of a model that nobody knows"',) * 2,
    "one long word": ("/a/path/that/is/longer/than/the/terminal/is",) * 2,
}


@pytest.mark.parametrize("line", LINES)
def test_lines_are_broken_between_words(line: str) -> None:
    text, shown = LINES[line]
    assert wrapped(text, 40) == shown


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_no_word_is_broken(project: TrialProject, columns: int) -> None:
    project.documents(3)
    shown = on_a_terminal(project.root, "plan jobs/trial.toml", columns)
    assert all(len(line) <= columns for line in shown if "batchrun submit" not in line), shown
    assert any(line.endswith("narrows it") for line in shown)
    assert any("To run this:  " in line for line in shown)


@pytest.mark.slow
def test_plan_v_has_a_line_for_each_document(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)
    project.document("empty.txt", " ")
    lines = batchrun("plan jobs/trial.toml -v --source 'docs/*[0e]*'").out.splitlines()
    assert lines[:4] == [
        "new                  docs/0000.txt   3 tokens of cl100k",
        "new                  docs/0001.txt   3 tokens of cl100k",
        "new                  docs/0002.txt   3 tokens of cl100k",
        "empty                docs/empty.txt   the document is empty",
    ]
    assert "docs/0000.txt" not in batchrun("plan jobs/trial.toml").out
