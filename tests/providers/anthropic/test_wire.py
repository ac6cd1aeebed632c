"""Names of a batch's members, put together and taken apart again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.providers.anthropic.wire import (
    BATCH_HEAD,
    BATCH_SEPARATOR,
    BATCH_TAIL,
    batch_member,
    batch_size,
    member_name,
)
from batchrun.request import Request

NONCE = "0123456789ab"
REQUEST = Request.of({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "é"}]})


def test_a_member_is_named_by_the_batch_and_the_request() -> None:
    member = json.loads(batch_member(REQUEST, nonce=NONCE))

    assert member_name(member["custom_id"]) == (NONCE, REQUEST.request_id)
    assert member["params"] == json.loads(REQUEST.body)


FOREIGN = {
    "nothing": ("", ("", "")),
    "one word": ("theirs", ("", "theirs")),
    "the nonce alone": (NONCE, ("", NONCE)),
    "no nonce before the hyphen": ("-1", ("", "-1")),
    "nothing but a hyphen": ("-", ("", "-")),
    "another's nonce": ("theirs-1-2", ("theirs", "1-2")),
    "nothing after the hyphen": (f"{NONCE}-", (NONCE, "")),
}


@pytest.mark.parametrize(("custom_id", "expected"), FOREIGN.values(), ids=FOREIGN)
def test_names_of_another_form_have_no_nonce_of_ours(custom_id: str, expected: tuple[str, str]) -> None:
    assert member_name(custom_id) == expected


@given(st.text())
def test_a_name_belongs_to_a_batch_exactly_when_it_begins_with_its_nonce(rest: str) -> None:
    for custom_id in (rest, f"{NONCE}{rest}", f"{NONCE}-{rest}"):
        nonce, request_id = member_name(custom_id)
        assert (nonce == NONCE) == custom_id.startswith(f"{NONCE}-")
        assert bool(nonce or request_id) == bool(custom_id)


@given(st.lists(st.binary(min_size=1), max_size=5))
def test_the_size_of_a_body_is_that_of_its_parts(members: list[bytes]) -> None:
    body = BATCH_HEAD + BATCH_SEPARATOR.join(members) + BATCH_TAIL
    assert batch_size([len(member) for member in members]) == len(body)
