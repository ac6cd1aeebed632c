"""Where the prompt cache's mark goes in the bytes that are sent, and that it changes nothing else."""

import json
from datetime import date
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.catalog.price_table import load_prices
from batchrun.catalog.rate_limits import published_limits
from batchrun.document import Document
from batchrun.job.cache_breakpoint import CacheablePrefix, CacheBreakpoint
from batchrun.job.spec import LimitsSection
from batchrun.providers.anthropic.wire import with_cache_breakpoint
from batchrun.request import Request
from batchrun.strategy.model_chain import ChainModel

PROMPT = r"""
system = "Be brief."
user = "Read this:\n{{ doc.text }} (end)"
"""
NO_SYSTEM = ('system = "Be brief."\n', "")
BEGINS_WITH_IT = ("Read this:\\n{{ doc.text }}", "{{ doc.text }}")
FIVE_MINUTES, HOUR = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}


@pytest.fixture(scope="module")
def load(template_of):
    return partial(template_of, PROMPT)


def document(text="hello"):
    return Document(doc_id="a", source="a", text=text)


def sent(template, text="hello", ttl="1h"):
    return json.loads(with_cache_breakpoint(template.request(document(text)), template.renderer.prefix.mark(ttl)).wire)


def test_the_mark_stands_before_the_first_placeholder(load):
    body = sent(load())
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Read this:\n", "cache_control": HOUR},
                {"type": "text", "text": "hello (end)"},
            ],
        }
    ]
    assert body["system"] == "Be brief."


def test_five_minutes_are_what_the_api_does_unasked(load):
    assert sent(load(), ttl="5m")["messages"][0]["content"][0]["cache_control"] == FIVE_MINUTES


def test_a_template_that_begins_with_the_document_has_its_mark_behind_the_system_prompt(load):
    body = sent(load(BEGINS_WITH_IT))
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": HOUR}]
    assert body["messages"] == [{"role": "user", "content": "hello (end)"}]


def test_blank_text_before_the_document_makes_no_block(load):
    template = load(("Read this:\\n{{ doc.text }}", "\\n {{ doc.text }}"))
    assert sent(template)["system"] == [{"type": "text", "text": "Be brief.", "cache_control": HOUR}]
    assert sent(template)["messages"][0]["content"] == "\n hello (end)"


OPENINGS = {
    "whole lines": ("Read this.\nAll of it.\n", "be brief", "Read this.\nAll of it.\n"),
    "a tag behind them stays whole": ('Read this.\n<document id="', "be brief", "Read this.\n"),
    "only the beginning of a tag": ('<document id="', "be brief", ""),
    "only that, and no system prompt": ('<document id="', None, '<document id="'),
    "a long unfinished line": (f"Read this.\n{'word ' * 50}", "be brief", f"Read this.\n{'word ' * 50}"),
    "blank lines before a tag": ("\n\n<d>", "be brief", ""),
    "blank lines before a tag, and no system prompt": ("\n\n<d>", None, "\n\n<d>"),
    "nothing": ("", "be brief", ""),
}


@pytest.mark.parametrize(("opening", "system", "marked"), OPENINGS.values(), ids=OPENINGS)
def test_a_block_ends_with_a_line_if_it_can(opening, system, marked):
    assert CacheablePrefix(system=system, opening=opening).marked_opening == marked


def test_with_neither_there_is_nothing_to_mark(load):
    prefix = load(NO_SYSTEM, BEGINS_WITH_IT).renderer.prefix
    assert prefix.mark("1h") is None
    assert prefix.obstacle == "the prompt begins with the document, and there is no system prompt"
    assert load(NO_SYSTEM).renderer.prefix.obstacle is None
    assert load().renderer.prefix.mark(None) is None


def test_what_is_counted_is_what_is_cached(load):
    assert load().renderer.prefix.text == "Be brief.\nRead this:\n"
    assert load(BEGINS_WITH_IT).renderer.prefix.text == "Be brief."
    assert load(NO_SYSTEM).renderer.prefix.text == "Read this:\n"


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u2003"])
def test_a_document_without_text_makes_no_blank_block(load, text):
    template = load(("Read this:\\n{{ doc.text }} (end)", "Read this:{{ doc.text }}"), NO_SYSTEM)
    content = sent(template, text)["messages"][0]["content"]
    if text:
        assert content == f"Read this:{text}"
    else:
        assert content == [{"type": "text", "text": "Read this:", "cache_control": HOUR}]


def test_the_request_to_another_model_is_marked_too(load):
    template, price = load(), load_prices(today=date(2026, 11, 20)).model("claude-haiku-4-5")
    chain_model = ChainModel(
        price=price, limits=published_limits(LimitsSection(), price.limits), effort=None, thinking=None
    )
    first = template.request(document(), max_tokens=50_000)
    second = chain_model.request(first)
    marked = json.loads(with_cache_breakpoint(second, template.renderer.prefix.mark("5m")).wire)
    assert (marked["model"], marked["max_tokens"]) == ("claude-haiku-4-5", 50_000)
    assert marked["messages"][0]["content"][0]["cache_control"] == FIVE_MINUTES


# --- the mark changes nothing else


def unmarked(wire: bytes) -> bytes:
    """The bytes without marks: blocks joined to the texts they were."""
    params = json.loads(wire)
    for holder, key in [(params, "system"), *((message, "content") for message in params["messages"])]:
        if isinstance(holder.get(key), list):
            holder[key] = "".join(block["text"] for block in holder[key])
    return Request.of(params).body


@pytest.mark.slow
@given(
    system=st.none() | st.text(min_size=1).filter(str.strip),
    opening=st.text(),
    rest=st.text(),
    ttl=st.sampled_from(["5m", "1h"]),
)
def test_without_the_marks_the_bytes_are_the_body(system, opening, rest, ttl):
    params = {"model": "m", "max_tokens": 1} | ({} if system is None else {"system": system})
    request = Request.of({**params, "messages": [{"role": "user", "content": opening + rest}]})
    mark = CacheablePrefix(system=system, opening=opening).mark(ttl)
    assert (mark is None) == (system is None and not opening.strip())
    if mark is None:
        return
    marked = with_cache_breakpoint(request, mark)
    assert unmarked(marked.wire) == request.body == marked.body
    assert marked.request_id == request.request_id
    assert marked == request
    for content in (json.loads(marked.wire).get("system"), json.loads(marked.wire)["messages"][0]["content"]):
        if isinstance(content, list):
            assert all(block["text"].strip() for block in content)


@pytest.mark.slow
@given(texts=st.lists(st.text(), min_size=2))
def test_every_request_begins_with_the_same_marked_bytes(texts):
    mark = CacheBreakpoint("Read this: ", "1h")
    firsts = set()
    for text in texts:
        request = Request.of(
            {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": f"Read this: {text}"}]}
        )
        content = json.loads(with_cache_breakpoint(request, mark).wire)["messages"][0]["content"]
        if isinstance(content, list):
            firsts.add(json.dumps(content[0]))
    assert len(firsts) <= 1


def test_a_request_without_a_mark_is_sent_as_it_is_named(load):
    request = load().request(document())
    assert request.wire == request.body
