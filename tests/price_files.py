"""Files of prices for tests."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ROW = """
[[model]]
names = ["claude-haiku-4-5"]
input = "{usd}"
output = "5"
cache_write_5m = "1.25"
cache_write_1h = "2"
cache_read = "0.10"
context_window = 200_000
max_output_tokens = 64_000
tokenizer = "old"
thinking = {{ accepted = ["disabled"], by_default = false }}
limits = {{ requests_per_minute = 1_000, input_tokens_per_minute = 2_000_000, output_tokens_per_minute = 400_000 }}
{more}
"""


def today() -> date:
    """The day by which the commands read it."""
    return datetime.now(UTC).date()


def write_prices(path: Path, *, usd: str = "1", more: str = "", age: int = 0, rows: str = "") -> Path:
    """Write a table that is so many days old: a row of one model, with more keys and with more rows."""
    path.write_text(f"date = {today() - timedelta(days=age)}\n" + ROW.format(usd=usd, more=more) + rows)
    return path
