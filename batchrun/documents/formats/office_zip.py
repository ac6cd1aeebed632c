"""Opens the zip archive that a Word, PowerPoint, OpenDocument or EPUB file is; the archive may be hostile or broken."""

import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from batchrun.documents.formats import Unusable
from batchrun.documents.formats.xml_tree import BadXml, Element, parsed

MAX_MEMBERS = 20_000
MAX_BYTES = 200_000_000
"""The unpacked bytes that are read of one file: 4 MB can unpack to 1.5 GB."""
MAX_WHOLE_BYTES = 60_000_000
"""The unpacked bytes of a member that is read as a whole: as a tree, XML takes up to 25 times its size in memory."""
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,  # what zipfile raises for a way of packing that it does not know
)
_ENCRYPTED = 0x1
_CHUNK = 1_000_000
_STRICT = re.compile(rb'(xmlns(?::\w+)?=["\'])http://purl\.oclc\.org/ooxml/(\w+)/(\w+)')
"""The namespaces of "Strict Open XML", which say the same as the usual ones."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A link from one member of the archive to another."""

    kind: str
    """The last word of the link's type, such as "header"."""
    target: str
    """The name of the member that is linked to."""


class OfficeZip:
    """The members of an archive. Whatever cannot be read raises Unusable, which names the kind of file and the cure."""

    def __init__(self, data: bytes, kind: str, program: str, max_bytes: int = MAX_BYTES) -> None:
        self._kind = kind
        self._program = program
        self._max_bytes = self._left = max_bytes
        if not data.startswith(b"PK"):
            raise self._no_zip(data)
        if data.count(b"PK\x01\x02") > MAX_MEMBERS:
            raise self.refused(f"with more than {MAX_MEMBERS:,} members")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGE as error:
            raise self.damaged(str(error)) from error
        self._members = {_plain(info.filename): info for info in self._zip.infolist()}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._members

    def names(self) -> Iterator[str]:
        """The names of all members, in lower case and with slashes."""
        return iter(self._members)

    def read(self, name: str) -> bytes:
        """Return the unpacked bytes of a member, of which no more than the bound are ever in memory."""
        info = self._admitted(name)
        if info.file_size > MAX_WHOLE_BYTES:
            raise self.refused(f"with more than {MAX_WHOLE_BYTES // 1_000_000} MB in one member, {name}")
        return b"".join(self._chunks(info, info.file_size + 1))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Return the unpacked bytes of a member little by little."""
        return self._chunks(self._admitted(name), _CHUNK)

    def _admitted(self, name: str) -> zipfile.ZipInfo:
        """Return a member that may be read, and count its size."""
        info = self._members.get(_plain(name))
        if info is None:
            raise self.damaged(f"{name} is missing in it")
        if info.flag_bits & _ENCRYPTED:
            raise self.locked()
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # no other can be unpacked in steps
            raise self.damaged(f"{name} is packed in an unusual way")
        if info.file_size > self._left:
            raise self.refused(f"that unpacks to more than {self._max_bytes // 1_000_000:,} MB")
        self._left -= info.file_size
        return info

    def _chunks(self, info: zipfile.ZipInfo, size: int) -> Iterator[bytes]:
        """Unpack a member. zipfile gives no more than the stated size, and compares the check sum at the real end."""
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(size):
                    yield chunk
        except _DAMAGE as error:
            raise self.damaged(f"{info.filename[:100]}: {error}") from error

    def xml(self, name: str, shorten: Callable[[bytes], bytes] | None = None) -> Element:
        """Return the root of a member that is XML, which may be shortened first; strict namespaces become the usual."""
        data = self.read(name)
        if shorten:
            data = shorten(data)
        if b"purl.oclc.org" in data:
            data = _STRICT.sub(rb"\1http://schemas.openxmlformats.org/\2/2006/\3", data)
        try:
            return parsed(data)
        except BadXml as error:
            raise self.damaged(f"{name}: {error}") from error

    def relationships(self, name: str) -> dict[str, Relationship]:
        """Return the links of a member within the archive, by their ids; "" stands for the links of the whole file."""
        folder, file = posixpath.split(name)
        links = posixpath.join(folder, "_rels", f"{file}.rels")
        if links not in self:
            return {}
        return {
            link.get("Id", "") or "": Relationship(
                (link.get("Type") or "").rpartition("/")[2], resolved(folder, link.get("Target") or "")
            )
            for link in self.xml(links)
            if link.get("TargetMode") != "External"
        }

    def damaged(self, problem: str) -> Unusable:
        """Return the refusal of an archive that breaks its own rules."""
        return Unusable(f"{self._kind} that is damaged ({problem}); open it in {self._program} and save it again")

    def refused(self, problem: str) -> Unusable:
        """Return the refusal of an archive that is too much."""
        return Unusable(f"{self._kind} {problem}; if it is genuine, split it in {self._program}")

    def locked(self) -> Unusable:
        """Return the refusal of an archive that only a password opens."""
        return Unusable(
            f"{self._kind} that is protected by a password; open it in {self._program} and save it without the password"
        )

    def _no_zip(self, data: bytes) -> Unusable:
        if "EncryptedPackage".encode("utf-16-le") in data:
            return self.locked()
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            return Unusable(f"in the old binary format, not {self._kind}; save it in today's format in {self._program}")
        return self.damaged("it is no zip archive, as such files are")


def resolved(folder: str, target: str) -> str:
    """Return the name of the member that a link within a folder leads to."""
    path = unquote(target).replace("\\", "/")
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
