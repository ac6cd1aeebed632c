"""The price rows that attempts were priced by; the ledger keeps each row once, from its first use on."""

import sqlite3
from dataclasses import astuple

from batchrun.catalog.price import PriceRow

COLUMNS = (
    "model", "table_date", "valid_from", "source", "above_tokens", "divisor", "input_nusd", "output_nusd",
    "cache_write_5m_nusd", "cache_write_1h_nusd", "cache_read_nusd",
)  # fmt: skip
KNOWN = f"select price_no from prices where {' and '.join(f'{name} is ?' for name in COLUMNS)}"
ADD = f"insert into prices ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"


class PriceNumbers:
    """The numbers of price rows in one ledger. Each row is looked up once, because every answer needs a number."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[PriceRow, int] = {}

    def number(self, row: PriceRow) -> int:
        """Find the number of a row, and add a new row. The call belongs inside a write transaction."""
        known = self._known.get(row)
        if known is None:
            known = self._known[row] = self._look_up(row)
        return known

    def forget(self) -> None:
        """Forget all numbers, because a transaction was rolled back that may have added rows."""
        self._known.clear()

    def _look_up(self, row: PriceRow) -> int:
        valid_from = str(row.valid_from) if row.valid_from else None
        place = (row.model, str(row.table_date), valid_from, row.source, row.above_tokens, row.divisor)
        values = (*place, *astuple(row.rates))
        found = self._connection.execute(KNOWN, values).fetchone()
        return int(found[0]) if found else int(self._connection.execute(ADD, values).lastrowid or 0)
