"""What a file is: by its content, then by its name; and what is refused, with what to do."""

import struct

import pytest
from format_samples import HTML, MAIL, MBOX, archive, docx, odt, page_of, pdf, xlsx
from hypothesis import given
from hypothesis import strategies as st

from batchrun.documents.formats import FORMATS, Unusable
from batchrun.documents.formats.recognition import recognise

PDF = pdf([page_of("x")])


def ole(*names: str) -> bytes:
    """Return an OLE file with directory entries of these names, and nothing else."""
    entries = b""
    for name in names:
        written = f"{name}\0".encode("utf-16-le")
        entries += written.ljust(64, b"\0") + struct.pack("<H", len(written)) + bytes(62)
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0") + entries


RECOGNISED = {
    "nothing": (b"", "a.txt", "text"),
    "text": (b"Some words.\n", "a.txt", "text"),
    "no name that says anything": (b"Some words.\n", "LICENSE", "text"),
    "binary of no known kind": (bytes(range(256)), "a.bin", "text"),  # the reader of texts refuses it
    "JSON": (b'{"html": "<html>"}', "a.json", "text"),
    "an XML file": (b'<?xml version="1.0"?><contract><html/></contract>', "a.xml", "text"),
    "another doctype": (b"<!DOCTYPE note><note>x</note>", "a.xml", "text"),
    "a PDF": (PDF, "a.pdf", "pdf"),
    "a PDF under another name": (PDF, "scan.txt", "pdf"),
    "a PDF without a name": (PDF, "4711", "pdf"),
    "a PDF after junk": (b"Some junk before the header\n\n" + PDF, "a.pdf", "pdf"),
    "a PDF after junk, without a name": (b"HTTP/1.1 200 OK\r\n\r\n" + PDF, "download", "pdf"),
    "a PDF whose header begins in the last byte": (b"j" * 1024 + PDF, "a.pdf", "pdf"),
    "a PDF without a header": (PDF[9:], "a.pdf", "pdf"),
    "a text about PDFs": (b"A PDF begins with %PDF-1.4 and has 1 0 obj\n", "a.md", "text"),
    "a program about PDFs": (b"HEAD = '%PDF-1.4'\nBODY = '1 0 obj'\n", "make_pdf.py", "text"),
    "a note about PDFs": (b"look for %PDF- in the first bytes\n", "note", "text"),
    "Word": (docx(), "a.docx", "docx"),
    "Word under an old name": (docx(), "a.doc", "docx"),
    "Excel": (xlsx(), "a.xlsx", "sheets"),
    "OpenDocument": (odt(), "a.odt", "odt"),
    "an OpenDocument sheet": (archive({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}), "a", "sheets"),
    "OpenDocument without a mimetype": (archive({"content.xml": "", "META-INF/manifest.xml": ""}), "a.odt", "odt"),
    "a book without a mimetype": (archive({"META-INF/container.xml": ""}), "a.zip", "epub"),
    "old Excel": (ole("Root Entry", "Workbook"), "a.xls", "sheets"),
    "older Excel": (ole("Root Entry", "Book"), "a.xls", "sheets"),
    "old Excel with a Word file in it": (ole("Root Entry", "Workbook", "MBD1", "WordDocument"), "a.xls", "sheets"),
    "RTF": (b"{\\rtf1 x}", "a.rtf", "rtf"),
    "RTF under the name of Word": (b"\n{\\rtf1 x}", "a.doc", "rtf"),
    "a web page": (HTML, "a.html", "html"),
    "a web page under another name": (HTML, "a.txt", "html"),
    "a web page called Excel": (b"<html><head></head><body><table>", "a.xls", "html"),
    "a web page after a mark and a comment": (b"\xef\xbb\xbf\n<!-- saved -->\n<HTML>", "page", "html"),
    "XHTML": (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C"><html>', "a.xml", "html"),
    "a web page in UTF-16": ("<!doctype html><p>x".encode("utf-16"), "page", "html"),
    "a piece of a page, by name": (b"Hello <b>you</b>", "a.html", "html"),
    "no page, in spite of the name": (b"a < b and c > d", "a.html", "text"),
    "a text that mentions tags": (b"Write <html> first, then <body>.", "a.md", "text"),
    "a text that begins with a tag": (b"<html> is the first tag of a page.\n", "a.md", "text"),
    "markdown with a picture": (b'<p align="center"><img src="x.png"></p>\n# Title', "README.md", "text"),
    "mail": (MAIL, "a.eml", "eml"),
    "mail without a name": (MAIL, "1.", "eml"),
    "mail called text": (MAIL, "a.txt", "eml"),
    "a saved page": (b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n", "a.mht", "eml"),
    "mail of one header, by name": (b"X-Whatever: 1\n\nHello", "a.eml", "eml"),
    "one mail of a mailbox, by name": (MBOX, "a.eml", "eml"),
    "a mailbox": (MBOX, "a.mbox", "mbox"),
    "a mailbox without a name": (MBOX, "Inbox", "mbox"),
    "a letter": (b"From: Ann\nTo: Bob\nSubject: rivers\n\nDear Bob", "a.txt", "text"),
    "one line like a header": (b"From: the beginning of time\nthere was a river.", "a", "text"),
    "a sentence like an envelope": (b"From here on we walk.\nNote: at 10:30 it rains.", "a", "text"),
    "YAML": (b"from: ann\nto: bob\nsubject: x\n", "a.yaml", "text"),
    "the head of a page of a blog": (b"Title: x\nDate: 2026-01-01\n\nText", "post", "text"),
    "a table": (b"From,To,Subject\na,b,c\n", "a.csv", "text"),
    "words like magic": (b"BMW and MZ and GIF and RIFF", "a.txt", "text"),
    "DUCK where a database has it": (b"# DONALDDUCK is a duck in a book", "a.txt", "text"),
}


@pytest.mark.parametrize("case", RECOGNISED)
def test_recognised(case: str) -> None:
    data, name, expected = RECOGNISED[case]

    assert recognise(data, name) == expected
    assert expected in FORMATS


REFUSED = {
    "a text called PDF": (b"Some words.", "notes.pdf", "called .pdf, and is not a PDF"),
    "remains of a PDF": (b"%\xe2\xe3\n1 0 obj\n<<>>\nendobj", "a.PDF", "called .pdf, and is not a PDF"),
    "nothing, called PDF": (b"", "a.pdf", "called .pdf, and is not a PDF but an empty file"),
    "a text called Word": (b"Some words.", "a.docx", "called .docx, and is not a Word file"),
    "a text called old Word": (b"Some words.", "a.doc", "called .doc, and is not a Word file"),
    "a text called Excel": (b"a\tb", "a.xlsx", "called .xlsx, and is not an Excel file"),
    "a pointer to an image": (b"version https://git-lfs", "a.png", "called .png, and is not an image"),
    "old Word": (ole("Root Entry", "1Table", "WordDocument", "Workbook"), "a.doc", "old Word .* DOCX"),
    "old PowerPoint": (ole("Root Entry", "PowerPoint Document"), "a.ppt", "old PowerPoint .* PPTX"),
    "Outlook": (ole("Root Entry", "__properties_version1.0"), "a.msg", "Outlook message .* EML"),
    "encrypted Office": (
        ole("Root Entry", "EncryptionInfo", "EncryptedPackage"),
        "a.docx",
        "encrypted with a password",
    ),
    "an unknown OLE file": (ole("Root Entry"), "Thumbs.db", "convert it to PDF"),
    "names that only stand in a text": (ole() + b"x" + "Workbook\0".encode("utf-16-le"), "a.xls", "an old Office file"),
    "a presentation": (
        archive({"mimetype": "application/vnd.oasis.opendocument.presentation"}),
        "a.odp",
        "presentation",
    ),
    "an archive": (archive({"word/a.txt": "x"}), "a.zip", "a zip archive; unpack it"),
    "an empty archive": (archive({}), "a.zip", "an empty zip archive"),
    "an archive of too many files": (docx() + b"PK\1\2" * 100_001, "a.docx", "more than 100,000 files"),
    "a broken archive": (docx()[:300], "a.docx", "a broken zip archive"),
    "Pages": (archive({"Index/Document.iwa": ""}), "a.pages", "Pages, Numbers or Keynote"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "a.png", "a PNG image; recognise its text"),
    "JPEG": (b"\xff\xd8\xff\xe0", "a.jpg", "a JPEG image"),
    "GIF": (b"GIF89a", "a", "a GIF image"),
    "WebP": (b"RIFF\x10\0\0\0WEBPVP8 ", "a", "a WebP image"),
    "TIFF": (b"II*\0", "a", "a TIFF image"),
    "TIFF, the other way round": (b"MM\0*", "a", "a TIFF image"),
    "gzip": (b"\x1f\x8b\x08", "a.gz", "a gzip archive; unpack"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "a.7z", "a 7z archive"),
    "rar": (b"Rar!\x1a\x07\x01\0", "a.rar", "a RAR archive"),
    "tar": (b"a.pdf".ljust(257, b"\0") + b"ustar\x0000" + bytes(248) + PDF, "a.tar", "a tar archive"),
    "SQLite": (b"SQLite format 3\0", "a.db", "an SQLite database"),
    "DuckDB": (bytes(8) + b"DUCK@" + bytes(20), "a.db", "DuckDB"),
    "Parquet": (b"PAR1\x15\x04", "a.parquet", 'a Parquet file; read it with .* type = "table"'),
    "a program": (b"\x7fELF\2", "a", "a program"),
    "a font": (b"\0\1\0\0\0\x10", "a.ttf", "a font"),
    "music": (b"ID3\3\0", "a.mp3", "an audio file"),
    "a film": (b"\0\0\0\x18ftypmp42", "a.mp4", "an audio or video file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    data, name, reason = REFUSED[case]

    with pytest.raises(Unusable, match=reason):
        recognise(data, name)


@pytest.mark.slow
@given(
    st.sampled_from(
        [b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"From ", b"<!--", b"<?xml", b"A:\n", b"RIFF"]
    ),
    st.binary(max_size=300),
    st.text(max_size=10),
)
def test_nothing_but_unusable_is_raised(begin: bytes, rest: bytes, name: str) -> None:
    try:
        found = recognise(begin + rest, name)
    except Unusable:
        return
    assert found in FORMATS


@pytest.mark.parametrize(
    "unit", [b"<!-- ", b"<!--->", b"<?xml ", b" ", b"A:\n ", b"A:\n", b"<a ", b"Workbook\0\0", b"From "]
)
def test_hostile_beginnings_take_no_time(unit: bytes) -> None:
    for name in ("a", "a.html", "a.eml"):
        assert recognise(unit * 200_000, name) in FORMATS
