"""PDFs and images at the simulated API: their tokens, and what is refused of them."""

from base64 import b64encode
from typing import Any

import pytest
from native_samples import LINE, agreement, gif, jpeg, locked, png, scan

from batchrun.simulator.api_error import ApiRefusal
from batchrun.simulator.replies.production import produce
from batchrun.simulator.requests.model_cards import find_model
from batchrun.simulator.requests.parameters import check_message
from batchrun.simulator.requests.token_count import count_prompt, count_text

NEW, OLD = "claude-sonnet-5-5", "claude-haiku-4-5"
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "governing_law": {"type": ["string", "null"]}},
    "required": ["title", "governing_law"],
    "additionalProperties": False,
}


def block(data: bytes | str, kind: str = "document") -> dict[str, Any]:
    written = data if isinstance(data, str) else b64encode(data).decode()
    media_type = "application/pdf" if kind == "document" else "image/png"
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": written}}


def params(*content: dict[str, Any], model: str = NEW) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": list(content)}]}


def tokens(one: dict[str, Any], tokenizer: Any = "new") -> int:
    return count_prompt(params(one), tokenizer) - count_prompt(params(), tokenizer)


def test_a_page_counts_its_text_and_its_image() -> None:
    text = "\n".join(["Agreement, page 1.", *[LINE] * 20])
    assert tokens(block(agreement())) == 1_568 + count_text(text, "new")
    assert tokens(block(scan(7))) == 7 * 1_568
    assert tokens(block(agreement()), "old") < tokens(block(agreement()))


@pytest.mark.parametrize(
    ("width", "height", "new", "old"),
    [(1000, 1000, 1_296, 1_296), (4000, 3000, 4_784, 1_568), (100, 8000, 184, 56)],
)
def test_an_image_counts_its_patches(width: int, height: int, new: int, old: int) -> None:
    assert tokens(block(gif(width, height), "image")) == new
    assert tokens(block(gif(width, height), "image"), "old") == old


@pytest.mark.parametrize(
    ("content", "model", "words"),
    [
        (block(scan(601)), NEW, "messages.0.content.0.pdf.source.base64.data: A maximum of 600 PDF pages may be"),
        (block(scan(101)), OLD, "A maximum of 100 PDF pages may be provided."),
        (block(locked()), NEW, "The PDF specified is password protected."),
        (block(b"%PDF-1.4 junk"), NEW, "The PDF specified was not valid."),
        (block("no base64!"), NEW, "Invalid base64 data"),
        (
            block(png(8001, 2), "image"),
            NEW,
            "At least one of the image dimensions exceed max allowed size: 8000 pixels",
        ),
        (block(jpeg(1, 1)[:9], "image"), NEW, "messages.0.content.0.image.source.base64.data: Could not process image"),
        (
            block(png(1, 1).ljust(7_864_321, b"\0"), "image"),
            NEW,
            "messages.0.content.0.image.source.base64: image exceeds 10 MB maximum: 10485764 bytes > 10485760 bytes",
        ),
    ],
)
def test_what_is_refused(content: dict[str, Any], model: str, words: str) -> None:
    with pytest.raises(ApiRefusal) as refused:
        check_message(params(content, model=model))

    assert refused.value.error.status == 400
    assert words in refused.value.error.message


def test_pages_of_all_files_count_together() -> None:
    check_message(params(block(scan(300)), block(scan(300))))
    with pytest.raises(ApiRefusal, match=r"messages\.0\.content\.1\.pdf"):
        check_message(params(block(scan(300)), block(scan(301))))


def answer(data: bytes, kind: str = "document") -> str:
    card = find_model(NEW)
    assert card
    asked = params(
        {"type": "text", "text": "<document>\n"}, block(data, kind), {"type": "text", "text": "\n</document>\nGo."}
    )
    asked["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    return produce(asked, card, seed=0, chance=0.99, spoiling=None).text


def test_a_text_layer_is_read() -> None:
    assert answer(agreement()) == '{"title":"Agreement, page 1.","governing_law":"Denmark"}'


def test_what_has_no_text_gets_an_answer_all_the_same() -> None:
    for data, kind in ((scan(), "document"), (png(3, 3), "image")):
        assert answer(data, kind) == answer(data, kind)
        assert '"governing_law":null' in answer(data, kind)
