"""Records what is executed on a DuckDB file."""

from typing import Any

import duckdb
import pytest


class Recording:
    """A connection that keeps what it is told; DuckDB's own class cannot be extended."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: list[str]) -> None:
        self._connection, self._statements = connection, statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
        self._statements.append(statement)
        return self._connection.execute(statement, *parameters)


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All statements from now on."""
    statements, connect = list[str](), duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *args, **named: Recording(connect(*args, **named), statements))
    return statements


def definitions(statements: list[str]) -> list[str]:
    """Those of the statements that define or describe something anew."""
    return [text for text in statements if text.lower().startswith(("alter", "comment", "create or", "drop"))]
