"""`batchrun docs`: every page of the documentation, without a clone."""

import pytest
from command_line import REPOSITORY, CommandLine

from batchrun.errors import ExitCode

DOCS = REPOSITORY / "batchrun" / "docs"


def test_every_page_is_listed_with_its_title(batchrun: CommandLine) -> None:
    listed = dict(line.split(maxsplit=1) for line in batchrun("docs").out.splitlines())
    assert listed == {
        path.stem: path.read_text("utf-8").splitlines()[0].removeprefix("# ") for path in DOCS.glob("*.md")
    }


@pytest.mark.parametrize("topic", ["budgets", "job-file", "words"])
def test_a_page_is_shown(batchrun: CommandLine, topic: str) -> None:
    assert batchrun(f"docs {topic}").out.strip() == (DOCS / f"{topic}.md").read_text("utf-8").strip()


def test_a_page_that_is_none(batchrun: CommandLine) -> None:
    ran = batchrun("docs budget")
    assert (ran.code, "did you mean budgets?" in ran.err) == (ExitCode.USAGE, True)
    assert batchrun("docs ../../secrets").code == ExitCode.USAGE
