"""Files in the bytes that are sent: where the file stands, and where the mark for the cache goes."""

import json
from base64 import b64decode, b64encode
from functools import partial
from typing import Any

import pytest
from native_samples import agreement, png

from batchrun.document import Document, NativeFile
from batchrun.planning.request_template import RequestTemplate
from batchrun.providers.anthropic.wire import (
    batch_member,
    count_body,
    file_in,
    file_size,
    with_cache_breakpoint,
    with_file_id,
)

PDF = NativeFile("application/pdf", agreement(), pages=1)
IMAGE = NativeFile("image/png", png(3, 2), width=3, height=2)
MARK = {"type": "ephemeral", "ttl": "1h"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def block(kind: str, file: NativeFile) -> dict[str, Any]:
    data = b64encode(file.data).decode()
    return {"type": kind, "source": {"type": "base64", "media_type": file.media_type, "data": data}}


@pytest.fixture(scope="module")
def load(template_of: Any) -> Any:
    return partial(template_of, 'user = "Read this:\\n{{ doc.text }} (end)"')


def document(file: NativeFile = PDF) -> Document:
    return Document("a", "a", "what it says", native=file)


def content(template: RequestTemplate, file: NativeFile = PDF, *, marked: bool = False) -> Any:
    request = template.request(document(file))
    if marked:
        request = with_cache_breakpoint(request, template.renderer.prefix.mark("1h"))
    (message,) = json.loads(request.wire)["messages"]
    return message["content"]


@pytest.mark.parametrize(("file", "kind"), [(PDF, "document"), (IMAGE, "image")])
def test_the_file_stands_where_the_text_would(load: Any, file: NativeFile, kind: str) -> None:
    found = content(load(), file)

    assert found == [text("Read this:\n"), block(kind, file), text(" (end)")]
    assert b64decode(found[1]["source"]["data"]) == file.data


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("{{ doc.text }}", ["file"]),
        (" {{ doc.text }}\\n", ["file"]),
        ("Read {{ doc.id }}: {{ doc.text }}", ["Read a: ", "file"]),
        ("{{ doc.text }} again: {{ doc.text }}.", ["file", " again: ."]),
    ],
)
def test_blank_texts_make_no_block_and_the_file_is_sent_once(load: Any, prompt: str, expected: list[str]) -> None:
    found = content(load(("Read this:\\n{{ doc.text }} (end)", prompt)))

    assert [one.get("text", "file") for one in found] == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Rules.\\n{{ doc.text }} end", [text("Rules.\n") | {"cache_control": MARK}, "file", text(" end")]),
        (
            "Rules.\\n<doc> {{ doc.text }}",
            [text("Rules.\n") | {"cache_control": MARK}, text("<doc> "), "file"],
        ),
        ("Rules.\\n {{ doc.text }}", [text("Rules.\n") | {"cache_control": MARK}, "file"]),
        (
            "Rules.\\n{{ doc.id }} {{ doc.text }}",
            [text("Rules.\n") | {"cache_control": MARK}, text("a "), "file"],
        ),
    ],
)
def test_the_mark_stands_before_the_file(load: Any, prompt: str, expected: list[Any]) -> None:
    template = load(("Read this:\\n{{ doc.text }} (end)", prompt))
    found = content(template, marked=True)

    assert [one if one["type"] == "text" else "file" for one in found] == expected
    request = template.request(document())
    marked = with_cache_breakpoint(request, template.renderer.prefix.mark("1h"))
    assert marked.request_id == request.request_id
    assert marked.body == request.body != marked.wire


def test_with_a_system_prompt_the_mark_may_stand_there(load: Any) -> None:
    template = load(('user = "Read this:\\n', 'system = "Be brief."\nuser = "'))
    request = with_cache_breakpoint(template.request(document()), template.renderer.prefix.mark("1h"))

    assert json.loads(request.wire)["system"] == [text("Be brief.") | {"cache_control": MARK}]
    assert json.loads(request.wire)["messages"] == json.loads(request.body)["messages"]


def test_the_bytes_of_the_file_name_the_request(load: Any) -> None:
    template = load()
    others = [document(), document(IMAGE), document(NativeFile("application/pdf", agreement(2), pages=2))]

    assert len({template.request(one).request_id for one in others}) == 3
    again = Document("a", "a", "another reader's text", native=PDF)
    assert template.request(again).request_id == template.request(document()).request_id
    assert template.fingerprint == load().fingerprint


def test_a_member_of_a_batch_and_a_count_have_the_file(load: Any) -> None:
    request = load().request(document())

    member = json.loads(batch_member(request, nonce="abc"))
    assert member["params"] == json.loads(request.body)
    assert json.loads(count_body(request))["messages"] == member["params"]["messages"]


@pytest.mark.parametrize(("file", "kind"), [(PDF, "document"), (IMAGE, "image")])
@pytest.mark.parametrize("marked", [False, True])
def test_an_uploaded_file_is_named_in_its_place_and_names_nothing(
    load: Any, file: NativeFile, kind: str, *, marked: bool
) -> None:
    template = load(("Read this:\\n{{ doc.text }} (end)", "Rules.\\n{{ doc.text }} (end)"))
    request = template.request(document(file))
    if marked:
        request = with_cache_breakpoint(request, template.renderer.prefix.mark("1h"))
    uploaded = with_file_id(request, "file_1")

    assert uploaded.request_id == request.request_id
    assert uploaded.body == request.body
    sent, before = json.loads(uploaded.wire), json.loads(request.wire)
    assert sent["messages"][0]["content"][1] == {"type": kind, "source": {"type": "file", "file_id": "file_1"}}
    assert before["messages"][0]["content"][1] == block(kind, file)
    sent["messages"][0]["content"][1] = block(kind, file)
    assert sent == before
    assert len(uploaded.wire) < len(request.wire) - file_size(request.wire) + 10


def test_the_file_of_a_request_is_taken_out_and_measured(load: Any) -> None:
    request = load().request(document())

    assert file_in(request).data == PDF.data
    assert file_in(request).media_type == PDF.media_type
    assert file_size(batch_member(request, nonce="abc")) == len(b64encode(PDF.data))
    assert file_size(with_file_id(request, "file_1").wire) == 0


def test_a_text_that_looks_like_a_file_is_none(load: Any) -> None:
    looks = json.dumps({"source": {"type": "base64", "media_type": "a", "data": "abc"}}, separators=(",", ":"))
    request = load().request(Document("a", "a", looks))

    assert file_size(request.body) == 0
