"""What the README and the pages of batchrun/docs say is so: commands, files, tables, words and examples."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import click
import duckdb
import pytest
from command_line import REPOSITORY, CommandLine
from trial_project import TrialProject

from batchrun import cli
from batchrun.errors import ExitCode
from batchrun.job.load import load_job
from batchrun.outcome import Outcome

README = (REPOSITORY / "README.md").read_text("utf-8")
DOCS = REPOSITORY / "batchrun" / "docs"
PAGES = {path: path.read_text("utf-8") for path in [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]}
ALL_PAGES = "\n".join(PAGES.values())
SETTING_UP = "pip install uv && "
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


def section(title: str) -> str:
    """The text under a heading, which stands on one page: a section, or a page with its title."""
    marked = re.compile(rf"^##? {re.escape(title)}\n", re.MULTILINE)
    ((_, text),) = (parts for page in PAGES.values() if len(parts := marked.split(page)) > 1)
    return text.split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [content for named, content in fenced if named == language]


def cells(text: str) -> list[list[str]]:
    """The rows of the first table, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# --- the commands


def test_two_commands_set_up_run_and_test() -> None:
    first, *_ = blocks(README, "sh")
    commands = [line.partition("#")[0].strip() for line in first.splitlines()]
    assert commands == [
        f"{SETTING_UP}uv run batchrun submit jobs/contracts.toml --simulate",
        f"{SETTING_UP}uv run pytest",
    ]
    assert PROJECT["project"]["scripts"] == {"batchrun": "batchrun.cli:main"}
    assert (REPOSITORY / "jobs" / "contracts.toml").exists()
    assert PROJECT["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]


def test_what_a_change_must_pass_uses_the_same_commands() -> None:
    """The tests run in two parts, which together are all of them: first those that are fast."""
    checks = (REPOSITORY / ".ci" / "run").read_text("utf-8")
    assert re.search(r"^pip install .*\buv$", checks, re.MULTILINE)
    assert re.findall(r"^uv run (?:--quiet )?pytest\b *(.*)$", checks, re.MULTILINE) == ['-m "not slow"', "-m slow"]
    assert '`uv run pytest -m "not slow"`' in section("The code")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.slow
def test_how_many_tests_there_are(collected: Counter[Path]) -> None:
    if not set((REPOSITORY / "tests").rglob("test_*.py")) <= collected.keys():
        pytest.skip("only some files of tests were collected")
    for text in (section("The code"), blocks(README, "sh")[0]):
        (told,) = re.findall(r"\b([\d,]+) tests\b", text)
        assert collected.total() == pytest.approx(int(told.replace(",", "")), rel=0.1)


def test_no_line_installs_the_program_of_the_same_name_on_the_index() -> None:
    assert PROJECT["project"]["name"] == "batchrun-documents"
    said = [*PAGES.values(), *(path.read_text("utf-8") for path in (REPOSITORY / "batchrun").rglob("*.py"))]
    installing = r"\b(?:pip|pipx|uvx|uv tool|uv pip|uv add)\b(?: run| install)?(?: -{1,2}[\w-]+)* +([^\s'\"`&]+)"
    installed = {name for text in said for name in re.findall(installing, text)}
    assert not {name for name in installed if re.split(r"[\[=<>]", name)[0] == "batchrun"}
    assert installed >= {"uv", "."}, "the pattern finds what is there"


def test_both_ways_of_setting_up_bring_what_the_tests_need() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=! ]", requirement)[0] for requirement in requirements}

    extra = names(PROJECT["project"]["optional-dependencies"]["test"])
    assert {"pytest", "hypothesis"} <= extra <= names(PROJECT["dependency-groups"]["dev"])
    assert ".[test]" in README


def options_of(command: click.Command, context: click.Context) -> set[str]:
    """Every option of a command and of the commands below it."""
    found = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= options_of(below, context)
    return found


def test_every_command_and_option_it_names_exists() -> None:
    program = cli.batchrun
    known = options_of(program, click.Context(program)) | {"--help"}
    shown = "\n".join([*blocks(ALL_PAGES, "sh"), *re.findall(r"`([^`\n]*batchrun [^`\n]*|--[^`\n]*)`", ALL_PAGES)])
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown)) <= known
    assert set(re.findall(r"\bbatchrun (?:-q )?([a-z]+)\b", shown)) <= set(cli.COMMANDS)


def test_every_command_is_described() -> None:
    assert [name for name in cli.COMMANDS if f"batchrun {name}" not in README] == []


# --- tables and words


def test_exit_codes() -> None:
    codes = [code for row in cells(section("Exit codes")) for code in row[0].split(", ")]
    assert [int(code) for code in codes] == list(ExitCode)


def test_outcomes() -> None:
    listed = re.search(r"\*\*Outcome\*\* (.*?)\.\n", section("The words"), re.DOTALL)
    assert listed
    assert set(re.findall(r"`(\w+)`", listed[1])) == set(Outcome)


# --- files


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links(path: Path) -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", PAGES[path]))
    assert [link for link in links if not link.startswith("https://") and not (path.parent / link).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    assert [path.name for path in PAGES if path.parent == DOCS and f"](batchrun/docs/{path.name})" not in README] == []


def test_files_it_speaks_of() -> None:
    spoken = re.findall(r"`((?:jobs|tests|execution|store|planning|sample_data|\.ci)/[\w./-]+)`", ALL_PAGES)
    assert spoken
    missing = [
        name for name in spoken if not ((REPOSITORY / name).exists() or (REPOSITORY / "batchrun" / name).exists())
    ]
    assert missing == []


def test_the_tree_is_the_tree() -> None:
    lines = re.findall(r"^ {6}(\S.*)$", section("The code"), re.MULTILINE)
    named = {word for line in lines for word in line.partition("  ")[0].split()}
    package = REPOSITORY / "batchrun"
    files = {path.name for path in package.glob("[!_]*.py")}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert named == files | folders - {"vocabulary/"}
    assert "vocabulary/" in section("The code"), "it is named beside what reads it"


def test_a_folder_imports_only_what_stands_above_it() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    floors = {
        name.strip().removeprefix("batchrun."): floor
        for floor, row in enumerate(reversed(layers))
        for name in row.split("|")
    }
    listed = re.findall(r"^ {6}(\w+)/ ", section("The code"), re.MULTILINE)
    order = [floors[name] for name in listed if name != "simulator"]
    assert order == sorted(order)


def test_where_things_are_decided_and_added() -> None:
    package = REPOSITORY / "batchrun"
    rows = [words for _, where in cells(PAGES[DOCS / "code.md"]) if (words := re.findall(r"`([^`]+)`", where))]
    assert len(rows) == 63
    for words in rows:
        path = package
        for word in words:
            if "/" in word or word.endswith(".py"):
                path = package / word
                assert path.exists(), word
            else:
                assert re.search(rf"(def|class) {word}\b", path.read_text("utf-8")), f"{word} of {path}"


# --- examples


def test_the_job_file_loads(tmp_path: Path) -> None:
    (text,) = blocks(section("The job file"), "toml")
    path = tmp_path / "contracts.toml"
    path.write_text(text, "utf-8")
    assert load_job(path).spec.job.name == "contracts"


def test_the_mistake_is_explained_as_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = blocks(section("The job file"), "")[0]
    (text,) = blocks(section("The job file"), "toml")
    path = tmp_path / "contracts.toml"
    path.write_text(text.replace('name = "claude', 'nmae = "claude'), "utf-8")
    told = CommandLine(capsys)(f"plan {path}").err

    def without_place(words: str) -> list[str]:
        return [re.sub(r"^( --> ).*|^\d+( \| .*)|^ +(\||=)", r"\1\2\3", line) for line in words.splitlines()]

    for line in without_place(shown):
        assert line in without_place(told)


@pytest.mark.slow
def test_queries(project: TrialProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.job("contracts", output_fields='governing_law = "string?"\nterm_months = "integer?"')
    project.documents(3)
    ran = CommandLine(capsys)(f"submit {project.root / 'jobs' / 'contracts.toml'} --simulate --speed 1000")
    assert ran.code == ExitCode.OK
    (text,) = blocks(section("Results"), "sql")
    queries = [query for query in text.split(";") if query.strip()]
    database = project.database.with_name("out.simulated.duckdb")
    with duckdb.connect(str(database), read_only=True) as connection:
        answers = [connection.execute(query).fetchall() for query in queries]
    assert len(answers) == 3
    assert sum(count for _, count, _ in answers[0]) == 3
    assert answers[1] == []
    ((run_id, cost, input_tokens),) = answers[2]
    assert run_id.startswith("sim-")
    assert cost > 0
    assert input_tokens > 0
