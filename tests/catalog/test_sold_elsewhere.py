"""A price is a provider's: who does not sell a model has no price for the model."""

from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.job.provider_sections import ProviderSection
from batchrun.job.providers import Providers

TABLE = load_prices(today=date(2026, 12, 1))


@pytest.mark.parametrize("name", ["gpt-5.4", "bedrock/gpt-5.4"])
def test_models_of_openai_are_openais(name: str) -> None:
    table = TABLE.known_to(Providers({"bedrock": ProviderSection(type="bedrock")}))

    assert table.find(name) is None
    assert table.hint_for(name).startswith("did you mean openai/gpt-5.4? ")
    assert table.model("openai/gpt-5.4").rates.input > 0


def test_a_free_server_has_no_price_for_a_model_that_costs_elsewhere() -> None:
    own = ProviderSection(base_url="http://127.0.0.1:9", free=True)
    table = TABLE.known_to(Providers({"anthropic": own}))

    assert TABLE.model("claude-haiku-4-5").rates.input > 0
    assert table.model("claude-haiku-4-5").rates.input == 0
