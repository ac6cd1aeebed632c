"""Where the tests of the Python API stand."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import clean_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project of a module's tests, and an environment that says nothing."""
    root = tmp_path_factory.mktemp("project")
    (root / ".batchrun").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        clean = clean_environment(root)
        for name in os.environ.keys() - clean.keys():
            patch.delenv(name)
        patch.chdir(root)
        yield root
