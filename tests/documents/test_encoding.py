"""Bytes to text: which encoding, what was done, and what is no text."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.documents.encoding import Decoded, Undecodable, decode

GERMAN = "Dieser Vertrag wird zwischen der Müller GmbH und der Löwen AG geschlossen. Die Vergütung beträgt 5.000 €."
FRENCH = "Le présent contrat est conclu à Genève entre Hélios et l\u2019entreprise Béton. Où l'été, garçon, dès août."
SPANISH = "El contrato se celebra en Málaga. La duración será de un año; el señor Núñez pagará 5.000 €."
RUSSIAN = "Настоящий договор заключен между фирмой Ромашка и фирмой Лютик. Срок действия договора один год."
JAPANESE = "業務委託契約書\n株式会社山田(以下「甲」という。)と鈴木商事株式会社は、次のとおり契約を締結する。\n"


@pytest.mark.parametrize(
    ("data", "encoding", "text", "note"),
    [
        (b"", "auto", "", None),
        (b"plain", "auto", "plain", None),
        ("Größe".encode(), "auto", "Größe", None),
        (b"a\r\nb\rc\n", "auto", "a\nb\nc\n", None),
        (codecs.BOM_UTF8 + b"x\r\n", "auto", "x\n", "read as utf-8 (byte-order mark)"),
        ("né".encode("utf-16"), "auto", "né", "read as utf-16 (byte-order mark)"),
        (codecs.BOM_UTF16_BE + "né".encode("utf-16-be"), "auto", "né", "read as utf-16 (byte-order mark)"),
        ("né".encode("utf-32"), "auto", "né", "read as utf-32 (byte-order mark)"),
        (GERMAN.encode("utf-16-le"), "auto", GERMAN, "read as utf-16-le (no byte-order mark)"),
        (GERMAN.encode("utf-16-be"), "auto", GERMAN, "read as utf-16-be (no byte-order mark)"),
        (JAPANESE.encode("utf-16-le"), "auto", JAPANESE, "read as utf-16-le (no byte-order mark)"),
        (b"caf\xe9", "auto", "café", "read as windows-1252 (guessed)"),
        (GERMAN.encode("cp1252"), "auto", GERMAN, "read as windows-1252 (guessed)"),
        (FRENCH.encode("cp1252"), "auto", FRENCH, "read as windows-1252 (guessed)"),
        (SPANISH.encode("cp1252"), "auto", SPANISH, "read as windows-1252 (guessed)"),
        (RUSSIAN.encode("cp1251"), "auto", RUSSIAN, "read as windows-1251 (guessed)"),
        (RUSSIAN.encode("koi8_r"), "auto", RUSSIAN, "read as koi8-r (guessed)"),
        (JAPANESE.encode("cp932"), "auto", JAPANESE, "read as cp932 (guessed)"),
        (b"one\0 two\0 three\0", "auto", "one two three", "3 NUL bytes removed"),
        (b"one \0two", "utf-8", "one two", "1 NUL byte removed"),
        (b"caf\xe9 \0!", "auto", "café !", "read as windows-1252 (guessed); 1 NUL byte removed"),
        (b"caf\xe9\r\n", "latin-1", "café\n", None),
        (codecs.BOM_UTF8 + b"x", "utf-8", "x", None),
        ("ab".encode("utf-16"), "utf-16", "ab", None),
    ],
)
def test_decode(data: bytes, encoding: str, text: str, note: str | None) -> None:
    assert decode(data, encoding) == Decoded(text, note)


@pytest.mark.parametrize(
    ("data", "encoding", "reason"),
    [
        (b"%PDF-1.7\n...", "auto", "looks like a PDF, not text"),
        (b"%PDF-1.7\n...", "latin-1", "looks like a PDF, not text"),
        (b"PK\x03\x04....", "auto", "looks like a zip archive"),
        (b"\x89PNG\r\n\x1a\n", "auto", "looks like a PNG image"),
        (b"\xff\xd8\xff\xe0", "auto", "looks like a JPEG image"),
        (b"{\\rtf1 hello}", "auto", "looks like an RTF file"),
        (bytes(range(32)) * 10, "auto", "looks like a binary file"),
        (b"\0" * 101, "auto", "looks like a binary file"),
        (b"caf\xe9", "utf-8", "not utf-8 text, at byte 3"),
        (codecs.BOM_UTF8 + b"caf\xe9", "auto", "not utf-8 text, at byte"),
        (codecs.BOM_UTF16_LE + b"abc", "auto", "not utf-16 text"),
    ],
)
def test_undecodable(data: bytes, encoding: str, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(data, encoding)


@pytest.mark.slow
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufeff")))
def test_utf8_is_read_as_it_is(text: str) -> None:
    assert decode(text.encode(), "auto") == Decoded(text)
    assert decode(text.encode(), "utf-8") == Decoded(text)


@pytest.mark.slow
@given(st.binary(max_size=300))
def test_any_bytes_give_a_text_without_nuls_or_a_reason(data: bytes) -> None:
    first, second = _result(data), _result(data)
    assert first == second
    assert first if isinstance(first, str) else not {"\0", "\r"} & set(first.text)


def _result(data: bytes) -> Decoded | str:
    try:
        return decode(data, "auto")
    except Undecodable as refusal:
        return str(refusal)
