"""Rows of prices for models at other providers, from the rows of the same models at the API of Anthropic.

Regional endpoints of Bedrock and Vertex cost 10% more than their global ones (the clouds' pricing pages). Claude on
AWS, Google and Foundry costs what the API costs. Whoever pays other prices gives the engine name a row of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from batchrun.catalog.price import MOST_TOOL_PROMPT, ModelPrice, PublishedLimits, Rates
from batchrun.job.provider_sections import ProviderSection
from batchrun.job.providers import Providers

REGIONAL_PERCENT = 110
GLOBAL = "global"
BEDROCK_ID = re.compile(r"(?:arn:.*/)?(?:(?P<area>[a-z-]+)\.)?anthropic\.(?P<name>[a-z0-9-]+?)(?:-v\d+(?::\d+)?)?")
"""The ids of Claude models on Bedrock: the area of an inference profile may come first, and a version last."""
OPENAIS = frozenset({"cl100k_base", "o200k_base"})
"""The tokenizers of models that only providers of type openai have."""
NOTHING = Rates(input=0, output=0, cache_write_5m=0, cache_write_1h=0, cache_read=0)
OWN_WINDOW = 32_768
"""The context window, in tokens, of a server of one's own that does not say another."""
OWN_LIMITS = PublishedLimits(1_000_000, 10**9, 10**9)
"""The limits of a server of one's own, which has none: its answers of 429 teach the rate."""


def row_at(model: str, providers: Providers, rows: Mapping[str, ModelPrice], *, today: date) -> ModelPrice | None:
    """Return the row of an engine name that has no row of its own. Returns None if no price is known."""
    name, there = providers.split(model)
    section = providers.section(name)
    base = rows.get(row_name(there, section))
    if base and base.tokenizer in OPENAIS and section.type != "openai":
        base = None
    if base is None:
        return _own_row(model, section, today) if section.free else None
    if section.free:
        return replace(base, name=model, rates=NOTHING, band=None, limits=OWN_LIMITS)
    percent = REGIONAL_PERCENT if is_regional(there, section) else 100
    band = base.band and replace(base.band, rates=_times(base.band.rates, percent))
    return replace(base, name=model, rates=_times(base.rates, percent), band=band)


def row_name(there: str, section: ProviderSection) -> str:
    """Return the name in the table of prices of a model as its provider names the model."""
    if there in section.models:
        return section.models[there]
    if section.type == "bedrock" and (found := BEDROCK_ID.fullmatch(there)):
        return found["name"]
    return there.replace("@", "-") if section.type == "vertex" else there


def is_regional(there: str, section: ProviderSection) -> bool:
    """Whether a model is asked in a region, and not wherever there is room."""
    if section.type == "bedrock":
        found = BEDROCK_ID.fullmatch(there)
        return found is None or found["area"] != GLOBAL
    return section.type == "vertex" and section.region != GLOBAL


def _times(rates: Rates, percent: int) -> Rates:
    prices = (rates.input, rates.output, rates.cache_write_5m, rates.cache_write_1h, rates.cache_read)
    return Rates(*(-(-price * percent // 100) for price in prices))


def _own_row(name: str, section: ProviderSection, today: date) -> ModelPrice:
    window = section.context_window or OWN_WINDOW
    return ModelPrice(
        name=name,
        rates=NOTHING,
        context_window=window,
        max_output_tokens=window,
        tokenizer="unknown",
        tool_prompt_tokens={"auto": MOST_TOOL_PROMPT, "forced": MOST_TOOL_PROMPT},
        limits=OWN_LIMITS,
        table_date=today,
        source="free = true",
    )
