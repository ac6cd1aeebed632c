"""Archives of mail: each mail a part, what is attached beside it, and what is no separator."""

import random
import time

import pytest
from mail_samples import HEAD, attached, mail, mail_of, multipart, nested, part

from batchrun.documents.formats import Attached, Found, Part, ReadOptions, Unusable, UnusablePart
from batchrun.documents.formats.mail_archive import read

LINE = b"From ann@example.org Mon Jan  6 10:00:00 2025\n"
WITH_TERMS = mail_of(multipart("mixed", part("text/plain", "see terms"), attached("terms.pdf", b"%PDF")))


def archive(*mails: bytes) -> bytes:
    return b"".join(LINE + one + b"\n\n" for one in mails)


def found_in(data: bytes, **options: bool) -> list[Found]:
    return list(read(data, ReadOptions(**options)))


def test_each_mail_is_a_part_and_each_attached_file_stands_below_its_mail() -> None:
    data = archive(mail(body="one"), WITH_TERMS, mail(body="three"))
    parts = [
        Part(name=str(number), text=f"{HEAD}\n{text}\n") for number, text in enumerate(("one", "see terms", "three"), 1)
    ]
    assert found_in(data) == [*parts[:2], Attached("2#terms.pdf", b"%PDF"), parts[2]]
    assert found_in(data.replace(b"\n", b"\r\n")) == found_in(data)
    assert found_in(data, attachments=False) == parts


@pytest.mark.parametrize(
    "line",
    [
        b"From - Mon Jan  6 10:00:00 2025\n",
        b"From ann at example.org  Mon Jan  6 10:00:00 2025\n",
        b"From 1789@xxx Mon Jan 06 10:00:00 +0000 2025\n",
        b"From MAILER-DAEMON Mon Jan  6 10:00 2025 +0100\r\n",
    ],
)
def test_a_separator_has_a_time_and_a_year(line: bytes) -> None:
    assert [one.name for one in found_in((line + mail(body="one") + b"\n") * 2)] == ["1", "2"]


@pytest.mark.parametrize(
    "line", [b"From Ann, with love", LINE.strip(), b"From 10:00 in 2025 on\n\nNote: it", b"from here"]
)
def test_a_letter_may_have_lines_that_begin_like_a_separator(line: bytes) -> None:
    [found] = found_in(archive(mail(body=b"one\n" + line + b"\nwe go on")))
    assert isinstance(found, Part)
    assert line.decode() in found.text


def test_a_line_that_was_quoted_for_the_archive_is_as_it_was() -> None:
    [found] = found_in(archive(mail(body=b">From here\n>>From there\n> From far")))
    assert isinstance(found, Part)
    assert found.text.endswith("\n\nFrom here\n>From there\n> From far\n")


def test_a_broken_mail_is_unusable_beside_the_others() -> None:
    data = archive(mail(body="one"), nested(3_000), mail(body="three"))
    assert [type(one) for one in found_in(data)] == [Part, UnusablePart, Part]
    assert found_in(data)[1] == UnusablePart(
        "2", "a mail with more than 50 parts inside each other: save the inner ones by hand"
    )


@pytest.mark.parametrize("data", [b"", b"just words", mail(body="one"), b"From ann\n\nwords", b"\0" * 1000])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(Unusable, match="not an archive of mails"):
        found_in(data)


def test_the_mails_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.documents.formats.mail_archive._MAX_MAILS", 3)
    assert len(found_in(archive(*[mail()] * 3))) == 3
    with pytest.raises(Unusable, match="more than 3 mails: split it"):
        found_in(archive(*[mail()] * 4))


@pytest.mark.parametrize("line", [b"From ", b"From 10:00 2025\n", b"From " + b"1:11 " * 1000, b">From "])
def test_many_lines_that_are_nearly_separators_cost_little(line: bytes) -> None:
    begin = time.process_time()
    found_in(archive(mail(body=line * (2_000_000 // len(line)))))
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("seed", range(100))
def test_broken_copies_are_read_or_refused(seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(archive(mail(body="one"), WITH_TERMS, mail(body=">From x"), nested(5))[: draw.randrange(60, 900)])
    for _ in range(draw.randrange(1, 20)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    try:
        names = [one.name for one in found_in(bytes(data))]
    except Unusable:
        names = []
    assert len(names) == len(set(names))
