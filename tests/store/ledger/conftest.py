"""What the tests of batches in the ledger share."""

from collections.abc import Iterator

import pytest
from batch_account import Account


@pytest.fixture
def account() -> Iterator[Account]:
    opened = Account(documents=5)
    yield opened
    opened.ledger.close()
