"""Bytes to text: which encoding, what was done, and what is no text."""

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.documents.encoding import Decoded, Undecodable, decode, decode_declared

GERMAN = "Dieser Vertrag wird zwischen der Müller GmbH und der Löwen AG geschlossen. Die Vergütung beträgt 5.000 €."
FRENCH = "Le présent contrat est conclu à Genève entre Hélios et l\u2019entreprise Béton. Où l'été, garçon, dès août."
SPANISH = "El contrato se celebra en Málaga. La duración será de un año; el señor Núñez pagará 5.000 €."
RUSSIAN = "Настоящий договор заключен между фирмой Ромашка и фирмой Лютик. Срок действия договора один год."
TURKISH = "Bu sözleşme taraflar arasında İstanbul’da imzalanmıştır; ücret 5.000 €."  # noqa: RUF001
HUNGARIAN = (
    "A szerződés két évre szól. Az első részlet a hónap ötödik napján, a többi később fizetendő; a bér 5 millió."
)
CZECH = "Smlouva se uzavírá na dobu určitou. Měsíční částka činí šest tisíc korun, splatná vždy k prvnímu dni měsíce."
ROMANIAN = "Părţile convin că preţul se plăteşte în două tranşe; întârzierea atrage penalităţi, aşa cum s-a stabilit."
LATVIAN = "Līgums ir spēkā divus gadus. Pircējs apņemas samaksāt pirkuma maksu četrās daļās, katru mēnesi vienu daļu."
HEBREW = "הסכם זה נערך ונחתם ביום שני בין החברה לבין הלקוח. תקופת ההסכם היא שנה אחת מיום חתימתו."
KOREAN = "본 계약은 갑과 을 사이에 체결된다. 계약 기간은 일 년으로 하며, 대금은 매월 말일에 지급한다. 펲"
CHINESE = "本合同由甲乙双方签订。合同期限为一年,价款应于每月最后一天支付。朱镕基。"
COLOURED = "\x1b[31mERROR\x1b[0m \x1b]8;;http://x.org\x1b\\here\x1b]8;;\x07 and on\n" * 50
QUOTED = "“quoted words” " * 150
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
        (HUNGARIAN.encode("iso8859-2"), "auto", HUNGARIAN, "read as windows-1250 (guessed)"),
        (HUNGARIAN.encode("cp852"), "auto", HUNGARIAN, "read as cp852 (guessed)"),
        (CZECH.encode("iso8859-2"), "auto", CZECH, "read as iso8859-2 (guessed)"),
        (ROMANIAN.encode("cp1250"), "auto", ROMANIAN, "read as windows-1250 (guessed)"),
        (TURKISH.encode("cp1254"), "auto", TURKISH, "read as windows-1254 (guessed)"),
        (LATVIAN.encode("cp1257"), "auto", LATVIAN, "read as windows-1257 (guessed)"),
        (GERMAN[:-3].encode("cp850"), "auto", GERMAN[:-3], "read as cp437 (guessed)"),
        (GERMAN.encode("mac-roman"), "auto", GERMAN, "read as mac-roman (guessed)"),
        (HEBREW.encode("cp1255"), "auto", HEBREW, "read as windows-1255 (guessed)"),
        (RUSSIAN.encode("cp866"), "auto", RUSSIAN, "read as cp866 (guessed)"),
        (
            b"plain words " * 30_000 + GERMAN.encode("cp1252"),
            "auto",
            "plain words " * 30_000 + GERMAN,
            "read as windows-1252 (guessed)",
        ),
        (CHINESE.encode("gb18030"), "auto", CHINESE, "read as gb18030 (guessed)"),
        (KOREAN.encode("cp949"), "auto", KOREAN, "read as cp949 (guessed)"),
        (("①\n" + JAPANESE).encode("cp932"), "auto", "①\n" + JAPANESE, "read as cp932 (guessed)"),
        (JAPANESE.encode("euc-jp"), "auto", JAPANESE, "read as euc-jp (guessed)"),
        (JAPANESE.encode("iso-2022-jp"), "auto", JAPANESE, "read as iso2022-jp (by its escape sequences)"),
        (JAPANESE.encode("iso-2022-jp") * 9, "auto", JAPANESE * 9, "read as iso2022-jp (by its escape sequences)"),
        (KOREAN[:-2].encode("iso-2022-kr"), "auto", KOREAN[:-2], "read as iso2022-kr (by its escape sequences)"),
        (GERMAN.encode("utf-32-le"), "auto", GERMAN, "read as utf-32-le (no byte-order mark)"),
        (JAPANESE.encode("utf-32-be"), "auto", JAPANESE, "read as utf-32-be (no byte-order mark)"),
        (RUSSIAN.encode("utf-16-le"), "auto", RUSSIAN, "read as utf-16-le (no byte-order mark)"),
        (RUSSIAN.encode("utf-16-be"), "auto", RUSSIAN, "read as utf-16-be (no byte-order mark)"),
        (COLOURED.encode(), "auto", COLOURED, None),
        ("\x1b$B größer".encode(), "auto", "\x1b$B größer", None),
        (QUOTED.encode() + b"\x92", "auto", QUOTED + "\ufffd", "read as utf-8 but for 1 byte at 2,850"),
        (
            QUOTED.encode() + b"\x92" + QUOTED.encode() + b"\xff\xfe",
            "auto",
            f"{QUOTED}\ufffd{QUOTED}\ufffd\ufffd",
            "read as utf-8 but for 3 bytes, the first at 2,850",
        ),
        (
            "Größe und Länge €".encode()[:-1],
            "auto",
            "Größe und Länge \ufffd",
            "read as utf-8 but for 2 bytes, the first at 19",
        ),
        (
            codecs.BOM_UTF8 + "größer \xff als".encode("latin-1").replace(b"\xf6\xdf", "öß".encode()) + b"." * 999,
            "auto",
            f"größer \ufffd als{'.' * 999}",
            "read as utf-8 but for 1 byte at 12",
        ),
        ("ößer und Länge".encode()[1:], "auto", "\ufffdßer und Länge", "read as utf-8 but for 1 byte at 0"),
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
        (b"\x1b[31m\x01\x02" * 10, "auto", "looks like a binary file"),
        (QUOTED.encode() + b"\x92", "utf-8", "not utf-8 text, at byte 2,850"),
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


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"5 \x80", "iso-8859-1", "5 €"),
        (b"5 \x80", "iso-8859-9", "5 €"),
        ("①".encode("cp932"), "x-sjis", "①"),
        ("café".encode(), "latin-1", "café"),
        ("café".encode(), "", "café"),
        ("café".encode(), "no such codec", "café"),
        (b"caf\xe9", "utf-8", "café"),
        (b"caf\xe9", "us-ascii", "café"),
        (JAPANESE.encode("iso-2022-jp"), "ISO-2022-JP", JAPANESE),
        (codecs.BOM_UTF8 + b"x\r\n", "utf-8", "x\n"),
        (b"a\0b", "utf-8", "ab"),
        *(
            (b"caf\xe9 \\u0041", codec, "café \\u0041")
            for codec in ("unicode_escape", "idna", "undefined", "hex", "\0", "é")
        ),
    ],
)
def test_a_declared_codec_is_believed_as_far_as_it_fits(data: bytes, declared: str, text: str) -> None:
    assert decode_declared(data, declared).text == text


def test_declared_bytes_that_are_no_text_are_a_text_with_a_note() -> None:
    note = "read as utf-8: looks like a binary file, not text: too many control characters"
    assert decode_declared(b"\xe9\x01\x02" * 9, "utf-8") == Decoded("\ufffd\x01\x02" * 9, note)


@pytest.mark.parametrize(
    "data",
    [
        b"a" * 2_000_000 + b"\xe9",
        b"\xe9" * 1_000_000,
        (b"\xc3\xa9" * 9 + b"\xe9") * 60_000,
        b"\x1b]" * 500_000,
        b"\x1b$B" * 300_000,
    ],
    ids=["one at the end", "only such", "every tenth", "half an escape", "escapes"],
)
def test_odd_bytes_cost_little(data: bytes) -> None:
    begin = time.process_time()
    _result(data)
    assert time.process_time() - begin < 10


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
