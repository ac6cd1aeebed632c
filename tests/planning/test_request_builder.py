"""A document is read, cut, rendered, sized and counted once, and counted only when somebody asks."""

import json
from collections.abc import Callable

import pytest
from trial_project import TrialProject

from batchrun.document import Document
from batchrun.estimation.tokenizer import count_tokens
from batchrun.planning import planner
from batchrun.planning.request_builder import RequestBuilder
from batchrun.workflow.open_job import open_job

LONG = "word " * 500
TRUNCATES = 'type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 100\non_oversize = "truncate"'


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that was counted."""
    texts: list[str] = []

    def watched(text: str) -> int:
        texts.append(text)
        return count_tokens(text)

    monkeypatch.setattr(planner, "count_tokens", watched)
    return texts


@pytest.fixture
def builder_of(project: TrialProject, counted: list[str]) -> Callable[..., RequestBuilder]:
    def builder_of(**sections: str) -> RequestBuilder:
        with open_job(project.job(**sections), simulated=False, to_run=False) as opened:
            builder = opened.planner().builder
        counted.clear()
        return builder

    return builder_of


def document(text: str) -> Document:
    return Document(doc_id="a", source="a", text=text)


def test_a_document_is_counted_when_asked_and_once(
    builder_of: Callable[..., RequestBuilder], counted: list[str]
) -> None:
    built = builder_of().build(document("some text"))

    assert built.size.bytes == len("some text")
    assert counted == []
    assert built.tokens is built.tokens
    assert counted == ["some text"]
    assert built.size.text_class is built.tokens.text_class


def test_a_document_that_had_to_be_counted_to_be_cut_is_not_counted_again(
    builder_of: Callable[..., RequestBuilder], counted: list[str]
) -> None:
    built = builder_of(source=TRUNCATES).build(document(LONG))
    so_far = len(counted)

    assert built.text == counted[-1]
    assert built.text in json.loads(built.request.body)["messages"][0]["content"]
    assert 0 < built.tokens.counted == count_tokens(built.text) < count_tokens(LONG)
    assert built.size.bytes == len(built.text)
    assert len(counted) == so_far


def test_a_document_keeps_the_tokens_that_it_may_write(builder_of: Callable[..., RequestBuilder]) -> None:
    builder = builder_of()

    usual, allowed = builder.build(document("text")), builder.build(document("text"), max_tokens=9_999)

    assert allowed.request.max_tokens == 9_999
    assert usual.request.request_id != allowed.request.request_id
    assert usual.text == allowed.text
