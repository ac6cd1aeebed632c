"""A file and what is attached to it: names, bounds, and reasons for whatever goes wrong."""

import hashlib
from collections.abc import Callable

import pytest
from format_samples import SAMPLES, page_of, pdf

from batchrun.documents.bounds import MAX_BYTES
from batchrun.documents.formats import (
    FORMATS,
    Attached,
    Format,
    Found,
    Part,
    ReadOptions,
    Unusable,
    UnusablePart,
    reading,
)
from batchrun.documents.formats.reading import ReadPart, read_file, read_one

MAIL = SAMPLES["eml"].data
OPTIONS = ReadOptions()


def reader(found: dict[bytes, list[Found]]) -> reading.ReadOne:
    """Return what finds these things in files of these bytes, and reads all other files as they are read."""

    def read(one: Format, data: bytes, options: ReadOptions) -> list[Found]:
        return found[data] if data in found else read_one(one, data, options)

    return read


def failing(error: BaseException) -> reading.ReadOne:
    def read(one: Format, data: bytes, options: ReadOptions) -> list[Found]:
        raise error

    return read


def names_and_texts(data: bytes, found: dict[bytes, list[Found]]) -> list[tuple[str, str]]:
    return [
        (one.part.name, one.part.text) if isinstance(one, ReadPart) else (one.name, one.reason)
        for one in read_file(data, "a.eml", "auto", OPTIONS, reader(found))
    ]


def test_a_file_of_one_part() -> None:
    data = "Größe".encode()

    (read,) = read_file(data, "a.txt", "auto", OPTIONS)

    assert read == ReadPart(Part(text="Größe"), FORMATS["text"], hashlib.sha256(data).hexdigest())


def test_attached_files_are_read_by_their_own_formats() -> None:
    terms = pdf([page_of("Ninety days.")])
    found: list[Found] = [Part(text="See attached."), Attached("terms.pdf", terms)]

    mail, attached = read_file(MAIL, "a.eml", "auto", OPTIONS, reader({MAIL: found}))

    assert mail == ReadPart(Part(text="See attached."), FORMATS["eml"], hashlib.sha256(MAIL).hexdigest())
    assert isinstance(attached, ReadPart)
    assert (attached.part.name, attached.part.text, attached.part.pages) == ("terms.pdf", "Ninety days.", 1)
    assert (attached.format, attached.bytes_sha) == (FORMATS["pdf"], hashlib.sha256(terms).hexdigest())


def test_names_say_the_whole_way() -> None:
    inner = MAIL + b"inner"
    found: dict[bytes, list[Found]] = {
        MAIL: [Part(text="outer"), Attached("fwd.eml", inner), Part(name="Prices", text="1")],
        inner: [Part(text="inner"), Attached("terms.txt", b"terms"), Part(name="Sheet", text="2")],
    }

    assert names_and_texts(MAIL, found) == [
        ("", "outer"),
        ("fwd.eml", "inner"),
        ("fwd.eml#terms.txt", "terms"),
        ("fwd.eml#Sheet", "2"),
        ("Prices", "1"),
    ]


def test_parts_of_one_name_become_two_documents() -> None:
    found: dict[bytes, list[Found]] = {MAIL: [Attached("a.txt", b"one"), Attached("a.txt", b"two")]}

    assert names_and_texts(MAIL, found) == [("a.txt", "one"), ("a.txt (2)", "two")]


def test_an_attached_file_that_cannot_be_read_fails_alone() -> None:
    found: dict[bytes, list[Found]] = {
        MAIL: [Attached("a.png", b"\x89PNG"), UnusablePart("b", "broken"), Attached("c.pdf", b"x"), Part(text="text")]
    }

    picture, broken, false, text = names_and_texts(MAIL, found)

    assert picture[0] == "a.png"
    assert "a PNG image" in picture[1]
    assert broken == ("b", "broken")
    assert "is not a PDF" in false[1]
    assert text == ("", "text")


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(Unusable, match="a PNG image"):
        list(read_file(b"\x89PNG", "a.png", "auto", OPTIONS))


def test_a_format_that_the_job_names() -> None:
    (read,) = read_file(b"<!doctype html><p>x", "a.html", "text", OPTIONS)

    assert isinstance(read, ReadPart)
    assert read.part.text == "<!doctype html><p>x"
    with pytest.raises(Unusable, match="a broken PDF"):
        list(read_file(b"words", "a.txt", "pdf", OPTIONS))


def test_the_depth_is_bounded() -> None:
    found: dict[bytes, list[Found]] = {
        MAIL + bytes(n): [Attached("m.eml", MAIL + bytes(n + 1)), Part(text=str(n))] for n in range(10)
    }

    *_, (name, reason) = sorted(names_and_texts(MAIL, found), key=lambda read: len(read[0]))

    assert name == "#".join(["m.eml"] * 6)
    assert "more than 5 deep" in reason


def test_the_number_of_attached_files_is_bounded() -> None:
    found: dict[bytes, list[Found]] = {
        MAIL: [*(Attached(f"{number}.txt", b"x") for number in range(3000)), Part(text="text")]
    }

    read = names_and_texts(MAIL, found)

    assert len(read) == 2002
    assert read[-2] == ("2000.txt", "more than 2,000 files are attached; this one and all after it are not read")
    assert read[-1] == ("", "text")


def test_the_bytes_of_attached_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ATTACHED_BYTES", 2_000_000)
    found: dict[bytes, list[Found]] = {MAIL: [Attached("a.txt", b"x" * 1_500_000), Attached("b.txt", b"x" * 600_000)]}

    (_, text), (name, reason) = names_and_texts(MAIL, found)

    assert len(text) == 1_500_000
    assert (name, reason) == ("b.txt", "more than 2 MB are attached; this file is not read")


@pytest.mark.parametrize("text", ["x" * (MAX_BYTES + 1), "€" * (MAX_BYTES // 3 + 1)], ids=["ascii", "euro"])
def test_the_size_of_a_text_is_bounded(text: str) -> None:
    with pytest.raises(Unusable, match=r"32\.0 MB: more than the 32 MB"):
        list(read_file(b"x", "a.txt", "auto", OPTIONS, reader({b"x": [Part(text=text)]})))
    (found,) = read_file(b"x", "a.txt", "auto", OPTIONS, reader({b"x": [Part(name="p", text=text)]}))
    assert isinstance(found, UnusablePart)
    assert found.name == "p"


def test_a_text_of_the_largest_size_is_read() -> None:
    text = "€" * (MAX_BYTES // 3)

    (read,) = read_file(b"x", "a.txt", "auto", OPTIONS, reader({b"x": [Part(text=text)]}))

    assert isinstance(read, ReadPart)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unusable("what it is"), "what it is"),
        (MemoryError(), "needs too much memory"),
        (RecursionError("maximum recursion"), "what it holds is nested too deeply"),
        (ValueError("bad\nthings\x1b[31m"), r"the HTML reader failed: ValueError: bad things\\x1b\[31m"),
        (KeyError("x" * 1000), "the HTML reader failed: KeyError: 'x{180}"),
        (SystemError(), "the HTML reader failed: SystemError"),
    ],
)
def test_whatever_goes_wrong_is_unusable_with_a_reason(error: Exception, reason: str) -> None:
    with pytest.raises(Unusable, match=f"^{reason}") as raised:
        list(read_file(b"<!doctype html>", "a", "auto", OPTIONS, failing(error)))
    assert len(str(raised.value)) < 300
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_failure_of_a_reader(error: Callable[[], BaseException]) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        list(read_file(b"x", "a.txt", "auto", OPTIONS, failing(error())))
