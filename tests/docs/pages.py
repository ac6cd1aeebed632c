"""The pages of the documentation, taken apart: what a reader would type, and what that is said to print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import filterfalse
from pathlib import Path

from command_line import REPOSITORY

DOCS = REPOSITORY / "batchrun" / "docs"


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of a page, with the lines that the page says it prints; None if the page says nothing of them."""

    line: str
    prints: str | None = None

    @property
    def is_batchrun(self) -> bool:
        """Whether the line is a command of batchrun alone, which can be run in this process."""
        return re.match(r"(?:uv run )?batchrun ", self.line) is not None and not re.search(r"[|;&>]", self.line)

    @property
    def arguments(self) -> str:
        """What stands behind the name of the program."""
        return self.line.removeprefix("uv run ").removeprefix("batchrun ")


SAID = {"", "text", "console"}
"""The languages of blocks that show what a program says."""
HOME = "/home/ada/office"
"""What pages show in place of the folder in which the tests run."""
SOMETIMES = re.compile(r"^ *waited |^\S+ info  run=|^requests go to http://127")
"""Lines that depend on how busy the machine is, that no terminal shows, or that name the API of the tests."""


def path_of(name: str) -> Path:
    """The file of a page, `README` included."""
    return REPOSITORY / "README.md" if name == "README" else DOCS / f"{name}.md"


def page(name: str) -> str:
    """The text of a page."""
    return path_of(name).read_text("utf-8")


def shown(text: str) -> Iterator[Shown]:
    """The commands of a text in their order: lines of `sh` blocks, and lines that begin with `$` in other blocks."""
    for language, block in blocks(text):
        if language == "sh":
            lines = (re.sub(r"(^|\s)# .*$", "", line).strip() for line in block.splitlines())
            yield from (Shown(line) for line in lines if line)
        elif language in SAID and block.startswith("$ "):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                line, _, prints = part.partition("\n")
                yield Shown(line.strip(), prints)


def shown_alone(text: str) -> list[str]:
    """The first lines of blocks that show what a program says without the command."""
    return [block.partition("\n")[0] for language, block in blocks(text) if language in SAID and block[:2] != "$ "]


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a text, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def lasting(said: str) -> str:
    """What a command said, without lines that it says only sometimes."""
    return "\n".join(filterfalse(SOMETIMES.match, said.rstrip().splitlines())) + "\n"


def shape(text: str) -> list[str]:
    """The lines of an output without what differs from one run to the next: numbers, ids, hashes, widths."""
    shapes = []
    for line in lasting(text).splitlines():
        line = re.sub(r"\b[0-9a-f]{12,64}\b", "HASH", line)  # noqa: PLW2901
        line = re.sub(r"\b(?:sim-)?[0-9a-f]{4}\b", "RUN", line)  # noqa: PLW2901
        line = re.sub(r"-?\d[\d,.:]*[kM]?|-(?=0)", "0", line)  # noqa: PLW2901
        line = re.sub(r"\b0 (?:ms|min|h)\b", "0 s", line)  # noqa: PLW2901 - a machine may be slow
        line = re.sub(r"\s+\+?0%$", "", line)  # noqa: PLW2901 - a change that is none is left out
        shapes.append(re.sub(r"[\s─]+", " ", line).strip())
    return [line for line in shapes if line]


def differs(said: str, told: str) -> str | None:
    """Say where the shape of an output is not the one that a page shows. A line of `…` stands for any lines."""
    wanted, found = shape(said), iter(shape(told))
    if wanted == ["…"]:
        return "the page shows nothing of it"
    skips = False
    for line in wanted:
        if line == "…":
            skips = True
            continue
        for other in found:
            if other == line:
                break
            if not skips:
                return f"the page says  {line}\nthe program    {other}"
        else:
            return f"the program never says  {line}"
        skips = False
    return None if skips or (left := next(found, None)) is None else f"the page leaves out  {left}"
