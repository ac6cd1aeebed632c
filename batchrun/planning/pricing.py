"""The dated table of prices: the package's own, with the rows of a person's file laid over it by name."""

import difflib
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, Strict, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from batchrun.errors import Refused, UsageProblem
from batchrun.planning.model_price import Band, ModelPrice, PublishedLimits, Rates, Tokenizer

_NUSD_PER_TOKEN = 1_000
"""USD per million tokens, times this, is nano-USD per token."""

Price = Annotated[Decimal, Strict(strict=False), Field(ge=0, lt=1_000_000, decimal_places=3)]
"""USD per million tokens, given as text or a number; three decimal places make whole nano-USD per token."""
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled"]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model name, aliases included."""

    date: date
    source: str
    """Where the table is from, as shown to people."""
    prices: Mapping[str, ModelPrice]

    def model(self, name: str) -> ModelPrice:
        """Give a model's price. Without one nothing is sent: a run whose cost is unknown is refused."""
        if name in self.prices:
            return self.prices[name]
        close = difflib.get_close_matches(name, self.prices, n=1)
        meant = f' (did you mean "{close[0]}"?)' if close else ""
        raise Refused(
            f'there is no price for the model "{name}"{meant}; the table is {self.source}, of {self.date}',
            hint=f'add a [[model]] row with names = ["{name}"] to a file of prices and name that file in '
            'the job: [budget] prices_file = "prices.toml"',
        )


def load_prices(override: Path | None = None) -> PriceTable:
    """Read the package's table, and over it the rows of the file that a job names."""
    own = _read(files("batchrun.planning") / "prices.toml", shown="the package's own table")
    if override is None:
        return own
    theirs = _read(override, shown=str(override))
    source = f"{theirs.source} over {own.source} of {own.date}"
    return PriceTable(date=theirs.date, source=source, prices={**own.prices, **theirs.prices})


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Rates(_Shape):
    input: Price
    output: Price
    cache_write_5m: Price
    cache_write_1h: Price
    cache_read: Price

    def per_token(self) -> Rates:
        return Rates(
            input=int(self.input * _NUSD_PER_TOKEN),
            output=int(self.output * _NUSD_PER_TOKEN),
            cache_write_5m=int(self.cache_write_5m * _NUSD_PER_TOKEN),
            cache_write_1h=int(self.cache_write_1h * _NUSD_PER_TOKEN),
            cache_read=int(self.cache_read * _NUSD_PER_TOKEN),
        )


class _Above(_Rates):
    prompt_tokens: PositiveInt


class _Effort(_Shape):
    levels: Annotated[list[Effort], Field(min_length=1)]
    default: Effort


class _Thinking(_Shape):
    accepted: list[Thinking]
    by_default: bool
    disabled_up_to_effort: Effort | None = None


class _Limits(_Shape):
    requests_per_minute: PositiveInt
    input_tokens_per_minute: PositiveInt
    output_tokens_per_minute: PositiveInt


class _Model(_Rates):
    names: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    above: _Above | None = None
    context_window: PositiveInt
    max_output_tokens: PositiveInt
    tokenizer: Tokenizer
    effort: _Effort | None = None
    thinking: _Thinking
    retires: date | None = None
    valid_from: date | None = None
    limits: _Limits

    def price(self, name: str, table_date: date) -> ModelPrice:
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
            retires=self.retires,
            valid_from=self.valid_from,
            limits=PublishedLimits(**self.limits.model_dump()),
            table_date=table_date,
        )


class _Table(_Shape):
    date: date
    model: Annotated[list[_Model], Field(min_length=1)]

    @field_validator("model")
    @classmethod
    def _names_once(cls, rows: list[_Model]) -> list[_Model]:
        counts = Counter(name for row in rows for name in row.names)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise PydanticCustomError("named_twice", "{names} has more than one row", {"names": ", ".join(twice)})
        return rows


def _read(path: Traversable, *, shown: str) -> PriceTable:
    try:
        table = _Table.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(f"the file of prices {shown} cannot be read: {error}") from error
    except ValidationError as error:
        problems = "".join(f"\n  {_said(problem)}" for problem in error.errors())
        raise UsageProblem(f"the file of prices {shown} is wrong:{problems}") from error
    prices = {name: row.price(name, table.date) for row in table.model for name in row.names}
    return PriceTable(date=table.date, source=shown, prices=prices)


def _said(problem: ErrorDetails) -> str:
    """Say where and what: `model[2].above.input: Field required`, rows counted from 1."""
    where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{where.removeprefix('.')}: {problem['msg']}"
