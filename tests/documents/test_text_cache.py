"""The cache of extracted texts: what is kept comes back as it was, and nothing that happens to it is ever an error."""

import hashlib
import json
import os
import random
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batchrun.document import Document, Place
from batchrun.documents import text_cache
from batchrun.documents.files import FileSource
from batchrun.documents.formats import FORMATS, Attached, Found, Part, ReadOptions, UnusablePart
from batchrun.documents.text_cache import TextCache

PDF, OPTIONS = FORMATS["pdf"], ReadOptions()
PARTS: list[Found] = [
    Part(
        name="März #1",
        text="a\x00b\r\n\ud800 \U0001f600",
        places=(Place("page", "3", 0), Place("heading", "1.1 (a)", 4)),
        note="guessed",
        pages=2,
        columns={"a": 1, "b": True, "c": 1.0, "d": None, "e": "1", "f": float("inf")},
    ),
    UnusablePart("x", "broken"),
    Part(text=""),
]


@pytest.fixture
def cache(tmp_path: Path) -> TextCache:
    return TextCache(tmp_path / ".batchrun" / "texts")


def sha(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()


def entries(cache: TextCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_what_is_kept_comes_back_with_its_types(cache: TextCache) -> None:
    cache.keep(sha(1), PDF, OPTIONS, PARTS)
    found = cache.load(sha(1), PDF, OPTIONS)
    assert found == PARTS
    assert isinstance(found[0], Part)
    assert [type(value) for value in found[0].columns.values()] == [int, bool, float, type(None), str, float]


def test_other_bytes_readers_and_options_are_other_entries(cache: TextCache) -> None:
    cache.keep(sha(1), PDF, OPTIONS, PARTS)
    newer = replace(PDF, revision=PDF.revision + 1)
    others = [
        (sha(2), PDF, OPTIONS), (sha(1), newer, OPTIONS), (sha(1), FORMATS["html"], OPTIONS),
        (sha(1), PDF, replace(OPTIONS, encoding="cp1252")), (sha(1), PDF, replace(OPTIONS, rows=True)),
    ]  # fmt: skip
    assert [cache.load(*other) for other in others] == [None] * len(others)


def test_files_that_are_attached_are_never_kept(cache: TextCache) -> None:
    cache.keep(sha(1), PDF, OPTIONS, [Part(text="mail"), Attached("a.pdf", b"secret")])
    assert entries(cache) == []


def test_only_the_owner_may_look_inside(cache: TextCache) -> None:
    before = os.umask(0)
    try:
        cache.keep(sha(1), PDF, OPTIONS, PARTS)
    finally:
        os.umask(before)
    (entry,) = entries(cache)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    for folder in (entry.parent, cache.folder, cache.folder.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def cut_off(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-3])


def emptied(entry: Path) -> None:
    entry.write_bytes(b"")


def flipped(entry: Path) -> None:
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(bytes(data))


def foreign(value: object) -> Callable[[Path], object]:
    return lambda entry: entry.write_bytes(zlib.compress(json.dumps(value).encode()))


def nested(entry: Path) -> None:
    entry.write_bytes(zlib.compress(b"[" * 100_000))


def of_latin_1(entry: Path) -> None:
    entry.write_bytes(zlib.compress('["ü"]'.encode("latin-1")))


def a_bomb(entry: Path) -> None:
    packing = zlib.compressobj(9)
    entry.write_bytes(b"".join(packing.compress(b" " * 10_000_000) for _ in range(30)) + packing.flush())


def a_huge_file(entry: Path) -> None:
    os.truncate(entry, 10**11)


def a_folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def a_link_to_nothing(entry: Path) -> None:
    entry.unlink()
    entry.symlink_to("nowhere")


DAMAGES: list[Callable[[Path], object]] = [
    cut_off, emptied, flipped, nested, of_latin_1, a_bomb, a_huge_file, a_folder, a_link_to_nothing,
    *map(foreign, (
        5, None, "abc", {}, [5], ["abc"], [[1]], [{}], [{"text": 5}], [{"text": "a", "places": [5]}],
        [{"text": "a", "pages": "x"}], [{"text": "a", "places": [{"kind": "foo", "name": "a", "start": 1}]}],
        [{"name": "a", "reason": 5}], [{"text": "a", "columns": {"b": [1]}}],
    )),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_no_entry(cache: TextCache, damage: Callable[[Path], object]) -> None:
    cache.keep(sha(1), PDF, OPTIONS, PARTS)
    damage(entries(cache)[0] if entries(cache) else cache.folder)
    assert cache.load(sha(1), PDF, OPTIONS) is None


def test_every_place_may_be_cut_or_flipped(cache: TextCache) -> None:
    cache.keep(sha(1), PDF, OPTIONS, PARTS)
    (entry,) = entries(cache)
    whole, random_numbers = entry.read_bytes(), random.Random(1)
    for _ in range(300):
        at = random_numbers.randrange(len(whole))
        changed = bytearray(whole)
        changed[at] ^= 1 << random_numbers.randrange(8)
        for data in (whole[:at], bytes(changed)):
            entry.write_bytes(data)
            assert cache.load(sha(1), PDF, OPTIONS) in (None, PARTS)


@pytest.mark.slow
def test_the_cache_is_bounded_while_it_is_written(cache: TextCache) -> None:
    small = replace(cache, most_bytes=256 * 20_000)
    for number in range(9_000):
        small.keep(sha(number), PDF, OPTIONS, [Part(text=random.Random(number).randbytes(1_600).hex())])
    assert 0.8 * small.most_bytes < small.size() < 1.5 * small.most_bytes


def test_a_text_above_its_share_is_not_kept(cache: TextCache) -> None:
    small = replace(cache, most_bytes=256 * 1_000)
    small.keep(sha(1), PDF, OPTIONS, [Part(text=random.Random(1).randbytes(2_000).hex())])
    assert entries(small) == []


def test_the_oldest_entries_go_first(cache: TextCache) -> None:
    for number in range(10):
        cache.keep(sha(number), PDF, OPTIONS, [Part(text="x" * 100)])
    paths = [cache._path(sha(number), PDF, OPTIONS) for number in range(10)]
    for number, path in enumerate(paths):
        os.utime(path, ns=(number, number))
    each = paths[0].stat().st_size

    assert cache.trim(each * 4) == 6

    assert [path.exists() for path in paths] == [False] * 6 + [True] * 4
    assert cache.trim(0) == 4
    assert cache.size() == cache.trim(0) == 0


@pytest.mark.parametrize("error", [28, 30, 13])
def test_a_disk_that_is_full_or_read_only_costs_only_time(
    cache: TextCache, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:5])
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "write_bytes", fails)
    cache.keep(sha(1), PDF, OPTIONS, PARTS)
    assert entries(cache) == [], "no half of an entry stays"
    assert cache.load(sha(1), PDF, OPTIONS) is None


def test_a_file_in_the_place_of_the_folder_costs_only_time(cache: TextCache) -> None:
    cache.folder.parent.mkdir()
    cache.folder.write_text("mine")
    cache.keep(sha(1), PDF, OPTIONS, PARTS)
    assert cache.load(sha(1), PDF, OPTIONS) is None
    assert cache.folder.read_text() == "mine"
    assert cache.size() == cache.trim(0) == 0


WRITE = """
import sys
from pathlib import Path
from batchrun.documents.formats import FORMATS, Part, ReadOptions
from batchrun.documents.text_cache import TextCache
cache = TextCache(Path(sys.argv[1]), 256 * 3_000)
for round in range(150):
    for number in range(8):
        found = cache.load(str(number), FORMATS["pdf"], ReadOptions())
        assert found is None or found == [Part(text="text %d " % number * 500)], found
        cache.keep(str(number), FORMATS["pdf"], ReadOptions(), [Part(text="text %d " % number * 500)])
    if round % 10 == 0:
        cache.trim(1_000)
"""


@pytest.mark.slow
def test_processes_at_once_never_see_half_of_an_entry(cache: TextCache) -> None:
    command = [sys.executable, "-c", WRITE, str(cache.folder)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(process.wait(), process.communicate()[1]) for process in processes] == [(0, "")] * 3
    assert not [entry for entry in entries(cache) if not entry.name.endswith(text_cache.SUFFIX)]


def test_a_source_reads_each_file_once_and_only_what_needs_a_child_is_kept(
    tmp_path: Path, cache: TextCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[bytes]()

    def reads(data: bytes, options: ReadOptions) -> Iterator[Found]:
        read.append(data)
        yield Part(text=f"page of {data.decode()}")

    html = replace(FORMATS["html"], revision=99)
    html.__dict__["read"] = reads
    monkeypatch.setitem(FORMATS, "html", html)
    (tmp_path / "a.html").write_text("<p>a</p>")
    (tmp_path / "b.html").write_text("<p>a</p>")
    (tmp_path / "c.txt").write_text("plain")
    source = FileSource(root=tmp_path, include=["*.*"], cache=cache)

    first, again = list(source.scan()), list(source.scan())

    assert first == again
    assert [one.text for one in first if isinstance(one, Document)] == ["page of <p>a</p>"] * 2 + ["plain"]
    assert read == [b"<p>a</p>"], "the same bytes are read once, whatever the file is called"
    assert len(entries(cache)) == 1
    assert b"plain" not in b"".join(zlib.decompress(entry.read_bytes()) for entry in entries(cache))


def test_no_cache_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>a</p>")
    assert [one.text for one in FileSource(root=tmp_path, include=["*"]).scan() if isinstance(one, Document)] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
