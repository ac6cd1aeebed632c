"""Refuses a query that gives other rows, or other texts, when DuckDB runs the query again.

A plan reads the rows once, and sending reads them again. A query that is not repeatable would plan some documents and
send others, and each submit would pay for documents that look new.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchrun.errors import Refused

if TYPE_CHECKING:
    import duckdb

_HARMLESS = frozenset({"error", "stats", "vector_type", "write_log", "sleep_ms", "current_query"})
"""Functions that DuckDB calls volatile because of what they do beside; their value is the same each time."""
_CLOCK = frozenset(
    {"now", "today", "current_date", "current_timestamp", "get_current_timestamp", "transaction_timestamp"}
    | {"current_time", "get_current_time", "localtime", "localtimestamp", "current_localtime", "current_localtimestamp"}
    | {"txid_current"}
)
"""Functions that are constant within a query, and others in the next. Some are written without parentheses."""
_CONDITIONS = frozenset({"where_clause", "having", "qualify", "condition"})
"""Where a clock only chooses rows, such as those of the last week: a moving window is as repeatable as a folder."""

_SAMPLE_HINT = "take the same rows each time: ORDER BY md5(id::VARCHAR) LIMIT 50, or add REPEATABLE (1) to the sample"
_CLOCK_HINT = "write the time itself, such as DATE '2026-11-21', or compare with it in WHERE, where it may move"
_VOLATILE_HINT = "for a random order write ORDER BY md5(id::VARCHAR); for an id take a column, or md5() of the columns"


@dataclass(frozen=True, slots=True)
class _Definitions:
    """What the database knows: the volatile functions, and the SQL behind the names of views and macros."""

    volatile: frozenset[str]
    views: dict[str, str]
    macros: dict[str, str]


def require_repeatable(connection: "duckdb.DuckDBPyConnection", query: str) -> None:
    """Raise Refused, with the cure, for a query with a sample, a volatile function or a clock in what it returns."""
    known = _definitions(connection)
    waiting, seen = [("", query)], set[str]()
    while waiting:
        inside, sql = waiting.pop()
        for node, is_condition in _nodes(_parsed(connection, sql), is_condition=False):
            if problem := _problem(node, known, is_condition=is_condition):
                what, hint = problem
                raise Refused(f"source.query: {what}{inside}: another look would find other documents", hint=hint)
            for name, definition in _named(node, known):
                if name not in seen:
                    seen.add(name)
                    waiting.append((f" (in {name})", definition))


def _problem(node: dict[str, Any], known: _Definitions, *, is_condition: bool) -> tuple[str, str] | None:
    if _is_sample(node):
        return "a sample without REPEATABLE", _SAMPLE_HINT
    name = _called(node)
    if name in known.volatile:
        return f"{name}() gives something else each time", _VOLATILE_HINT
    if not is_condition and (name in _CLOCK or (name == "age" and len(_arguments(node)) == 1)):
        return f"{name} is in what the query returns, and changes", _CLOCK_HINT
    return None


def _is_sample(node: dict[str, Any]) -> bool:
    return "sample_size" in node and node.get("seed") == -1


def _called(node: dict[str, Any]) -> str:
    """Return the function that a node calls. Functions of the clock look like columns without a table."""
    names = node.get("column_names")
    if isinstance(names, list) and len(names) == 1 and str(names[0]).lower() in _CLOCK:
        return str(names[0]).lower()
    return str(node.get("function_name", "")).lower()


def _arguments(node: dict[str, Any]) -> list[Any]:
    return node.get("arguments") or node.get("children") or []


def _named(node: dict[str, Any], known: _Definitions) -> Iterator[tuple[str, str]]:
    for names, name in ((known.views, node.get("table_name")), (known.macros, node.get("function_name"))):
        if definition := names.get(str(name).lower()):
            yield str(name).lower(), definition


def _nodes(tree: Any, *, is_condition: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield every node of a parse tree, and whether the node stands in a condition."""
    waiting = [(tree, is_condition)]
    while waiting:
        node, inside = waiting.pop()
        if isinstance(node, dict):
            yield node, inside
            waiting.extend((below, inside or key in _CONDITIONS) for key, below in node.items())
        elif isinstance(node, list):
            waiting.extend((below, inside) for below in node)


def _parsed(connection: "duckdb.DuckDBPyConnection", sql: str) -> Any:
    """Return DuckDB's parse tree. What DuckDB cannot write as a tree (PIVOT) is left to the second look at the ids."""
    ((tree,),) = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchall()
    return json.loads(tree)


def _definitions(connection: "duckdb.DuckDBPyConnection") -> _Definitions:
    volatile = connection.execute(
        "SELECT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
    ).fetchall()
    views = connection.execute("SELECT lower(view_name), sql FROM duckdb_views() WHERE NOT internal").fetchall()
    macros = connection.execute(
        "SELECT lower(function_name), macro_definition, function_type FROM duckdb_functions() "
        "WHERE macro_definition IS NOT NULL AND NOT internal"
    ).fetchall()
    return _Definitions(
        volatile=frozenset(name for (name,) in volatile) - _HARMLESS,
        views={name: _below_as(sql) for name, sql in views},
        macros={name: sql if kind == "table_macro" else f"SELECT {sql}" for name, sql, kind in macros},
    )


def _below_as(sql: str) -> str:
    """Return the SELECT of a CREATE VIEW."""
    import duckdb

    words = [
        sql[offset:].split(maxsplit=1) for offset, kind in duckdb.tokenize(sql) if kind == duckdb.token_type.keyword
    ]
    return next((below for word, *rest in words if word.lower() == "as" for below in rest), sql)
