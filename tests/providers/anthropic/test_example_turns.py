"""Turns of examples in the bytes that are sent: the mark of the cache stands behind them, and nothing else changes."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from native_samples import agreement

from batchrun.document import Document, NativeFile
from batchrun.planning.request_template import RequestTemplate
from batchrun.providers.anthropic.wire import (
    count_body,
    file_in,
    file_size,
    with_cache_breakpoint,
    with_file_id,
)
from batchrun.request import Request

PROMPT = r"""
system = "Be brief."
user = "Read this:\n{{ doc.text }} (end)"
[[prompt.example]]
document = "one"
output = { title = "One" }
[[prompt.example]]
document = "two"
output = { title = "Two" }
"""
BARE = ('user = "Read this:\\n{{ doc.text }} (end)"', 'user = "{{ doc.text }}"')
NO_SYSTEM = ('system = "Be brief."\n', "")
MARK = {"type": "ephemeral", "ttl": "1h"}
PDF = NativeFile("application/pdf", agreement(), pages=1)
Load = Callable[..., RequestTemplate]


@pytest.fixture(scope="module")
def load(template_of: Load) -> Load:
    return partial(template_of, PROMPT)


def marked(template: RequestTemplate, native: NativeFile | None = None) -> tuple[Request, Any]:
    request = template.request(Document("a", "a", "hello", native=native))
    sent = with_cache_breakpoint(request, template.renderer.prefix.mark("1h"))
    assert (sent.body, sent.request_id) == (request.body, request.request_id)
    return sent, json.loads(sent.wire)


def marks(params: Any) -> list[str]:
    """The texts that end with a mark."""
    contents = [params.get("system", ""), *(message["content"] for message in params["messages"])]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [block["text"] for block in blocks if block.get("cache_control") == MARK]


@pytest.mark.parametrize("native", [None, PDF], ids=["text", "file"])
def test_the_mark_ends_the_opening_of_the_documents_message(load: Load, native: NativeFile | None) -> None:
    _, params = marked(load(), native)

    assert marks(params) == ["Read this:\n"]
    assert params["messages"][-1]["content"][0]["text"] == "Read this:\n"
    assert [message["content"] for message in params["messages"][:-1]] == [
        "Read this:\none (end)", '{"title":"One"}', "Read this:\ntwo (end)", '{"title":"Two"}',
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [(BARE,), (BARE, NO_SYSTEM)], ids=["system", "no system"])
@pytest.mark.parametrize("native", [None, PDF], ids=["text", "file"])
def test_the_mark_ends_the_last_example_where_the_message_begins_with_the_document(
    load: Load, changes: tuple[tuple[str, str], ...], native: NativeFile | None
) -> None:
    _, params = marked(load(*changes), native)

    assert marks(params) == ['{"title":"Two"}']
    assert params["messages"][-2]["content"] == [{"type": "text", "text": '{"title":"Two"}', "cache_control": MARK}]
    assert params.get("system") == (None if NO_SYSTEM in changes else "Be brief.")


def test_the_cached_text_has_all_examples(load: Load) -> None:
    turns = 'Read this:\none (end)\n{"title":"One"}\nRead this:\ntwo (end)\n{"title":"Two"}'
    assert load().renderer.prefix.text == f"Be brief.\n{turns}\nRead this:\n"
    assert load(BARE).renderer.prefix.text == 'Be brief.\none\n{"title":"One"}\ntwo\n{"title":"Two"}'
    assert load(BARE, NO_SYSTEM).renderer.prefix.obstacle is None
    assert load().renderer.prompt_text == f"Be brief.\n{turns}\nRead this:\n\n (end)"


def test_a_file_behind_examples_is_found_and_named(load: Load) -> None:
    sent, params = marked(load(), PDF)

    assert file_in(sent) == NativeFile(PDF.media_type, PDF.data)
    assert file_size(sent.body) > len(PDF.data)
    named = json.loads(with_file_id(sent, "file_1").wire)
    assert named["messages"][-1]["content"][1]["source"] == {"type": "file", "file_id": "file_1"}
    assert named["messages"][:-1] == params["messages"][:-1]


def test_examples_are_counted_with_the_request(load: Load) -> None:
    request = load().request(Document("a", "a", "hello"))
    assert json.loads(count_body(request))["messages"] == json.loads(request.body)["messages"]
    bare = load().bare_request()
    assert bare is not None
    assert [message["content"] for message in json.loads(bare.body)["messages"]][-1] == "Read this:\n (end)"
    assert len(json.loads(bare.body)["messages"]) == 5
