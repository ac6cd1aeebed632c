"""How far a table of rows has followed its ledger: the side table `positions`, which also says whose a table is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.store.output.catalog import qualified
from batchrun.store.output.side_tables import side_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one job's table after one ledger."""

    ledger_id: str
    job: str
    table: str

    def recorded(self, connection: "DuckDBPyConnection") -> int:
        """Read the position; 0 if none is recorded."""
        place = side_schema(connection)
        if place is None:
            return 0
        row = connection.execute(
            f"select max(position) from {place}.positions where ledger_id = ? and job = ? and table_name = ?",
            [self.ledger_id, self.job, self.table],
        ).fetchone()
        return row[0] if row and row[0] is not None else 0

    def move(self, connection: "DuckDBPyConnection", position: int) -> None:
        """Record another position, inside a transaction."""
        key, positions = [self.ledger_id, self.job, self.table], f"{qualified(connection)}.positions"
        connection.execute(f"delete from {positions} where ledger_id = ? and job = ? and table_name = ?", key)
        connection.execute(f"insert into {positions} values (?, ?, ?, ?)", [*key, position])

    def forget(self, connection: "DuckDBPyConnection") -> None:
        """Forget how far the table has followed any ledger, inside a transaction: every row is published again."""
        connection.execute(
            f"delete from {qualified(connection)}.positions where job = ? and table_name = ?", [self.job, self.table]
        )

    def other_job(self, connection: "DuckDBPyConnection") -> str | None:
        """Find another job that publishes into the table. Returns None if there is none."""
        place = side_schema(connection)
        if place is None:
            return None
        row = connection.execute(
            f"select job from {place}.positions where lower(table_name) = lower(?) and job != ?",
            [self.table, self.job],
        ).fetchone()
        return str(row[0]) if row else None
