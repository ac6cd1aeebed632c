"""The output of runs whose rows nobody looks at: the answers stay in the ledger alone."""

import contextlib
from collections.abc import Iterator

from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.publish import Output
from batchrun.store.output.stored_rows import StoredRows


class NoOutput(Output):
    """An output without a file."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._job = job

    def check(self) -> None:
        """Find nothing wrong: there are no rows that might not fit."""

    def is_ahead(self) -> bool:
        """Return that no file knows more than the ledger."""
        return False

    @contextlib.contextmanager
    def stored_rows(self, *, wait_s: float) -> Iterator[StoredRows | None]:  # noqa: ARG002 - as in Output
        """Yield None: there is no table of rows."""
        yield None

    def publish(self, *, wait_s: float) -> int:  # noqa: ARG002 - as in Output
        """Write no row, and return 0."""
        return 0
