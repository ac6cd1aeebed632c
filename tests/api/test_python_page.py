"""The page and the notebook of the Python API: every block and every cell runs in order, and says what is shown."""

import ast
import asyncio
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import tomlkit
from command_line import REPOSITORY

import batchrun

pytestmark = pytest.mark.slow
DOCS = REPOSITORY / "batchrun" / "docs"
PAGE = (DOCS / "python.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", PAGE, re.MULTILINE | re.DOTALL)


def lasting(said: str) -> str:
    """What is the same every time: no ids, no times."""
    return re.sub(r"\b\d+(\.\d)? s\b", "# s", re.sub(r"sim-[0-9a-f]{4}", "sim-####", said))


@pytest.fixture(scope="module")
def page(folder: Path) -> dict[str, Any]:
    """What the blocks of the page define, once they have run."""
    names: dict[str, Any] = {}
    (folder / "jobs").mkdir()
    for code, shown in BLOCKS:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(code, names)
        assert lasting(said.getvalue()) == lasting(shown)
    text = tomlkit.dumps({**names["job"].file.text.values, "job": {"name": "in_a_file"}})
    (folder / "jobs" / "letters.toml").write_text(text)
    return names


def test_blocks_run_and_say_what_is_shown(page: dict[str, Any]) -> None:
    assert len(BLOCKS) == 9
    assert sum(bool(shown) for _, shown in BLOCKS) == 7


def test_tasks_of_ten_lines(page: dict[str, Any]) -> None:
    inbox = [{"doc_id": "x", "text": "Paris, 2 February 1922.", "sender": "Sylvia"}]
    told = page["extract_letters"](inbox)
    assert told["documents"] == 1
    rows, metadata = page["letters"](inbox)
    assert rows.fetchall()[0][0] == "x"
    assert metadata["run"] == told["run"]


def test_the_choices_of_the_page(page: dict[str, Any]) -> None:
    from batchrun.api.job import Choices

    assert set(re.findall(r"^\| `(\w+)=", PAGE, re.MULTILINE)) == set(Choices.__annotations__)
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {name for name in batchrun.__all__ if name in named} == named
    assert len(named) == 6


def cells(path: Path) -> list[str]:
    notebook = json.loads(path.read_text("utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def value_of(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does, inside a running loop, and return the value of its last line."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None

    async def run() -> Any:
        for part in (tree, ast.Expression(last.value) if isinstance(last, ast.Expr) else None):
            mode = "eval" if isinstance(part, ast.Expression) else "exec"
            if part is not None:
                found = eval(compile(part, "cell", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
                found = await found if asyncio.iscoroutine(found) else found
        return found

    return asyncio.run(run())


def test_the_notebook(folder: Path) -> None:
    names: dict[str, Any] = {}
    try:
        from IPython.core.interactiveshell import InteractiveShell
    except ModuleNotFoundError:
        values = [value_of(cell, names) for cell in cells(DOCS / "examples" / "notebook.ipynb")]
    else:
        shell = InteractiveShell.instance()
        values = [shell.run_cell(cell).result for cell in cells(DOCS / "examples" / "notebook.ipynb")]
    _, plan, run, rows, summary = values
    tables = [" ".join(ET.fromstring(shown._repr_html_()).itertext()) for shown in (plan, summary)]
    assert "10 to send of 10" in tables[0]
    assert "10 succeeded" in tables[1]
    assert "10 succeeded" in ET.fromstring(run._repr_html_()).attrib["srcdoc"]
    assert len(rows.fetchall()) == 10
