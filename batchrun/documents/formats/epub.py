"""EPUB books: the chapters in the order of reading, each named as in the table of contents."""

import codecs
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from batchrun.document import Place
from batchrun.documents.formats import Found, Part, ReadOptions
from batchrun.documents.formats.html import html_to_text_and_places
from batchrun.documents.formats.marked_text import short
from batchrun.documents.formats.office_zip import OfficeZip, resolved
from batchrun.documents.formats.xml_tree import BadXml, Element, parsed

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_OPF = "{http://www.idpf.org/2007/opf}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_XHTML = "{http://www.w3.org/1999/xhtml}"
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})["']""")
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml")


@dataclass(frozen=True, slots=True)
class _Chapter:
    text: str
    places: tuple[Place, ...]


def read(data: bytes, _options: ReadOptions) -> Iterator[Found]:
    """Read an EPUB book as one part, with a place for each chapter, and for the headings within."""
    archive = OfficeZip(data, "an EPUB book", "a program for e-books, such as Calibre")
    package_name = _package_name(archive)
    package = archive.xml(package_name)
    spine = list(dict.fromkeys(_spine(archive, package_name, package)))
    if not spine:
        raise archive.damaged("it lists no chapters")
    _require_readable(archive, spine)
    titles = _titles(archive, package_name, package)
    text, places = _joined([_chapter(archive, name, titles.get(name.lower())) for name in spine])
    yield Part(text=text, places=places)


def _package_name(archive: OfficeZip) -> str:
    for one in archive.xml(_CONTAINER).iter():
        path = one.get("full-path")
        if path:
            return resolved("", path)
    raise archive.damaged("it does not say where its list of chapters is")


def _spine(archive: OfficeZip, package_name: str, package: Element) -> Iterator[str]:
    folder = posixpath.dirname(package_name)
    items = {item.get("id"): item for item in package.iter(f"{_OPF}item")}
    for reference in package.iter(f"{_OPF}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and item.get("media-type") in _PAGES:
            name = resolved(folder, item.get("href") or "")
            if name in archive:
                yield name


def _require_readable(archive: OfficeZip, spine: list[str]) -> None:
    """Refuse a book whose chapters are encrypted; fonts often are, which does not matter."""
    if _ENCRYPTION not in archive:
        return
    locked = {resolved("", one.get("URI") or "").lower() for one in archive.xml(_ENCRYPTION).iter()}
    if not locked.isdisjoint(name.lower() for name in spine):
        raise archive.locked()


def _titles(archive: OfficeZip, package_name: str, package: Element) -> dict[str, str]:
    """Return the titles of files. The one title of a place within a file is the file's; of several, none is."""
    of_files: dict[str, str] = {}
    within: dict[str, list[str]] = {}
    for href, title in _contents(archive, package_name, package):
        file, _, place = href.partition("#")
        if place:
            within.setdefault(file, []).append(title)
        else:
            of_files.setdefault(file, title)
    return {file: titles[0] for file, titles in within.items() if len(set(titles)) == 1} | of_files


def _contents(archive: OfficeZip, package_name: str, package: Element) -> Iterator[tuple[str, str]]:
    """Find the entries of the tables of contents, each with the name of its file and the title."""
    for item in package.iter(f"{_OPF}item"):
        name = resolved(posixpath.dirname(package_name), item.get("href") or "")
        is_newer = "nav" in (item.get("properties") or "").split()
        if name in archive and (is_newer or item.get("media-type") == "application/x-dtbncx+xml"):
            for href, title in _entries(archive.read(name), is_newer=is_newer):
                yield resolved(posixpath.dirname(name), href).lower(), title


def _entries(data: bytes, *, is_newer: bool) -> Iterator[tuple[str, str]]:
    """Find the entries of a table of contents; one that is broken has none, since only titles are lost."""
    try:
        root = parsed(data)
    except BadXml:
        return
    if is_newer:
        for link in root.iter(f"{_XHTML}a"):
            yield link.get("href") or "", _content(link)
        return
    for point in root.iter(f"{_NCX}navPoint"):
        label, content = point.find(f"{_NCX}navLabel/{_NCX}text"), point.find(f"{_NCX}content")
        if label is not None and content is not None:
            yield content.get("src") or "", label.text or ""


def _content(element: Element) -> str:
    return "".join(
        piece or "" for one in element.iter() for piece in (one.text, one.tail if one is not element else "")
    )


def _chapter(archive: OfficeZip, name: str, title: str | None) -> _Chapter:
    """Read a chapter. A file without a title goes on with the chapter before, unless the file has a heading."""
    text, headings = html_to_text_and_places(_decoded(archive.read(name)).removeprefix("\ufeff"))
    shown = title or next((heading.name for heading in headings), "")
    return _Chapter(text, (*([Place("chapter", short(shown), 0)] if shown.strip() else []), *headings))


def _joined(chapters: list[_Chapter]) -> tuple[str, tuple[Place, ...]]:
    texts: list[str] = []
    places: list[Place] = []
    start = 0
    for chapter in chapters:
        if chapter.text.strip():
            places.extend(replace(place, start=start + place.start) for place in chapter.places)
            texts.append(chapter.text)
            start += len(chapter.text) + 2
    return "\n\n".join(texts), tuple(places)


def _decoded(data: bytes) -> str:
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(codec, "replace")
    declared = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8))
    try:
        return data.decode(declared[1].decode() if declared else "utf-8", "replace")
    except LookupError:
        return data.decode("utf-8", "replace")
