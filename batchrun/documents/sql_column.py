"""A column of a DuckDB query, and the SQL by which its values become plain values of Python."""

from dataclasses import dataclass

INTEGERS = frozenset({f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")})
INTEGERS |= {"INTEGER", "UINTEGER"}
_AS_THEY_ARE = INTEGERS | {"VARCHAR", "BOOLEAN", "DOUBLE"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, by its name and its type in DuckDB."""

    name: str
    type: str

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def as_value(self) -> str:
        """The SQL for a str, int, float, bool or None in Python; text for every other type."""
        if self.type in _AS_THEY_ARE:
            return self.quoted
        text = f"CAST({self.quoted} AS VARCHAR)"
        return f"CAST({text} AS DOUBLE)" if self.type == "FLOAT" else text  # 0.1, not 0.10000000149
