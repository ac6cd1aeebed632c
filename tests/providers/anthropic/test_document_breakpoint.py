"""The mark at the end of a document, directly before the words that ask, in every kind of message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.answers.asking import StructuredAsking, WordsAsking
from batchrun.document import NativeFile
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.providers.anthropic.wire import (
    content_around,
    fixed_params,
    message_request,
    with_asking,
    with_cache_breakpoint,
    with_document_breakpoint,
    with_follow_up,
    with_max_tokens,
)
from batchrun.request import Request

ALL, SOME = WordsAsking("Reply with all fields."), WordsAsking("Reply with some fields.")
MARK = {"type": "ephemeral"}
AN_HOUR = {"type": "ephemeral", "ttl": "1h"}
FILE = NativeFile("application/pdf", b"%PDF", pages=1)


def request(content: str | list[Any]) -> Request:
    fixed = fixed_params(model="m", max_tokens=9, asking=ALL, effort=None, thinking=None, system=None)
    return message_request(fixed, content, words=ALL.words)


def content_of(sent: Request) -> Any:
    return json.loads(sent.wire)["messages"][0]["content"]


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def test_the_words_that_ask_stand_behind_the_mark() -> None:
    whole = request("A contract.")

    marked = with_document_breakpoint(with_asking(whole, ALL, SOME), SOME.words, "5m")

    assert content_of(marked) == [text("A contract.", cache_control=MARK), text("\n\nReply with some fields.")]
    assert marked.request_id == whole.request_id


@given(document=st.text(max_size=200), words=st.sampled_from([ALL, SOME]))
def test_the_model_reads_the_same_text(document: str, words: WordsAsking) -> None:
    asked = with_asking(request(document), ALL, words)

    blocks = content_of(with_document_breakpoint(asked, words.words, "5m"))

    texts = [blocks] if isinstance(blocks, str) else [block["text"] for block in blocks]
    assert "".join(texts) == content_of(asked)
    assert all(part.strip() for part in texts), "the API refuses blank blocks"
    assert (len(texts) == 2) == bool(document.strip())


def test_both_marks_stand_in_one_message_the_longer_first() -> None:
    sent = with_cache_breakpoint(request("Read this:\nA contract."), CacheBreakpoint("Read this:\n", "1h"))

    assert content_of(with_document_breakpoint(sent, ALL.words, "5m")) == [
        text("Read this:\n", cache_control=AN_HOUR),
        text("A contract.", cache_control=MARK),
        text("\n\nReply with all fields."),
    ]


@pytest.mark.parametrize(("behind", "marked"), [("", "document"), (" (end)", "text")])
def test_a_file_is_marked_where_no_text_follows(behind: str, marked: str) -> None:
    sent = with_document_breakpoint(request(content_around(FILE, "Read this:", behind)), ALL.words, "5m")

    assert [block["type"] for block in content_of(sent) if "cache_control" in block] == [marked]
    assert content_of(sent)[-1]["text"].strip() == ALL.words


def test_a_conversation_behind_the_document_leaves_the_mark_where_it_is() -> None:
    shown = json.dumps({"content": [{"type": "text", "text": "<answer>"}]})
    sent = with_follow_up(with_max_tokens(request("A contract."), 18), shown, "Again, please.")

    marked = with_document_breakpoint(sent, ALL.words, "5m")

    messages = json.loads(marked.wire)["messages"]
    assert messages[0]["content"][0] == text("A contract.", cache_control=MARK)
    assert messages[1:] == json.loads(sent.wire)["messages"][1:]


@pytest.mark.parametrize("content", ["A contract.", content_around(FILE, "Read this:", "")], ids=["text", "file"])
def test_where_no_words_ask_all_of_the_message_is_marked(content: str | list[Any]) -> None:
    asking = StructuredAsking({"type": "object"})
    fixed = fixed_params(model="m", max_tokens=9, asking=asking, effort=None, thinking=None, system=None)
    whole = message_request(fixed, content)

    *before, last = content_of(with_document_breakpoint(whole, asking.words, "5m"))

    marked = text(content) if isinstance(content, str) else content[-1]
    assert [*before, last] == [*(content[:-1] if isinstance(content, list) else []), marked | {"cache_control": MARK}]
