"""Tells what is in the two containers of Office files: zip archives by their members, OLE files by their entries."""

import io
import lzma
import struct
import zipfile
import zlib

from batchrun.documents.formats import Unusable

_ZIP_FAULTS = (
    *(zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError, zlib.error, lzma.LZMAError, struct.error),
    RuntimeError,  # encrypted members, and ways of packing that zipfile does not know
)
_MEMBER = b"PK\1\2"
_MOST_MEMBERS = 100_000
_OFFICE_FOLDERS = {"word/": "docx", "ppt/": "pptx", "xl/": "sheets"}
_ODF = "application/vnd.oasis.opendocument."
_MIMETYPES = {
    **dict.fromkeys((f"{_ODF}text", f"{_ODF}text-template", f"{_ODF}text-master"), "odt"),
    **dict.fromkeys((f"{_ODF}spreadsheet", f"{_ODF}spreadsheet-template"), "sheets"),
    "application/epub+zip": "epub",
}
_MIMETYPE_LENGTH = 200
_REFUSED_MEMBERS = {
    "index/document.iwa": "a Pages, Numbers or Keynote file; export it as DOCX, XLSX or PDF first",
    "index.zip": "a Pages, Numbers or Keynote file; export it as DOCX, XLSX or PDF first",
    "visio/document.xml": "a Visio drawing; save it as PDF first",
    "fixeddocseq.fdseq": "an XPS file; convert it to PDF first",
    "fixeddocumentsequence.fdseq": "an XPS file; convert it to PDF first",
    "androidmanifest.xml": "a program (Android); leave it out: [source] exclude",
    "meta-inf/manifest.mf": "a program (Java); leave it out: [source] exclude",
}

_ENTRY = 128
_NAME_LENGTH_AT = 64
_ENCRYPTED = "EncryptedPackage"
_SHEETS = ("Workbook", "Book")
_REFUSED_ENTRIES = {
    "WordDocument": "an old Word file (.doc); save it as DOCX or PDF first",
    "PowerPoint Document": "an old PowerPoint file (.ppt); save it as PPTX or PDF first",
    "__properties_version1.0": "an Outlook message (.msg); save it as EML first",
    "VisioDocument": "a Visio drawing; save it as PDF first",
}


def zip_format(data: bytes) -> str:
    """Return the format of the document in a zip archive. Raises Unusable if there is none."""
    if data.count(_MEMBER) > _MOST_MEMBERS:  # zipfile makes an object of each member at once
        raise Unusable(f"a zip archive of more than {_MOST_MEMBERS:,} files; unpack it, and take the files in it")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {name.replace("\\", "/").lower() for name in archive.namelist()}
            mimetype = _mimetype(archive)
    except _ZIP_FAULTS as error:
        raise Unusable("a broken zip archive or Office file, perhaps cut off; get or save it again") from error
    if found := _MIMETYPES.get(mimetype) or _office_format(names):
        return found
    if mimetype.startswith(_ODF):
        raise Unusable(f"an OpenDocument {mimetype.removeprefix(_ODF)}; save it as PDF first")
    for member, refusal in _REFUSED_MEMBERS.items():
        if member in names:
            raise Unusable(refusal)
    raise Unusable("a zip archive; unpack it, and take the files in it" if names else "an empty zip archive")


def ole_format(data: bytes) -> str:
    """Return the format of an OLE file. Raises Unusable for all but sheets."""
    if _entry_at(data, _ENCRYPTED) is not None:
        raise Unusable("an Office file that is encrypted with a password; save it without the password")
    # Files contain files of other kinds, whose entries stand further on.
    places = {name: at for name in (*_SHEETS, *_REFUSED_ENTRIES) if (at := _entry_at(data, name)) is not None}
    first = min(places, key=places.__getitem__, default=None)
    if first in _SHEETS:
        return "sheets"
    raise Unusable(
        _REFUSED_ENTRIES.get(first or "", "an old Office file, or another of its kind; convert it to PDF first")
    )


def _mimetype(archive: zipfile.ZipFile) -> str:
    try:
        member = archive.getinfo("mimetype")
    except KeyError:
        return ""
    return archive.read(member).decode("ascii", "replace").strip() if member.file_size <= _MIMETYPE_LENGTH else ""


def _office_format(names: set[str]) -> str | None:
    if "[content_types].xml" in names:
        for folder, found in _OFFICE_FOLDERS.items():
            if any(name.startswith(folder) for name in names):
                return found
    if "content.xml" in names and "meta-inf/manifest.xml" in names:
        return "odt"
    return "epub" if "meta-inf/container.xml" in names else None


def _entry_at(data: bytes, name: str) -> int | None:
    """Return where an OLE file has the directory entry of a name; None if the file has no such entry."""
    written = f"{name}\0".encode("utf-16-le")
    length = struct.pack("<H", len(written))
    at = data.find(written)
    while at >= 0:
        if at % _ENTRY == 0 and data.startswith(length, at + _NAME_LENGTH_AT):
            return at
        at = data.find(written, at + 1)
    return None
