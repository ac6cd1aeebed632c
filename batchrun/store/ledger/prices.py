"""The prices that attempts were priced by, each kept once, from its first use on."""

import sqlite3
from dataclasses import astuple

from batchrun.catalog.price import PriceRow

COLUMNS = (
    "model, table_date, valid_from, source, above_tokens, divisor,"
    " input_nusd, output_nusd, cache_write_5m_nusd, cache_write_1h_nusd, cache_read_nusd"
)
KNOWN = "select price_no from prices where " + " and ".join(f"{name.strip()} is ?" for name in COLUMNS.split(","))
ADD = f"insert into prices ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class PriceNumbers:
    """The numbers of price rows in one ledger. Looked up once for each row: every answer asks for one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[PriceRow, int] = {}

    def number(self, row: PriceRow) -> int:
        """The row's number; belongs inside a write transaction, since a new row is added."""
        known = self._known.get(row)
        if known is None:
            known = self._known[row] = self._look_up(row)
        return known

    def forget(self) -> None:
        """A transaction was rolled back, and with it perhaps the rows it had added."""
        self._known.clear()

    def _look_up(self, row: PriceRow) -> int:
        valid_from = str(row.valid_from) if row.valid_from else None
        place = (row.model, str(row.table_date), valid_from, row.source, row.above_tokens, row.divisor)
        values = (*place, *astuple(row.rates))
        found = self._connection.execute(KNOWN, values).fetchone()
        return int(found[0]) if found else int(self._connection.execute(ADD, values).lastrowid or 0)
