"""Benchmarks are run by hand: what they import from batchrun, in scripts for other processes too, has to be there."""

import re
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parent / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    for statement in re.findall(r"^ *(from batchrun\S* import .+)$", path.read_text("utf-8"), re.MULTILINE):
        exec(statement, {})
