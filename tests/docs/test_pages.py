"""Every command of the documentation, run as printed: it exits as the page says, and prints what the page shows."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cli_reference
import house_picture
import pytest
from command_line import REPOSITORY, CommandLine, serving, talking_to
from pages import DOCS, Shown, differs, page, path_of, shown

from batchrun.errors import ExitCode
from batchrun.estimation.text_class import TextClass, factor

Prepare = Callable[[CommandLine], object]
"""Brings the folder into the state in which a reader would type the commands of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a page takes for granted, and what it tells of its commands beside their output."""

    prepare: Prepare = lambda _: None
    before: Mapping[str, Prepare] = field(default_factory=dict)
    """What happens between two commands of a page, by the line before which it happens."""
    codes: Mapping[str, int] = field(default_factory=dict)
    """The exit codes of lines that do not exit with 0."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What a reader writes in place of the names of a page."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Lines that cannot be run here, each with the test that runs it, or the reason."""


HARMLESS = {"rm", "mkdir", "cp"}
"""What a line of the shell may begin with, to be run in the folder of the test."""


def submitted(batchrun: CommandLine) -> None:
    """The sample job has run."""
    assert batchrun("submit -q jobs/contracts.toml").code == ExitCode.OK


def submitted_twice(batchrun: CommandLine) -> None:
    """The sample job has run, and runs once more after its prompt has changed."""
    submitted(batchrun)
    job = Path("jobs/contracts.toml")
    job.write_text(job.read_text("utf-8").replace("You extract", "You carefully extract"), "utf-8")
    shutil.copy(job, "jobs/strong.toml")
    assert batchrun("plan -q jobs/contracts.toml -o plan.json").code == ExitCode.OK


def too_few_tokens(_: CommandLine) -> None:
    """Replies of the sample job may have 60 tokens only."""
    change("jobs/contracts.toml", r"(?m)^max_tokens = .*", "max_tokens = 60")


def enough_tokens(_: CommandLine) -> None:
    """Replies of the sample job have room again."""
    shutil.copy(REPOSITORY / "jobs" / "contracts.toml", "jobs/contracts.toml")


def change(path: str, pattern: str, text: str) -> None:
    """Change a file of the folder."""
    before = Path(path).read_text("utf-8")
    Path(path).write_text(after := re.sub(pattern, text, before), "utf-8")
    assert after != before


SETS_UP = "it sets up an environment: `.ci/run` and the newcomer's test of tests/test_own_folder.py do"
DESTROYS = "it is told as what not to do lightly"
SCENES: Mapping[str, Scene] = {
    "README": Scene(elsewhere={
        "pip install uv && uv run batchrun submit jobs/contracts.toml --simulate": SETS_UP,
        "pip install uv && uv run pytest": SETS_UP,
    }),
    "batches": Scene(
        names={"msgbatch_01Hk": "msgbatch_none"},
        codes={
            "batchrun batches contracts --adopt msgbatch_01Hk": ExitCode.USAGE,
            "batchrun batches contracts --resend": ExitCode.USAGE,
            "batchrun batches contracts --resend --pay-again": ExitCode.USAGE,
        },
    ),
    "contributing": Scene(elsewhere={
        'pip install uv && uv run pytest -m "not slow"': SETS_UP,
        ".ci/run": SETS_UP,
    }),
    "estimate": Scene(
        before={"batchrun submit jobs/contracts.toml": too_few_tokens, "batchrun plan jobs/contracts.toml -o plan.json": enough_tokens},
        codes={"batchrun submit jobs/contracts.toml": ExitCode.REFUSED},
    ),
    "failures": Scene(prepare=submitted, names={"--doc ID": "--doc sample_data/contracts/loan-ferrow-bank.txt"}),
    "pilot": Scene(),
    "privacy": Scene(prepare=submitted),
    "quality": Scene(prepare=submitted),
    "recipes": Scene(prepare=submitted_twice),
}  # fmt: skip


@pytest.fixture
def batchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """The command line in a copy of the samples, with a key for an API that is a simulator."""
    for folder in ("jobs", "sample_data"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "batchrun.toml").touch()
    monkeypatch.chdir(tmp_path)
    with serving() as api:
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        yield CommandLine(capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_commands_do_as_their_page_says(name: str, batchrun: CommandLine) -> None:
    scene = SCENES[name]
    scene.prepare(batchrun)
    for command in shown(page(name)):
        if command.line in scene.elsewhere:
            continue
        line = command.line
        scene.before.get(line, lambda _: None)(batchrun)
        for written, meant in scene.names.items():
            line = line.replace(written, meant)
        code, said = run(Shown(line), batchrun)
        assert code == scene.codes.get(command.line, ExitCode.OK), f"{line}\n{said}"
        if command.prints is not None and (wrong := differs(command.prints, said)):
            assert renewed(name, command, said), f"{line}\n{wrong}\n\n{said}"


def renewed(name: str, command: Shown, said: str) -> bool:
    """Write what a command says into its page, if whoever runs the tests wants that: RENEW_DOCS=1 pytest tests/docs."""
    if not os.environ.get("RENEW_DOCS") or command.prints is None:
        return False
    path = path_of(name)
    path.write_text(path.read_text("utf-8").replace(command.prints, said.rstrip() + "\n"), "utf-8")
    return True


def run(command: Shown, batchrun: CommandLine) -> tuple[int, str]:
    """Run a line, in this process if the line is a command of batchrun. Returns the exit code and what was said."""
    if command.is_batchrun:
        ran = batchrun(command.arguments)
        return ran.code, re.sub(r"^requests go to http://127.*\n", "", ran.words)  # a reader's API is the usual one
    assert command.line.split()[0] in HARMLESS, f"not run here: {command.line}"
    ran_by_shell = subprocess.run(["sh", "-c", command.line], capture_output=True, text=True, timeout=60, check=False)
    return ran_by_shell.returncode, ran_by_shell.stdout + ran_by_shell.stderr


def test_every_page_with_commands_is_run() -> None:
    pages = {path.stem for path in DOCS.glob("*.md") if any(shown(path.read_text("utf-8")))}
    assert pages | {"README"} == set(SCENES)


# --- pages that are made from the program


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    assert page("cli") == cli_reference.page(), "to write it anew: python tests/docs/cli_reference.py"


def test_the_picture_of_the_house_is_up_to_date() -> None:
    drawn = house_picture.PICTURE.read_text("utf-8")
    assert drawn == house_picture.picture(), "to draw it anew: python tests/docs/house_picture.py"


def test_the_factors_that_the_derivation_names_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| ([\d.]+) \(([\d.]+) to ([\d.]+)\) \| ([\d.]+) \(([\d.]+) to ([\d.]+)\) \|$",
                      page("estimate-method"), re.MULTILINE)  # fmt: skip
    assert {name for name, *_ in rows} == {kind for kind in TextClass if not kind.is_native}
    for name, *numbers in rows:
        intervals = [factor(tokenizer, TextClass(name)) for tokenizer in ("old", "new")]  # type: ignore[arg-type]
        known = [value for one in intervals for value in (one.mean, one.low, one.high)]
        assert [float(number) for number in numbers] == known
