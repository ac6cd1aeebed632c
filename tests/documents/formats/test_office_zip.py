"""Archives of hostile or broken origin: named failures, whatever the bytes are."""

import io
import random
import struct
import time
import zipfile
from collections.abc import Callable

import pytest
from office_samples import archive, cell, docx, epub, odt, p, pptx, table, xlsx, xml

from batchrun.documents.formats import FORMATS, ReadOptions, Unusable
from batchrun.documents.formats.office_zip import MAX_BYTES, MAX_WHOLE_BYTES, OfficeZip, resolved

SAMPLES = {
    "docx": docx(p("text", "<w:numPr/>") + table(["a", "b"]), footnotes=xml("w:footnotes")),
    "pptx": pptx(xml("p:sld", "<a:p><a:r><a:t>text</a:t></a:r></a:p>")),
    "odt": odt("<text:p>text</text:p><text:list><text:list-item><text:p>x</text:p></text:list-item></text:list>"),
    "epub": epub({"a.xhtml": "<html><body><h1>One</h1><p>text</p></body></html>"}),
    "sheets": xlsx({"S": f'<row r="1">{cell("A1", "text")}{cell("B1", "2", "n")}</row>'}),
}
MAIN = {
    "docx": "word/document.xml",
    "pptx": "ppt/presentation.xml",
    "odt": "content.xml",
    "epub": "OEBPS/book.opf",
    "sheets": "xl/workbook.xml",
}
each_format = pytest.mark.parametrize("name", list(SAMPLES))


def opened(data: bytes) -> OfficeZip:
    return OfficeZip(data, "a Word document", "Word")


def read(name: str, data: bytes) -> str:
    """The reader's text, or its reason for none; anything else that is raised fails the test."""
    try:
        return "\n".join(getattr(part, "text", "") for part in FORMATS[name].read(data, ReadOptions()))
    except Unusable as refusal:
        return f"refused: {refusal}"


def changed(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    return archive(members)


@each_format
def test_the_samples_are_read(name: str) -> None:
    assert "text" in read(name, SAMPLES[name])
    assert not read(name, SAMPLES[name]).startswith("refused")


@each_format
def test_truncated_files_are_refused(name: str) -> None:
    data = SAMPLES[name]
    assert all(read(name, data[:size]).startswith("refused: a") for size in range(0, len(data), 37))


@each_format
def test_flipped_bits_are_read_or_refused(name: str) -> None:
    dice = random.Random(15)
    for _ in range(150):
        data = bytearray(SAMPLES[name])
        for _ in range(dice.choice((1, 4, 30))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        assert isinstance(read(name, bytes(data)), str)


@each_format
def test_flipped_bits_within_members_are_read_or_refused(name: str) -> None:
    dice = random.Random(16)

    def flip(members: dict[str, bytes]) -> None:
        target = dice.choice([member for member in members if members[member]])
        data = bytearray(members[target])
        for _ in range(dice.choice((1, 4))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        members[target] = bytes(data)

    for _ in range(100):
        assert isinstance(read(name, changed(SAMPLES[name], flip)), str)


@each_format
def test_members_that_are_missing_are_read_without_or_refused(name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(SAMPLES[name])) as file:
        members = file.namelist()
    for member in members:
        assert isinstance(read(name, changed(SAMPLES[name], lambda kept, gone=member: kept.pop(gone))), str)


def _sized(data: bytes, name: str, size: int) -> bytes:
    """The archive with another stated size of a member."""
    changed = bytearray(data)
    for magic, at_size, at_name in ((b"PK\1\2", 24, 46), (b"PK\3\4", 22, 30)):
        at = next(at for at in _found(data, magic) if data[at + at_name :].startswith(name.encode()))
        struct.pack_into("<I", changed, at + at_size, size)
    return bytes(changed)


def _found(data: bytes, magic: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(magic, at)]


def test_a_bomb_is_refused_by_its_stated_size() -> None:
    data = _sized(archive({"word/document.xml": bytes(1000)}), "word/document.xml", MAX_BYTES + 1)
    with pytest.raises(Unusable, match="a Word document that unpacks to more than 200 MB; if it is genuine, split it"):
        opened(data).read("word/document.xml")


def test_a_member_that_would_take_all_memory_as_a_tree_is_refused() -> None:
    data = _sized(archive({"word/document.xml": bytes(1000)}), "word/document.xml", MAX_WHOLE_BYTES + 1)
    with pytest.raises(
        Unusable, match=r"with more than 60 MB in one member, word/document.xml; if it is genuine, split it"
    ):
        opened(data).read("word/document.xml")


def test_sizes_are_added_up() -> None:
    data = archive({"a": bytes(600), "b": bytes(600)})
    file = OfficeZip(data, "a Word document", "Word", max_bytes=1000)
    assert file.read("a") == bytes(600)
    with pytest.raises(Unusable, match="more than"):
        file.read("b")


def test_a_bomb_that_lies_about_its_size_is_never_unpacked() -> None:
    lying = _sized(archive({"word/document.xml": bytes(50_000_000)}), "word/document.xml", 10)
    began = time.process_time()
    with pytest.raises(Unusable, match=r"that is damaged .*Bad CRC"):
        opened(lying).read("word/document.xml")
    assert time.process_time() - began < 1


def test_many_members_are_refused() -> None:
    with pytest.raises(Unusable, match="with more than 20,000 members"):
        opened(b"PK\1\2" * 20_001)


@each_format
def test_encrypted_members_are_refused(name: str) -> None:
    data = bytearray(SAMPLES[name])
    for magic, at_flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        for at in _found(SAMPLES[name], magic):
            data[at + at_flags] |= 1
    assert "protected by a password" in read(name, bytes(data))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_cannot_be_unpacked_in_steps_are_refused(compression: int) -> None:
    with pytest.raises(Unusable, match="packed in an unusual way"):
        opened(archive({"a": "x"}, compression)).read("a")


def test_what_is_no_zip_says_what_it_is() -> None:
    ole = b"\xd0\xcf\x11\xe0" + bytes(100)
    with pytest.raises(
        Unusable, match="in the old binary format, not a Word document; save it in today's format in Word"
    ):
        opened(ole)
    with pytest.raises(Unusable, match="protected by a password; open it in Word and save it without the password"):
        opened(ole + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(Unusable, match="no zip archive"):
        opened(b"text")


LAUGHS = '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@each_format
@pytest.mark.parametrize("use", ["<x>&a11;</x>", '<x y="&a11;"/>', "<x/>"])
def test_entities_are_refused(name: str, use: str) -> None:
    data = changed(SAMPLES[name], lambda members: members.update({MAIN[name]: f"{LAUGHS}]>{use}".encode()}))
    assert read(name, data).startswith("refused: a")


def test_nothing_outside_is_loaded() -> None:
    outside = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{__file__}">]><x>&e;</x>'
    with pytest.raises(Unusable, match="it declares entities"):
        opened(archive({"a": outside})).xml("a")
    with pytest.raises(Unusable, match="it declares entities"):
        opened(archive({"a": '<!DOCTYPE x [<!ENTITY % e SYSTEM "file:///etc/passwd">]><x/>'})).xml("a")


@each_format
def test_deep_nesting_is_refused(name: str) -> None:
    deep = b"<x>" * 200_000
    assert read(name, changed(SAMPLES[name], lambda members: members.update({MAIN[name]: deep}))).startswith(
        "refused: a"
    )


def test_nesting_as_deep_as_xml_may_be_is_read() -> None:
    runs = "<w:r>" * 240 + "<w:t>deep</w:t>" + "</w:r>" * 240
    assert read("docx", docx(p(runs))) == "deep"
    tables = "<w:tbl><w:tr><w:tc>" * 80 + p("deep") + "</w:tc></w:tr></w:tbl>" * 80
    assert read("docx", docx(tables)) == "deep"
    boxes = "<w:p><w:r><w:txbxContent>" * 80 + p("deep") + "</w:txbxContent></w:r></w:p>" * 80
    assert read("docx", docx(boxes)) == "deep"
    lists = "<text:list><text:list-item>" * 120 + "<text:p>deep</text:p>" + "</text:list-item></text:list>" * 120
    assert read("odt", odt(lists)) == "deep"
    spans = "<text:p>" + "<text:span>" * 245 + "deep" + "</text:span>" * 245 + "</text:p>"
    assert read("odt", odt(spans)) == "deep"
    groups = "<p:grpSp>" * 240 + "<a:p><a:r><a:t>deep</a:t></a:r></a:p>" + "</p:grpSp>" * 240
    assert read("pptx", pptx(xml("p:sld", groups))) == "deep"


def test_names_are_found_in_any_case_and_with_either_slash() -> None:
    file = opened(archive({"Word\\Document.XML": "<x/>"}))
    assert "word/document.xml" in file
    assert file.xml("/word/document.xml").tag == "x"
    assert resolved("word", "../media/a%20b.xml") == "media/a b.xml"
    assert resolved("word", "/word/x.xml") == "word/x.xml"
    assert resolved("word", "../../../../etc/passwd") == "etc/passwd"


@pytest.mark.slow
def test_small_files_do_not_become_huge_texts() -> None:
    level = f'<w:lvl w:ilvl="0"><w:lvlText w:val="{"a" * 10_000}"/></w:lvl>'
    definition = f'<w:abstractNum w:abstractNumId="1">{level}</w:abstractNum>'
    numbering = f'{definition}<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    items = p("x", '<w:numPr><w:numId w:val="1"/></w:numPr>') * 100
    assert len(read("docx", docx(items, numbering=numbering))) < 25_000
    cells = '<table:table-cell table:number-columns-repeated="1000000"><text:p>xxxxx</text:p></table:table-cell>' * 2
    assert len(read("odt", odt(f"<table:table><table:table-row>{cells}</table:table-row></table:table>"))) < 300
    drawing = p('<w:r><c:chart r:id="chart1"/></w:r>' * 3_000)
    chart = xml("c:chartSpace", f"<a:p><a:r><a:t>{'word ' * 20_000}</a:t></a:r></a:p>")
    assert "unpacks to more than 200 MB" in read("docx", docx(drawing, chart1=chart))


OPEN_FIELD = '<w:r><w:fldChar w:fldCharType="begin"/><w:fldChar w:fldCharType="separate"/></w:r>'


@pytest.mark.parametrize(
    "paragraph",
    [
        p(" " * 300_000 + "x"),
        p(OPEN_FIELD * 30_000 + "<w:t>x</w:t>" * 30_000),
        p("".join(f'<w:r><w:footnoteReference w:id="{number}"/></w:r>' for number in range(20_000))),
    ],
    ids=["spaces", "fields", "notes"],
)
def test_time_grows_no_faster_than_the_file(paragraph: str) -> None:
    data = docx(paragraph)
    began = time.process_time()
    assert not read("docx", data).startswith("refused")
    assert time.process_time() - began < 10
