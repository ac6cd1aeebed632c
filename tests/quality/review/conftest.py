"""Fixtures of the tests of reviews."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrun.store.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger.open(tmp_path / "ledger.sqlite3")) as opened:
        yield opened
