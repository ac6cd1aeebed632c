"""The dated table of prices: the package's own, in which the rows of a person's file replace rows by name.

A model may have several rows, each valid from its own day on; the row in force on a day is the latest valid row.
"""

import difflib
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, Strict, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from batchrun.catalog.price import MOST_TOOL_PROMPT, Band, ModelPrice, PublishedLimits, Rates, Tokenizer
from batchrun.catalog.provider_prices import row_at, row_name
from batchrun.errors import Refused, UsageProblem
from batchrun.job.providers import Providers

MOST_BYTES = 10_000_000
"""The largest file of prices that is read."""
_NUSD_PER_TOKEN = 1_000
"""USD per million tokens, times this, is nano-USD per token."""
OWN = "the package's own table"

Price = Annotated[Decimal, Strict(strict=False), Field(ge=0, lt=1_000_000, decimal_places=3)]
"""USD per million tokens, given as text or a number; three decimal places make whole nano-USD per token."""
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled", "between_tools", "enabled"]


Rows = Mapping[str, tuple[ModelPrice, ...]]
"""The rows of each model by its names, aliases included; rows that are valid earlier come first."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of one day by model name, aliases included."""

    date: date
    """When the table was made; a row of another table has a date of its own."""
    source: str
    """Where the table is from, as shown to people."""
    prices: Mapping[str, ModelPrice]
    """The row in force of each model. If all rows of a model are of the future, its first: no job may use it yet."""
    upcoming: Rows
    """The other rows of the future, of models that have such rows."""
    providers: Providers = field(default_factory=Providers)
    """Who may answer, by which names are understood that have no row of their own."""

    def known_to(self, providers: Providers) -> "PriceTable":
        """Return the table with the names of a job's providers."""
        plain = frozenset(name for name in self.prices if "/" in name)
        return replace(self, providers=replace(providers, plain=plain))

    def find(self, name: str) -> ModelPrice | None:
        """Return the row of an engine name. Returns None if there is no price."""
        own = self.prices.get(name) if "/" in name else None
        return own or row_at(name, self.providers, self.prices, today=self.date)

    def model(self, name: str) -> ModelPrice:
        """Give a model's price. Without one nothing is sent: a run whose cost is unknown is refused."""
        if price := self.find(name):
            return price
        raise Refused(
            f'there is no price for the model "{name}"; the table is {self.source}, of {self.date}',
            hint=self.hint_for(name),
        )

    def hint_for(self, name: str) -> str:
        """Say what to do about a name that the table does not have: a wrong name is likelier than a missing row."""
        (known, there), (provider, slash, _) = self.providers.split(name), name.partition("/")
        section = self.providers.section(known)
        row = row_name(there, section)
        close = difflib.get_close_matches(row, self.prices, n=1)
        prefix = name.removesuffix(there) if row == there else ""
        if row in self.prices:  # the model is sold elsewhere
            prefix = "openai/"
        meant = f"did you mean {prefix}{close[0]}? " if close else ""
        if slash and provider not in {known, *self.providers.sections}:
            meant += f'If "{provider}" is a provider, write [providers.{provider}] with its type and its base_url. '
        elif section.base_url:
            meant += "If the server is your own, write free = true in its section. "
        return (
            f'{meant}For a model that {self.source} of {self.date} lacks, add a [[model]] row with names = ["{row}"]'
            ' to a file of prices, and name the file in the job: [budget] prices_file = "prices.toml"'
        )


def load_prices(override: Path | None = None, *, today: date) -> PriceTable:
    """Read the package's table, and the file that a job names: the file's rows replace all rows of their models."""
    own = _read(files("batchrun.catalog") / "prices.toml", shown=OWN)
    if override is None:
        return _in_force(own.rows, own.date, own.source, today=today)
    theirs = _read(override, shown=str(override))
    source = f"{theirs.source} over {own.source} of {own.date}"
    return _in_force({**own.rows, **theirs.rows}, theirs.date, source, today=today)


def _in_force(rows: Rows, table_date: date, source: str, *, today: date) -> PriceTable:
    prices, upcoming = {}, {}
    for name, dated in rows.items():
        begun = sum(row.valid_from is None or row.valid_from <= today for row in dated)
        now = max(begun - 1, 0)
        prices[name] = dated[now]
        if later := dated[now + 1 :]:
            upcoming[name] = later
    return PriceTable(date=table_date, source=source, prices=prices, upcoming=upcoming)


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Rates(_Shape):
    input: Price
    output: Price
    cache_write_5m: Price
    cache_write_1h: Price
    cache_read: Price

    def per_token(self) -> Rates:
        prices = (self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read)
        return Rates(*(int(price * _NUSD_PER_TOKEN) for price in prices))


class _Above(_Rates):
    prompt_tokens: PositiveInt


class _Effort(_Shape):
    levels: Annotated[list[Effort], Field(min_length=1)]
    default: Effort


class _Thinking(_Shape):
    accepted: list[Thinking]
    by_default: bool
    disabled_up_to_effort: Effort | None = None


class _ToolPrompt(_Shape):
    auto: PositiveInt
    forced: PositiveInt


class _Limits(_Shape):
    requests_per_minute: PositiveInt
    input_tokens_per_minute: PositiveInt
    output_tokens_per_minute: PositiveInt
    shared: Annotated[str, Field(min_length=1)] | None = None


class _Model(_Rates):
    names: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    above: _Above | None = None
    context_window: PositiveInt
    max_output_tokens: PositiveInt
    tokenizer: Tokenizer
    effort: _Effort | None = None
    thinking: _Thinking
    forced_tools: bool = True
    tool_prompt_tokens: _ToolPrompt = _ToolPrompt(auto=MOST_TOOL_PROMPT, forced=MOST_TOOL_PROMPT)
    retires: date | None = None
    valid_from: date | None = None
    min_cacheable_tokens: PositiveInt | None = None
    limits: _Limits

    def price(self, name: str, table_date: date, source: str) -> ModelPrice:
        return ModelPrice(
            name=name,
            rates=self.per_token(),
            band=Band(self.above.prompt_tokens, self.above.per_token()) if self.above else None,
            context_window=self.context_window,
            max_output_tokens=self.max_output_tokens,
            tokenizer=self.tokenizer,
            effort_levels=tuple(self.effort.levels) if self.effort else (),
            default_effort=self.effort.default if self.effort else None,
            thinking=tuple(self.thinking.accepted),
            thinks_by_default=self.thinking.by_default,
            max_effort_without_thinking=self.thinking.disabled_up_to_effort,
            forced_tools=self.forced_tools,
            tool_prompt_tokens={"auto": self.tool_prompt_tokens.auto, "forced": self.tool_prompt_tokens.forced},
            retires=self.retires,
            valid_from=self.valid_from,
            min_cacheable_tokens=self.min_cacheable_tokens,
            limits=PublishedLimits(**self.limits.model_dump()),
            table_date=table_date,
            source=source,
        )


class _Table(_Shape):
    date: date
    model: Annotated[list[_Model], Field(min_length=1)]

    @field_validator("model")
    @classmethod
    def _days_once(cls, rows: list[_Model]) -> list[_Model]:
        counts = Counter((name, row.valid_from) for row in rows for name in row.names)
        if twice := [_named(*key) for key, count in counts.items() if count > 1]:
            raise PydanticCustomError("named_twice", "{names}", {"names": "; ".join(twice)})
        return rows


def _named(name: str, valid_from: date | None) -> str:
    return f"{name} has more than one row" + (f" valid from {valid_from}" if valid_from else "")


@dataclass(frozen=True, slots=True)
class _File:
    date: date
    source: str
    rows: Rows


def _read(path: Traversable, *, shown: str) -> _File:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UsageProblem(f"the file of prices {shown} is larger than {MOST_BYTES:,} bytes")
        return _parsed(content.decode("utf-8"), shown)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageProblem(f"the file of prices {shown} cannot be read: {error}") from error


@lru_cache(maxsize=4)  # a process that opens several jobs reads the same text each time
def _parsed(text: str, shown: str) -> _File:
    try:
        table = _Table.model_validate(tomllib.loads(text, parse_float=Decimal))
    except ValidationError as error:
        problems = "".join(f"\n  {_said(problem)}" for problem in error.errors())
        raise UsageProblem(f"the file of prices {shown} is wrong:{problems}") from error
    return _File(
        table.date, shown, _by_name(row.price(name, table.date, shown) for row in table.model for name in row.names)
    )


def _by_name(rows: Iterable[ModelPrice]) -> Rows:
    found: dict[str, list[ModelPrice]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(row)
    return {name: tuple(sorted(dated, key=lambda row: row.valid_from or date.min)) for name, dated in found.items()}


def _said(problem: ErrorDetails) -> str:
    """Say where and what: `model[2].above.input: Field required`, rows counted from 1."""
    where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{where.removeprefix('.')}: {problem['msg']}"
