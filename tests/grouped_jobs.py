"""Jobs that ask for more fields than one request takes, and an API that answers them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from trial_project import TrialProject

from batchrun.answers.form import ModeName
from batchrun.catalog.price_table import load_prices
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

MODEL = "claude-sonnet-5-5"
RATES = load_prices(today=date(2026, 11, 20)).model(MODEL).rates
UNLIMITED = Limits(10_000_000, 10_000_000_000, 10_000_000_000)
KINDS = (
    '"string?"',
    '"date?"',
    '{ type = "number?", minimum = 0 }',
    '"boolean"',
    '{ type = "enum?", enum = ["yes", "no", "unclear"] }',
    '{ type = "object", fields = { amount = "number?", currency = "string?", due = "date?" } }',
    '{ type = "array", items = { type = "object", fields = { name = "string", share = "number?" } } }',
    '"integer"',
)
CLAUSE = (
    "{number}. The tenant pays the rent of $1,{number:03} on 3 March 2024, in advance and without any deduction, and"
    " gives notice of thirty (30) days in writing before the premises are left. "
)


def mixed_fields(count: int) -> str:
    """So many fields of all kinds, most of them nullable, as a section of a job file."""
    return "\n".join(f"f{number:03} = {KINDS[number % len(KINDS)]}" for number in range(count))


def contract(name: str, *, clauses: int) -> str:
    """A contract of so many clauses, with about 60 tokens each."""
    return f"LEASE of {name}\n\n" + "\n".join(CLAUSE.format(number=number) for number in range(clauses))


def grouped(project: TrialProject, mode: ModeName, *, fields: str, groups: int | str = "auto", **sections: str) -> None:
    """Write a job that asks for its fields in groups."""
    setting = f'"{groups}"' if isinstance(groups, str) else groups
    project.job(
        **{
            "model": f'name = "{MODEL}"\nmax_tokens = 16_000\nthinking = "between_tools"\neffort = "low"',
            "output": f'mode = "{mode}"\ngroups = {setting}\nmax_repairs = 0',
            "output_fields": fields,
            "run": 'max_concurrency = 4\nroute = "stream"',
            "budget": "max_cost_usd = 50.0",
            **sections,
        }
    )


@contextmanager
def simulated(**options: Any) -> Iterator[tuple[SimulatorServer, AnthropicFactory]]:
    """An API without limits, and who speaks to it."""
    server = SimulatorServer(Simulator(PROFILES["calm"], limits=UNLIMITED, latency=INSTANT, **options))
    base_url = server.start_in_thread()
    try:
        yield server, AnthropicFactory(base_url=base_url, api_key="x")
    finally:
        server.stop()


def bill_nusd(books: dict[str, Any]) -> int:
    """What the API would write on its bill for streamed requests, in nano-USD."""
    return int(
        books["input_tokens"] * RATES.input
        + books["output_tokens"] * RATES.output
        + books["cache_read_tokens"] * RATES.cache_read
        + books["cache_write_5m_tokens"] * RATES.cache_write_5m
        + books["cache_write_1h_tokens"] * RATES.cache_write_1h
    )
