"""Every command of the documentation, run as printed: it exits as the page says, and prints what the page shows."""

import contextlib
import datetime as dt
import io
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import cli_reference
import house_picture
import provider_table
import pytest
from command_line import REPOSITORY, CommandLine, serving, talking_to
from pages import DOCS, HOME, Shown, blocks, differs, lasting, page, path_of, shown, shown_alone
from scenes import SCENES, nothing

from batchrun import cli
from batchrun.catalog.price_table import load_prices
from batchrun.cli.next_command import program
from batchrun.errors import ExitCode
from batchrun.estimation.text_class import TextClass, factor
from batchrun.job.project import ProjectSpec
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers.capabilities import Capabilities, capabilities_of

TODAY = dt.date(2026, 11, 30)
"""The day of the pages: later, prices get old and commands say so."""

HARMLESS = {"rm", "mkdir", "cp"}
"""What a line of the shell may begin with, to be run in the folder of the test."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which all pages are tried, one after the other, with a key for an API that is a simulator."""
    with serving() as api, pytest.MonkeyPatch.context() as patch:
        for name, value in talking_to(api).items():
            patch.setenv(name, value)
        patch.setattr("batchrun.execution.ledger_writer.BALLAST_BYTES", 4096)
        patch.setattr("batchrun.workflow.open_job.utc_today", lambda: TODAY)
        yield tmp_path_factory.mktemp("page") / "project"


@pytest.fixture(scope="module")
def submitted(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder after the sample job has run, kept elsewhere to be copied."""
    samples(project)
    kept = tmp_path_factory.mktemp("kept") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert cli.run(["submit", "-q", "jobs/contracts.toml"]) == ExitCode.OK
    return Path(shutil.move(project, kept))


def samples(project: Path) -> None:
    """Begin anew with the samples alone."""
    shutil.rmtree(project, ignore_errors=True)
    for folder in ("jobs", "sample_data"):
        shutil.copytree(REPOSITORY / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "batchrun.toml").touch()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCENES if any(shown(page(name)))])
def test_commands_do_as_their_page_says(
    name: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    scene, batchrun = SCENES[name], CommandLine(capsys)
    before = dict(scene.before)
    if scene.begins == "submitted":
        kept = request.getfixturevalue("submitted")
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(kept, project)
    else:
        samples(project)
    monkeypatch.chdir(project)
    scene.prepare(batchrun)
    for command in shown(page(name)):
        if command.line in scene.elsewhere:
            continue
        before.pop(command.line, nothing)(batchrun)
        line = command.line
        for written, meant in scene.names.items():
            line = line.replace(written, meant()) if written in line else line
        code, said = run(Shown(line))
        assert code == scene.codes.get(command.line, ExitCode.OK), f"{line}\n{said}"
        if command.prints is not None and (wrong := differs(command.prints, said)):
            assert renewed(name, command, said), f"{line}\n{wrong}\n\n{said}"


def renewed(name: str, command: Shown, said: str) -> bool:
    """Write what a command says into its page, if whoever runs the tests wants that: RENEW_DOCS=1 pytest tests/docs."""
    if not os.environ.get("RENEW_DOCS") or command.prints is None:
        return False
    path, begin = path_of(name), f"$ {command.line}\n"
    text = path.read_text("utf-8").replace(begin + command.prints, begin + lasting(said).lstrip("\n"))
    path.write_text(text, "utf-8")
    return True


def run(command: Shown) -> tuple[int, str]:
    """Run a line, in this process if the line is a command of batchrun. Returns the exit code and what was said."""
    if command.is_batchrun:
        return together(command.arguments, with_uv=command.line.startswith("uv run "))
    assert command.line.split()[0] in HARMLESS, f"not run here: {command.line}"
    ran_by_shell = subprocess.run(["sh", "-c", command.line], capture_output=True, text=True, timeout=60, check=False)
    return ran_by_shell.returncode, ran_by_shell.stdout + ran_by_shell.stderr


def together(arguments: str, *, with_uv: bool) -> tuple[int, str]:
    """Run a command whose stdout and stderr are one, as on a terminal. Returns the exit code and what was said."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), pytest.MonkeyPatch.context() as patch:
        if with_uv:
            patch.setenv("UV_RUN_RECURSION_DEPTH", "1")
        program.cache_clear()
        code = cli.run(shlex.split(arguments))
    program.cache_clear()
    said.seek(0)
    return int(code), said.read().replace(str(Path.cwd()), HOME)


def test_every_page_with_commands_or_outputs_is_held() -> None:
    texts = {path.stem: path.read_text("utf-8") for path in [REPOSITORY / "README.md", *DOCS.glob("*.md")]}
    assert {name for name, text in texts.items() if any(shown(text)) or shown_alone(text)} == set(SCENES)
    for name, scene in SCENES.items():
        if name != "cli":  # made from the program; see below
            assert sorted(shown_alone(texts[name])) == sorted(scene.shown), name
        lines = {command.line for command in shown(texts[name])}
        assert lines >= {*scene.before, *scene.codes, *scene.elsewhere}, name
        assert [key for key in scene.names if not any(key in line for line in lines)] == [], name


def test_what_is_run_elsewhere_is_there() -> None:
    told = [why for scene in SCENES.values() for why in (*scene.elsewhere.values(), *scene.shown.values())]
    files = {file for why in told for file in re.findall(r"tests/[\w/]+\.py", why)}
    assert files
    assert [file for file in files if not (REPOSITORY / file).exists()] == []


@pytest.mark.parametrize("path", [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda path: path.stem)
def test_blocks_of_toml_are_toml(path: Path) -> None:
    for language, block in blocks(path.read_text("utf-8")):
        if language == "toml":
            tomllib.loads(block)


def test_the_prices_of_a_gateway_are_read(tmp_path: Path) -> None:
    (block,) = [block for _, block in blocks(page("providers")) if "[[model]]" in block]
    (tmp_path / "prices.toml").write_text(block, "utf-8")
    table = load_prices(today=TODAY, override=tmp_path / "prices.toml")
    assert table.prices["team/claude-sonnet"].context_window == 1_000_000


def test_the_sections_of_providers_are_read() -> None:
    (block,) = [block for _, block in blocks(page("providers")) if block.startswith("[provider]")]
    spec = ProjectSpec.model_validate(tomllib.loads(block))
    assert spec.provider.type == "bedrock"
    assert [*spec.providers] == ["foundry", "home"]


# --- pages that are made from the program


def test_the_table_of_capabilities_is_up_to_date() -> None:
    assert page("providers") == provider_table.page(), "to write it anew: python tests/docs/provider_table.py"
    able = {capabilities_of(ProviderSection(type=kind)) for kind in ("anthropic", "aws", "google")}
    assert len(able) == 1, "they share a column"
    told = {field.name for field in fields(Capabilities)} - {"max_body", "max_batch_bytes"}
    assert told == {*provider_table.ROWS, "min_batch_requests", "max_batch_requests"}


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
