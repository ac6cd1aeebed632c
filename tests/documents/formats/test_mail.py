"""Mail: the letter, the fields, the attachments; and nothing but Unusable from hostile or broken bytes."""

import random
import time
from base64 import b64encode, encodebytes

import pytest
from mail_samples import HEAD, attached, mail, mail_of, multipart, nested, part

from batchrun.documents.formats import Attached, Found, Part, ReadOptions, Unusable, UnusablePart
from batchrun.documents.formats.mail import read

PLAIN = part("text/plain", "Dear Bob,\nthe terms.")
HTML = part("text/html", "<p>Dear Bob,</p><p>the <b>terms</b>.</p>")
RICH = part("text/html", f"<html><body><p>{'Dear Bob, the terms. ' * 30}</p></body></html>")
STUB = part("text/plain", "Your program cannot show HTML.")
PDF = attached("terms.pdf")
LOGO = part("image/png", "x", "Content-ID: <logo@x>", 'Content-Disposition: inline; filename="logo.png"')
CALENDAR = part("text/calendar; method=REQUEST", "BEGIN:VCALENDAR\nEND:VCALENDAR")
EITHER = multipart("alternative", PLAIN, HTML, boundary="c")
STATUS = part("message/delivery-status", "Status: 5.1.1")
DEAR = "Dear Bob,\nthe terms."
DEAR_HTML = "Dear Bob,\n\nthe terms."
FORWARDED = part("message/rfc822", mail(body="older"))


def found_in(data: bytes, **options: bool) -> list[Found]:
    return list(read(data, ReadOptions(**options)))


def letter(data: bytes) -> str:
    """The text of a mail below its fields."""
    [first, *_] = found_in(data)
    assert isinstance(first, Part)
    return first.text.partition("\n\n")[2].removesuffix("\n")


def attached_names(data: bytes) -> list[str]:
    return [one.name for one in found_in(data) if isinstance(one, Attached)]


def test_the_text_is_the_fields_that_matter_and_the_letter() -> None:
    data = mail(
        "Cc: c@x.org", "Date: Mon, 6 Jan 2025 10:00:00 +0100", "Received: from x", "X-Spam: no", body="Hi\r\nBob"
    )
    text = HEAD.replace("Subject", "Cc: c@x.org\nSubject") + "Date: Mon, 6 Jan 2025 10:00:00 +0100\n\nHi\nBob\n"
    assert found_in(data) == [Part(text=text)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PLAIN, DEAR),
        (HTML, DEAR_HTML),
        (part("text/plain", ""), ""),
        (part("text", "odd type"), "odd type"),
        (part("text/x-own", "own type"), "own type"),
        (part("text/plain", "<html><body><p>Hi</p></body></html>"), "Hi"),
        (multipart("alternative", PLAIN, HTML), DEAR),
        (multipart("alternative", HTML, PLAIN), DEAR),
        (multipart("alternative", STUB, RICH), ("Dear Bob, the terms. " * 30).strip()),
        (multipart("alternative", part("text/plain", ""), HTML), DEAR_HTML),
        (multipart("alternative", PLAIN, HTML, CALENDAR), DEAR),
        (multipart("alternative", CALENDAR), "BEGIN:VCALENDAR\nEND:VCALENDAR"),
        (multipart("mixed", PLAIN, PDF), DEAR),
        (multipart("mixed", PDF, PLAIN), DEAR),
        (multipart("mixed", PLAIN, PDF, part("text/plain", "Ann")), f"{DEAR}\n\nAnn"),
        (multipart("mixed", b"\n" + DEAR.encode()), DEAR),
        (
            multipart("mixed", multipart("related", multipart("alternative", PLAIN, HTML, boundary="c"), boundary="d")),
            DEAR,
        ),
        (multipart("related", HTML, LOGO), DEAR_HTML),
        (multipart("alternative", part("text/plain", ""), multipart("related", HTML, LOGO, boundary="c")), DEAR_HTML),
        (multipart("alternative", PLAIN, multipart("mixed", HTML, PDF, boundary="c")), DEAR),
        (multipart("signed", PLAIN, part("application/pgp-signature", "x")), DEAR),
        (
            multipart("report", PLAIN, part("message/delivery-status", "Status: 5.1.1"), FORWARDED),
            f"{DEAR}\n\nStatus: 5.1.1",
        ),
        (multipart("report", PLAIN, part("text/rfc822-headers", "To: nobody")), f"{DEAR}\n\nTo: nobody"),
        (multipart("mixed", FORWARDED), ""),
        (part("multipart/mixed", "no boundary at all"), "no boundary at all"),
        (part('multipart/mixed; boundary="b"', "--b\n\ncut off"), "cut off"),
        (part("text/plain", DEAR, 'Content-Disposition: inline; filename="letter.txt"'), DEAR),
        (multipart("alternative", part('text/plain; name="a.txt"', DEAR), HTML), DEAR),
    ],
)
def test_the_letter_is_found_wherever_it_stands(content: bytes, expected: str) -> None:
    assert letter(mail_of(content)) == expected
    assert letter(mail_of(content).replace(b"\n", b"\r\n")) == expected


def test_a_mail_without_a_type_or_with_old_line_ends_or_an_envelope_is_read() -> None:
    assert letter(mail(body="Hi")) == "Hi"
    assert letter(mail(body="Hi\nBob").replace(b"\n", b"\r")) == "Hi\nBob"
    assert letter(b"From ann Mon Jan  6 10:00:00 2025\n" + mail(body="Hi")) == "Hi"
    assert letter(b"\xef\xbb\xbf\r\n" + mail(body="Hi")) == "Hi"


def test_a_part_with_the_boundary_of_the_part_around_it_ends_where_its_last_line_says() -> None:
    inner = multipart("alternative", PLAIN, HTML)
    data = mail_of(multipart("mixed", inner, PDF))
    assert letter(data) == DEAR
    assert attached_names(data) == ["terms.pdf"]


def test_a_boundary_that_begins_like_another_one_is_another_one() -> None:
    inner = multipart("mixed", PLAIN, part("text/plain", "Ann"), boundary="b-inner")
    assert letter(mail_of(multipart("mixed", inner, boundary="b"))) == f"{DEAR}\n\nAnn"


@pytest.mark.parametrize(
    ("kind", "body", "encoding", "expected"),
    [
        ("text/plain; charset=utf-8", "Gr=C3=BC=C3=9Fe =\nan alle", "quoted-printable", "Grüße an alle"),
        ("text/plain; charset=utf-8", "a= \nb =ZZ =C3=BC =C3=BC =C3", "quoted-printable", "ab =ZZ ü ü \ufffd"),
        ("text/plain; charset=utf-8", encodebytes("Grüße".encode()), "base64", "Grüße"),
        ("text/plain; charset=utf-8", b64encode(b"Hello Bob").rstrip(b"=") + b"A", " BASE64 ", "Hello Bob"),
        ("text/plain; charset=utf-8", b"SGVsbG8=\n!!\nIEJvYg==", "base64", "Hello Bob"),
        ("text/plain", b"begin 644 x\n%2&5L;&\\\n`\nend\n", "x-uuencode", "Hello"),
        ("text/plain; charset=iso-8859-1", "Grüße • 5 €".encode("cp1252"), "8bit", "Grüße • 5 €"),
        ("text/plain; charset=us-ascii", "Grüße".encode(), "8bit", "Grüße"),
        ("text/plain; charset=iso-8859-1", "Grüße".encode(), "8bit", "Grüße"),
        ("text/plain; charset=x-unknown", "Grüße".encode(), "8bit", "Grüße"),
        ("text/plain; charset=punycode", "Grüße".encode(), "8bit", "Grüße"),
        ("text/plain; charset=base64", "Grüße".encode(), "8bit", "Grüße"),
        ("text/plain; charset=gb2312", "镕基".encode("gb18030"), "8bit", "镕基"),
        ("text/plain; charset=iso-2022-jp", "業務委託契約書".encode("iso-2022-jp"), "7bit", "業務委託契約書"),
        ("text/plain; charset=utf-8", b"a\0b\r\nc", "8bit", "ab\nc"),
        ("text/html", '<meta charset="windows-1251"><p>Договор</p>'.encode("cp1251"), "8bit", "Договор"),
        (
            "text/plain; format=flowed",
            "One \nparagraph.\n\n> quoted \n> text\n-- \nAnn",
            "7bit",
            "One paragraph.\n\n> quoted text\n--\nAnn",
        ),
        ("text/plain; format=flowed; delsp=yes", "Donau \ndampf", "7bit", "Donaudampf"),
        ("text/plain; format=flowed", " From here", "7bit", "From here"),
    ],
)
def test_the_text_is_decoded(kind: str, body: str | bytes, encoding: str, expected: str) -> None:
    assert letter(mail_of(part(kind, body, f"Content-Transfer-Encoding: {encoding}"))) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe_an?= alle", "Grüße an alle"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("=?utf-8?Q?Gr=C3?=\r\n =?utf-8?Q?=BC=C3=9Fe?=", "Grüße"),
        ("=?iso-2022-jp?B?GyRCNkhMMxsoQg==?=", "業務"),
        ("=?no-such-thing?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8*de?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?Q?un finished", "=?utf-8?Q?un finished"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe an alle?=", "Grüße an alle"),
        ("folded\r\n  over lines", "folded over lines"),
        ("Grüße", "Grüße"),
    ],
)
def test_the_words_of_a_field_are_decoded(value: str, expected: str) -> None:
    [found] = found_in(f"From: a@x.org\nSubject: {value}\n\nHi".encode())
    assert isinstance(found, Part)
    assert found.text == f"From: a@x.org\nSubject: {expected}\n\nHi\n"


def test_what_was_done_to_read_the_letter_is_noted() -> None:
    [found] = found_in(mail(body="Größe".encode("cp1252")))
    assert isinstance(found, Part)
    assert found.note == "read as windows-1252 (guessed)"


def test_attachments_are_found_with_their_bytes() -> None:
    data = mail_of(multipart("mixed", PLAIN, PDF, attached("notes.txt", b"notes", "text/plain")))
    assert found_in(data)[1:] == [Attached("terms.pdf", b"%PDF-1.7 terms"), Attached("notes.txt", b"notes")]
    assert found_in(data, attachments=False) == found_in(data)[:1]


def test_a_file_that_is_the_whole_mail_is_an_attachment() -> None:
    assert found_in(mail_of(PDF)) == [Part(text=HEAD), Attached("terms.pdf", b"%PDF-1.7 terms")]


def test_images_within_the_text_and_signatures_are_no_documents() -> None:
    page = part("text/html", '<p>Hi<img src="cid:logo@x"></p>')
    shown = part("image/png", "x", "Content-ID: <logo@x>", 'Content-Disposition: attachment; filename="l.png"')
    photo = part("image/jpeg", "x", 'Content-Disposition: inline; filename="photo.jpg"')
    signature = part('application/pgp-signature; name="signature.asc"', "x")
    data = mail_of(multipart("mixed", multipart("related", page, shown, LOGO, boundary="c"), photo, signature))
    assert attached_names(data) == ["photo.jpg"]


def test_a_forwarded_mail_is_called_by_its_subject_or_its_own_name() -> None:
    named = part('message/rfc822; name="old.eml"', mail(body="older"))
    nameless = part("message/rfc822", b"broken")
    data = mail_of(multipart("digest", FORWARDED, named, nameless, b"\n" + mail(body="by default")))
    assert attached_names(data) == ["Terms.eml", "old.eml", "message.eml", "Terms (2).eml"]


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ('filename="a b.pdf"', "a b.pdf"),
        ("filename=a b.pdf", "a b.pdf"),
        (r'filename="a \"b\".pdf"', 'a "b".pdf'),
        ("filename*=utf-8'de'Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
        ("filename*0*=utf-8''Gr%C3%B6; filename*1=%C3; filename*2=.pdf", "Grö%C3.pdf"),
        ("filename*1=b.pdf; filename*0=a", "ab.pdf"),
        ("filename*=x; filename*0=y", "yx"),
        ("filename*=undefined''a%00b.pdf", "ab.pdf"),
        ('filename="=?utf-8?Q?Gr=C3=B6=C3=9Fe.pdf?="', "Größe.pdf"),
        ('filename="Größe.pdf"', "Größe.pdf"),
        ('filename="../../etc/terms#1.pdf"', "_.._etc_terms_1.pdf"),
        ('filename="C:\\\\docs\\\\terms.pdf"', "C:_docs_terms.pdf"),
        ('filename="a\x1b[31m\u202eb.pdf"', "a_[31m_b.pdf"),
        ('filename=""', "attachment.pdf"),
        ('filename=" . "', "attachment"),
        (f'filename="{"n" * 300}.pdf"', "n" * 96 + ".pdf"),
        ("", "attachment.pdf"),
    ],
)
def test_names_are_decoded_and_safe(disposition: str, expected: str) -> None:
    file = part("application/pdf", "x", f"Content-Disposition: attachment; {disposition}")
    assert attached_names(mail_of(multipart("mixed", PLAIN, file))) == [expected]


def test_names_are_unique() -> None:
    files = [
        attached(name) for name in ("a.pdf", "a (2).pdf", "a.pdf", "a.pdf", "n" * 99 + "b", "n" * 99 + "b", ".a", ".a")
    ]
    names = attached_names(mail_of(multipart("mixed", *files)))
    assert names == [
        *("a.pdf", "a (2).pdf", "a (3).pdf", "a (4).pdf", "n" * 99 + "b", "n" * 96 + " (2)", "a", "a (2)"),
    ]


def test_what_is_sealed_is_named() -> None:
    pgp = multipart("encrypted", part("application/pgp-encrypted", "Version: 1"), part("application/octet-stream", "x"))
    for sealed in (pgp, part("text/plain", "-----BEGIN PGP MESSAGE-----\nx")):
        with pytest.raises(Unusable, match="a mail that is encrypted with PGP: open it in a mail program"):
            found_in(mail_of(sealed))
    with pytest.raises(Unusable, match="encrypted with S/MIME"):
        found_in(mail_of(part('application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"', "x")))
    with pytest.raises(Unusable, match="wrapped in its S/MIME signature"):
        found_in(mail_of(part("application/pkcs7-mime; smime-type=signed-data", "x")))
    [_, beside] = found_in(mail_of(multipart("mixed", PLAIN, pgp.replace(b"=_b1", b"c"))))
    assert beside == UnusablePart("sealed", "encrypted with PGP: open it in a mail program, and save it")


def test_what_outlook_wrapped_is_named() -> None:
    tnef = attached("winmail.dat", b"x", "application/ms-tnef")
    [_, found] = found_in(mail_of(multipart("mixed", PLAIN, tnef)))
    assert isinstance(found, UnusablePart)
    assert found.name == "winmail.dat"
    assert "Outlook (TNEF)" in found.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a mail"),
        (b"just words", "not a mail"),
        (b"\0\1\2" * 100, "not a mail"),
        (b"X-Other: 1\n\n", "without a text, a sender and a subject"),
        (nested(3_000), "more than 50 parts inside each other"),
        (mail_of(multipart("mixed", *[PLAIN] * 10_001)), "more than 10,000 parts"),
        (mail_of(part('multipart/mixed; boundary="b"', b"--b-\n" * 200_000)), "lines that look like boundaries"),
    ],
)
def test_what_is_no_mail_or_too_much_is_refused_at_once(data: bytes, reason: str) -> None:
    begin = time.process_time()
    with pytest.raises(Unusable, match=reason):
        found_in(data)
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    "data",
    [
        mail("X-Big: " + "word " * 540_000, body="Hi"),
        mail("To: " + "a@example.org, " * 180_000, body="Hi"),
        mail("Subject: " + "=?utf-8?Q?x?= " * 200_000, body="Hi"),
        mail("X-Big: a" + "\n b" * 900_000, body="Hi"),
        mail(*(f"X-{n}: v" for n in range(100_000)), body="Hi"),
        mail("Content-Type: text/plain" + "; a=b" * 500_000, body="Hi"),
        mail("Content-Type: text/plain" + "; a*0=b" * 500_000, body="Hi"),
        mail("Content-Type: text/plain; charset=" + "x" * 1_000_000, body="Hi"),
    ],
)
def test_huge_fields_cost_little(data: bytes) -> None:
    begin = time.process_time()
    [found] = found_in(data)
    assert time.process_time() - begin < 10
    assert isinstance(found, Part)
    assert found.text.endswith("\n\nHi\n")
    assert len(found.text) < 21_000


def test_attachments_are_bounded() -> None:
    found = found_in(mail_of(multipart("mixed", PLAIN, *[attached("a.pdf")] * 1_500)))
    assert len(found) == 1_002
    assert found[-1] == UnusablePart("more", "a mail of more than 1,000 attachments: split it")


SAMPLE = mail_of(
    multipart(
        "mixed",
        multipart("alternative", part("text/plain; charset=utf-8; format=flowed", "Grüße \nan"), RICH, boundary="c"),
        part(
            "application/pdf",
            b64encode(b"%PDF"),
            "Content-Disposition: attachment; filename*0*=utf-8''%C3%BC; filename*1=.pdf",
            "Content-Transfer-Encoding: base64",
        ),
        FORWARDED,
        part("text/plain; charset=utf-8", "=C3=BC" * 20, "Content-Transfer-Encoding: quoted-printable"),
    )
)


@pytest.mark.parametrize("seed", range(300))
def test_broken_copies_are_read_or_refused(seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(SAMPLE[: draw.randrange(len(SAMPLE))] if seed % 2 else SAMPLE)
    for _ in range(draw.randrange(1, 30)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    begin = time.process_time()
    try:
        found = found_in(bytes(data))
    except Unusable:
        found = []
    names = [one.name for one in found]
    assert len(names) == len(set(names))
    assert not any("\0" in one.text or "\r" in one.text for one in found if isinstance(one, Part))
    assert time.process_time() - begin < 10
