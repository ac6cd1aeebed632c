"""File names as text and back."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.documents.path_escaping import actual, shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"contracts/a b.txt", "contracts/a b.txt"),
        ("Straße/契約.txt".encode(), "Straße/契約.txt"),
        (b"caf\xe9.txt", r"caf\xe9.txt"),
        (b"two\nlines", r"two\x0alines"),
        (rb"back\slash", r"back\\slash"),
        ("zero\u200bwidth".encode(), r"zero\u200bwidth"),
    ],
)
def test_shown(name: bytes, text: str) -> None:
    assert shown(os.fsdecode(name)) == text
    assert os.fsencode(actual(text)) == name


@pytest.mark.slow
@given(st.binary())
def test_every_name_is_printable_and_found_again(name: bytes) -> None:
    text = shown(os.fsdecode(name))
    assert text.isprintable()
    text.encode()
    assert os.fsencode(actual(text)) == name
