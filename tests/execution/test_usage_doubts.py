"""How much usage is believed of a request."""

import json
from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.text_class import TextClass
from batchrun.execution.usage_doubts import fits_request
from batchrun.reply import Usage
from batchrun.request import Request

PRICE = load_prices(today=date(2026, 11, 20)).model("claude-sonnet-5-5")
REQUEST = Request.of({"model": PRICE.name, "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]})


@pytest.mark.parametrize(
    ("text_class", "input_tokens", "output_tokens", "believed"),
    [
        (TextClass.PROSE, 400, 10, True),
        (TextClass.PROSE, 40_000, 10, False),
        (TextClass.PAGES, 40_000, 10, True),
        (TextClass.IMAGE, 4_784, 10, True),
        (TextClass.PAGES, 40_000, 11, False),
        (TextClass.PAGES, PRICE.context_window + 1, 10, False),
    ],
)
def test_usage_that_can_be(text_class: TextClass, input_tokens: int, output_tokens: int, believed: bool) -> None:
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)

    assert fits_request(usage, REQUEST, PRICE, text_class) is believed


@pytest.mark.parametrize(("input_tokens", "believed"), [(1_300, True), (1_800, False)])
def test_the_prompt_that_the_api_adds_for_tools_is_believed(input_tokens: int, believed: bool) -> None:
    tool = {"name": "give_answer", "description": "", "input_schema": {"type": "object"}, "strict": True}
    asked = Request.of({**json.loads(REQUEST.body), "tools": [tool], "tool_choice": {"type": "auto"}})

    assert fits_request(Usage(input_tokens=input_tokens), asked, PRICE, TextClass.PROSE) is believed
    assert not fits_request(Usage(input_tokens=input_tokens), REQUEST, PRICE, TextClass.PROSE)
