"""Documents that are files, which patterns find below the project's root."""

import hashlib
import os
import shlex
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from batchrun.document import Document, DocumentRef, Unreadable, text_sha
from batchrun.documents import FoundFile, GivenUp, Guard, Shard, Unfit, grouped, scan, text_size, unguarded
from batchrun.documents.bounds import MAX_FILE_BYTES, require_size
from batchrun.documents.buckets import fetched, stored_files
from batchrun.documents.encoding import Undecodable, decode
from batchrun.documents.formats import FORMATS, Format, Found, Part, ReadOptions, Unusable, UnusablePart
from batchrun.documents.formats.pdf_boxes import Box, boxes_of
from batchrun.documents.formats.pdf_pictures import PagePicture, pictures_of
from batchrun.documents.formats.reading import ReadPart, format_of, read_file, read_one, with_reasons
from batchrun.documents.glob_patterns import Glob
from batchrun.documents.latest import Latest
from batchrun.documents.path_escaping import actual, shown
from batchrun.documents.text_cache import TextCache
from batchrun.documents.tree import Found as FoundPath
from batchrun.documents.tree import Tree, leads_out
from batchrun.errors import Refused
from batchrun.file_system import FILE_FAULTS, other_kind, tried
from batchrun.job.table_names import is_remote

T = TypeVar("T")
TEXT, PDF = FORMATS["text"], FORMATS["pdf"]
DEFAULTS = ReadOptions()
READ_AS_TEXT_BEFORE = frozenset({"html", "eml", "mbox"})
"""Formats whose files earlier versions took as they were."""


_Parts = dict[str, Document | Unreadable]
MAX_KEPT = 200_000_000
"""The most characters of a file's parts that a process keeps in memory."""


def _worth_keeping(parts: _Parts) -> bool:
    return len(parts) > 1 and sum(map(text_size, parts.values())) <= MAX_KEPT


EXTRACTED = tuple(suffix for one in FORMATS.values() if one.isolated for suffix in one.suffixes)
LEAST_WORK = 64_000
"""A shard has some sixty files at most whose text is extracted, so that even small PDFs are for several processes."""
LASTS_S = 30
"""How long the parts of a file in a bucket are kept for the next call."""
_LATEST: Latest[object, _Parts] = Latest(keeps=_worth_keeping)


class FileSource:
    """The files that `include` names and `exclude` does not, in the order of their paths; those in buckets come last.

    Links are followed within the root (a `**` goes through no linked folder), never out of it.
    """

    parallel = True
    columns: frozenset[str] | None = None

    def __init__(
        self,
        *,
        root: Path,
        include: Sequence[str],
        exclude: Sequence[str] = (),
        options: ReadOptions = DEFAULTS,
        format_name: str = "auto",
        id_from: Literal["relpath", "stem"] = "relpath",
        cache: TextCache | None = None,
        own: Sequence[str] = (),
    ) -> None:
        """`own` are absolute patterns for files that are never documents."""
        self.page = 8 if options.pdf == "text" else 2
        self._root = root.resolve()
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._options = options
        self._format_name = format_name
        self._cache = cache
        self._id_from = id_from
        # Whatever lies below an excluded folder is excluded too.
        without = [pattern for text in (*exclude, *own) for pattern in (text, f"{text}/**")]
        self._tree = Tree(
            root=self._root,
            include=[Glob.parse(text, self._root) for text in include if not is_remote(text)],
            exclude=[Glob.parse(text, self._root, hidden=True) for text in without if not is_remote(text)],
        )
        self._stored = [Glob.of_address(text) for text in include if is_remote(text)]
        self._not_stored = [Glob.of_address(text, hidden=True) for text in without if is_remote(text)]

    def scan(self) -> Iterator[Document | Unreadable]:
        """Read every file once. Raises Refused when there is none."""
        return scan(self)

    def canary(self) -> str | None:
        """Return the path of the first file. Returns None if there is no readable file."""
        return next((found.path for found in self._tree.walk() if found.problem is None), None)

    def shards(self) -> Iterator[Shard]:
        """List the files, without opening any. Raises Refused when there is none."""
        nothing = True
        stored: Iterator[FoundPath | FoundFile] = stored_files(self._stored, self._not_stored)
        listed = (self._found(number, found) for number, found in enumerate(chain(self._tree.walk(), stored)))
        for number, files in enumerate(grouped(listed, _work)):
            nothing = False
            yield Shard(number, None, sum(file.size for file in files), tuple(files))
        if nothing:
            raise self._no_documents()

    def read_shard(self, shard: Shard, guard: Guard = unguarded) -> Iterator[Document | Unreadable]:
        """Read the files of a shard, each once."""
        paths = [(self._path(file.source), file.problem) for file in shard.files]
        ahead = fetched([path for path, problem in paths if is_remote(path) and not problem], guard)
        for path, problem in paths:
            if problem:
                yield self._unreadable(path, problem)
            else:
                yield from self._load(path, guard, ahead)

    def read(self, refs: Sequence[DocumentRef], guard: Guard = unguarded) -> list[Document | Unreadable]:
        """Read these documents as they are now. Neighbours that are parts of one file are read together."""
        found: list[Document | Unreadable] = []
        by_path = [(self._path(file), list(of_file)) for file, of_file in groupby(refs, key=file_of)]
        stored = [path for path, _ in by_path if is_remote(path)]
        ahead = fetched(stored, guard) if len(stored) > 1 else None
        for path, of_file in by_path:
            parts = _by_place(self._load(path, guard, ahead)) if ahead and is_remote(path) else self._parts(path, guard)
            whole = parts.get("") if len(parts) == 1 else None
            for ref in of_file:
                one = parts.get(ref.place) or (whole if isinstance(whole, Unreadable) else None)
                found.append(one or Unreadable(ref.doc_id, ref.source, "it is no longer in its file", ref.place))
        return found

    def boxes(self, document: Document, spans: Sequence[tuple[int, int]], guard: Guard) -> list[list[Box]]:
        """Return the boxes of stretches of a PDF's text; no boxes for another format, or if they cannot be made.

        A PDF whose boxes end or occupy the process can be read nevertheless, so the guard has another name for them.
        """
        return self._made_of(document, guard, "boxes", lambda data: boxes_of(data, spans, document.places))

    def pictures(self, document: Document, boxes: Sequence[Box], guard: Guard) -> list[PagePicture]:
        """Return the pages of a PDF on which boxes are, as pictures; no pictures where `boxes` gives no boxes."""
        return self._made_of(document, guard, "pictures", lambda data: pictures_of(data, boxes))

    def _made_of(self, document: Document, guard: Guard, what: str, make: Callable[[bytes], list[T]]) -> list[T]:
        """Make something of a PDF. Returns nothing for another format, and if the PDF gives nothing."""
        data = self._bytes_of(document, guard) if is_pdf(document.reader) else None
        if data is None:
            return []
        try:
            with guard(f"the {what} of {document.source}"):
                return with_reasons(PDF, lambda: make(data))
        except (Unusable, GivenUp):
            return []

    def _bytes_of(self, document: Document, guard: Guard) -> bytes | None:
        """Return the bytes of a PDF, which may be attached to its file. Returns None if they are no longer there."""
        path, found = self._path(file_of(document)), list[bytes]()
        reading = _Reading(file_of(document), guard, self._cache)

        def read_one(one: Format, data: bytes, options: ReadOptions) -> list[Found]:
            if one is not PDF:
                return reading(one, data, options)
            if hashlib.sha256(data).hexdigest() == document.bytes_sha:
                found.append(data)
            return []

        try:
            data = self._content(path, guard)
            any(found for _ in read_file(data, path.rpartition("/")[2], self._format_name, self._options, read_one))
        except (Unfit, OSError, Unusable):
            return None
        return found[0] if found else None

    def _parts(self, path: str, guard: Guard) -> _Parts:
        """Read a file, or take what was read last if that was this file as it is now. Returns its parts by place.

        A file in a bucket is as it was some seconds ago: its bytes may be in many documents, and are far away.
        """
        times: tuple[float, ...]
        if is_remote(path):
            times = (time.monotonic() // LASTS_S,)
        else:
            try:
                status = Path(path).stat()
            except OSError:
                return _by_place(self._load(path, guard))
            times = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino
        key = (path, self._id_from, self._format_name, self._options, times)
        return _LATEST.get(key, lambda: _by_place(self._load(path, guard)))

    def _found(self, number: int, found: FoundPath | FoundFile) -> FoundFile:
        if isinstance(found, FoundFile):
            return found._replace(number=number)
        status, source = found.status, self._shown(found.path)
        if status is None:
            return FoundFile(number, source, 0, 0, 0, 0, found.problem)
        times = status.st_mtime_ns, status.st_ctime_ns
        return FoundFile(number, source, status.st_size, *times, status.st_ino, found.problem)

    def _path(self, source: str) -> str:
        """Return the path or the address of a file, as shown to people before."""
        if is_remote(source):
            return actual(source)
        return os.path.join(self._root, actual(source))  # noqa: PTH118 - five times faster than a Path, for each file

    def _load(
        self, path: str, guard: Guard, ahead: Iterator[bytes | Unfit] | None = None
    ) -> Iterator[Document | Unreadable]:
        """Read a file. The bytes of a file in a bucket are the next ones of `ahead`, if there is one."""
        try:
            data = self._content(path, guard, ahead)
        except Unfit as finding:
            yield self._unreadable(path, str(finding))
            return
        except OSError as error:
            yield self._unreadable(path, _reason(error, path))
            return
        sha = hashlib.sha256(data).hexdigest()
        try:
            file_name = path.rpartition("/")[2]
            named = self._format_name != "auto"
            one = FORMATS[self._format_name] if named else format_of(data, file_name, self._options)
            if one is TEXT:  # the usual case, and one that needs neither guard nor cache
                yield self._text(path, data, sha)
                return
            reading = _Reading(self._shown(path), guard, self._cache)
            for found in read_file(data, file_name, self._format_name, self._options, reading):
                yield self._document(path, found, data)
        except Unusable as finding:
            given_up = finding.__cause__
            lasts = not isinstance(given_up, GivenUp) or given_up.lasts
            yield replace(self._unreadable(path, str(finding)), bytes_sha=sha if lasts else "")

    def _text(self, path: str, data: bytes, sha: str) -> Document:
        (part,) = TEXT.read(data, self._options)
        assert isinstance(part, Part)
        return Document(self._id(path), self._shown(path), part.text, note=part.note, reader=TEXT.reader, bytes_sha=sha)

    def _document(self, path: str, found: ReadPart | UnusablePart, data: bytes) -> Document | Unreadable:
        name = found.name if isinstance(found, UnusablePart) else found.part.name
        suffix = f"#{shown(name)}" if name else ""
        doc_id, source = self._id(path) + suffix, self._shown(path) + suffix
        if isinstance(found, UnusablePart):
            return Unreadable(doc_id, source, found.reason, name, hashlib.sha256(data).hexdigest())
        part, one = found.part, found.format
        return Document(
            doc_id,
            source,
            part.text,
            columns=part.columns,
            note=part.note,
            place=name,
            places=part.places,
            pages=part.pages,
            native=part.native,
            reader=one.reader,
            bytes_sha=found.bytes_sha,
            plain_sha=self._plain_sha(data) if not name and one.name in READ_AS_TEXT_BEFORE else "",
        )

    def _plain_sha(self, data: bytes) -> str:
        """Return the hash that earlier versions knew the document by. Returns an empty one if they refused it."""
        try:
            return text_sha(decode(data, self._options.encoding).text)
        except Undecodable:
            return ""

    def _content(self, path: str, guard: Guard, ahead: Iterator[bytes | Unfit] | None = None) -> bytes:
        if not is_remote(path):
            return tried(lambda: self._bytes(path), path)
        content = next(ahead or fetched([path], guard))
        if isinstance(content, Unfit):
            raise content
        return content

    def _bytes(self, path: str) -> bytes:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            status = Path(path).stat()
            if not self._tree.confines(path):
                raise Unfit(leads_out(path))
        _require_readable(status)
        # A pipe may have taken the file's place since; without O_NONBLOCK, opening the pipe would hang. A file object
        # would make twice as many system calls, and threads change places at each system call.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            _require_readable(status)
            return _all_of(file, status.st_size)
        finally:
            os.close(file)

    def _unreadable(self, path: str, reason: str) -> Unreadable:
        return Unreadable(self._id(path), self._shown(path), reason)

    def _shown(self, path: str) -> str:
        return shown(path.removeprefix(f"{str(self._root).rstrip('/')}/"))

    def _id(self, path: str) -> str:
        return shown(PurePosixPath(path).stem) if self._id_from == "stem" else self._shown(path)

    def _no_documents(self) -> Refused:
        patterns = ", ".join(self._include)
        but = f", or exclude ({', '.join(self._exclude)}) leaves nothing of it" if self._exclude else ""
        below = f" below {self._root}" if self._tree.include else ""
        return Refused(f"no documents: nothing matches {patterns}{below}{but}", hint=self._nearest())

    def _nearest(self) -> str:
        if not self._tree.include:
            tool = "aws s3" if self._stored[0].text.startswith("s3://") else "gcloud storage"
            return f"to see what is there: {tool} ls {shlex.quote(self._stored[0].folder)}"
        first = self._tree.include[0]
        if (self._root / first.text).is_dir():
            return f'{first.text} is a folder; for the files in it write "{first.text.rstrip("/")}/**"'
        folder = Path(first.folder)
        while not folder.is_dir():
            folder = folder.parent
        return f"the nearest folder there is: {folder}, {_some_names(folder)}"


def _require_readable(status: os.stat_result) -> None:
    if kind := other_kind(status.st_mode):
        raise Unfit(f"{kind}, not a file")
    require_size(status.st_size)


def _all_of(file: int, size: int) -> bytes:
    data = os.read(file, size + 1)
    while len(data) != size:  # the file is growing, has no known size, or comes in parts
        more = os.read(file, MAX_FILE_BYTES)
        data += more
        require_size(len(data))
        if not more:
            break
    return data


@dataclass(frozen=True, slots=True)
class _Reading:
    """How one file and what is attached to it are read: from the cache, or within the guard."""

    source: str
    guard: Guard
    cache: TextCache | None

    def __call__(self, one: Format, data: bytes, options: ReadOptions) -> list[Found]:
        if not one.isolated:
            return read_one(one, data, options)
        sha = hashlib.sha256(data).hexdigest()
        if self.cache and (known := self.cache.load(sha, one, options)) is not None:
            return known
        try:
            with self.guard(self.source):
                found = read_one(one, data, options)
        except GivenUp as given_up:
            raise Unusable(str(given_up)) from given_up
        if self.cache:
            self.cache.keep(sha, one, options, found)
        return found


def _work(file: FoundFile) -> int:
    """Return how many bytes of text take as long to read: a file of few bytes may have many pages."""
    return max(file.size, LEAST_WORK) if file.source.lower().endswith(EXTRACTED) else file.size


def _by_place(found: Iterator[Document | Unreadable]) -> _Parts:
    return {one.place: one for one in found}


def is_pdf(reader: str) -> bool:
    """Whether a document was read from a PDF, by the name of its reader."""
    return reader.startswith(f"{PDF.name}/")


def file_of(ref: DocumentRef | Document) -> str:
    """Return the file of a document, as shown to people."""
    return ref.source.removesuffix(f"#{shown(ref.place)}") if ref.place else ref.source


def _reason(error: OSError, path: str) -> str:
    if isinstance(error, FileNotFoundError) and Path(path).is_symlink():
        return "a symbolic link to nothing"
    return FILE_FAULTS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")


def _some_names(folder: Path) -> str:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name + "/" * entry.is_dir() for entry in entries if entry.name[0] != ".")
    except OSError as error:
        return f"which cannot be listed: {error.strerror}"
    if not names:
        return "which is empty"
    return f"which holds {', '.join(map(shown, names[:5]))}{' …' if len(names) > 5 else ''}"
