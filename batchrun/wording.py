"""Numbers, durations and times as people read them, at a terminal and on pages; and the events that programs read."""

import time
from datetime import UTC, datetime
from typing import Any

VERSION = 1
"""The version of the JSON objects. Fields and events may be added, and none is renamed."""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 document`, `1,200 documents`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def duration(seconds: float) -> str:
    """`8 s`, `22 min`, `3 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def brief(seconds: float) -> str:
    """`45 ms`, `1.2 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else duration(seconds)


def tokens(number: float) -> str:
    """`950`, `12.3k`, `11.42M`."""
    if number < 1_000:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f}k" if number < 1e6 else f"{number / 1e6:.2f}M"


def about(share: float) -> str:
    """`about 70%`, `under 1%`."""
    return f"about {share:.0%}" if share >= 0.005 else "under 1%"


def utc(seconds: float | None) -> str:
    """`2026-11-01 08:30`, or nothing for a time that the ledger does not have."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def iso(seconds: float | None) -> str:
    """`2026-11-01T08:30:07Z` for programs, or nothing for a time that the ledger does not have."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def event_fields(event: str, **fields: Any) -> dict[str, Any]:
    """Return an event for programs, with the version of its form, the time in UTC, and the run if it is known."""
    return {"v": VERSION, "ts": iso(time.time()), "event": event, "run": None, **fields}
