"""Fixtures of the tests of the output."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from output_desk import Desk

from batchrun.store.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger.open(tmp_path / "ledger.sqlite3")) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Desk:
    return Desk(tmp_path, ledger)
