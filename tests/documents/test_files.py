"""Files as documents: which are found, in what order, and what is said about those that cannot be read."""

import os
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents.files import FileSource
from batchrun.documents.formats import ReadOptions
from batchrun.errors import Refused

TREE = [
    "a.txt",
    "a/b.txt",
    "a/b/c.txt",
    "a/b/d.md",
    "a-z.txt",
    "a/[x].txt",
    "drafts/b.txt",
    "drafts/old/c.txt",
    ".hidden.txt",
    ".git/d.txt",
    "a/.e.txt",
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "project[1]"
    for name in TREE:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def source(root: Path, *include: str, **options: Any) -> FileSource:
    return FileSource(root=root, include=include, **options)


def ids(found: FileSource) -> list[str]:
    return [document.doc_id for document in found.scan()]


def only(found: FileSource) -> Document | Unreadable:
    (document,) = found.scan()
    return document


def ref(document: Document | Unreadable) -> DocumentRef:
    return DocumentRef(document.doc_id, document.source)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.txt"], [], ["a-z.txt", "a.txt"]),
        (["a.txt"], [], ["a.txt"]),
        (["./a//b.txt"], [], ["a/b.txt"]),
        (["a/*"], [], ["a/[x].txt", "a/b.txt"]),
        (["a/**"], [], ["a/[x].txt", "a/b.txt", "a/b/c.txt", "a/b/d.md"]),
        (["a/**/*.txt"], [], ["a/[x].txt", "a/b.txt", "a/b/c.txt"]),
        (["**/c.txt"], [], ["a/b/c.txt", "drafts/old/c.txt"]),
        (["**/b/**/c.txt"], [], ["a/b/c.txt"]),
        (["*/b.txt"], [], ["a/b.txt", "drafts/b.txt"]),
        (["?.txt", "a.*", "**/a.txt"], [], ["a.txt"]),
        (["a/[[]x].txt"], [], ["a/[x].txt"]),
        (["drafts/**/*.txt", "*.txt"], [], ["a-z.txt", "a.txt", "drafts/b.txt", "drafts/old/c.txt"]),
        (["drafts/old/*.txt", "a/*.txt"], [], ["a/[x].txt", "a/b.txt", "drafts/old/c.txt"]),
        ([".*.txt"], [], [".hidden.txt"]),
        ([".git/*"], [], [".git/d.txt"]),
        (["**/.e.txt"], [], ["a/.e.txt"]),
        (["**/*.txt"], ["a/**"], ["a-z.txt", "a.txt", "drafts/b.txt", "drafts/old/c.txt"]),
        (["**/*.txt"], ["drafts", "a/b"], ["a-z.txt", "a.txt", "a/[x].txt", "a/b.txt"]),
        (["drafts/old/*", "a.txt"], ["drafts"], ["a.txt"]),
        (["*.txt", ".*.txt"], ["*idden*"], ["a-z.txt", "a.txt"]),
    ],
)
def test_globs(tree: Path, include: list[str], exclude: list[str], expected: list[str]) -> None:
    assert ids(source(tree, *include, exclude=exclude)) == expected


def test_everything_comes_in_the_order_of_the_paths(tree: Path) -> None:
    found = ids(source(tree, "**"))
    assert found == sorted(found)
    assert found == sorted(name for name in TREE if "/." not in f"/{name}")


def test_an_absolute_pattern_inside_the_project_gives_the_same_ids(tree: Path) -> None:
    assert ids(source(tree, "a.txt", "a/*.txt")) == ["a.txt", "a/[x].txt", "a/b.txt"]
    assert ids(source(tree / "a", "../*.txt", "*.txt")) == [
        f"{tree}/a-z.txt",
        f"{tree}/a.txt",
        "[x].txt",
        "b.txt",
    ]


def test_an_absolute_pattern_outside_the_project(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.txt").write_text("x")
    found = only(source(tree, f"{tmp_path}/elsewhere/*.txt"))
    assert found == Document(f"{tmp_path}/elsewhere/x.txt", f"{tmp_path}/elsewhere/x.txt", "x")
    assert source(tree, f"{tmp_path}/elsewhere/*.txt").read([ref(found)]) == [found]


def test_stems_as_ids_may_repeat(tree: Path) -> None:
    assert ids(source(tree, "**/b.txt", "*.txt", id_from="stem")) == ["a-z", "a", "b", "b"]


@pytest.mark.parametrize(
    ("include", "exclude", "hint"),
    [
        (["contract/*.txt"], [], "the nearest folder there is: {root}, which holds a-z.txt, a.txt, a/, drafts/"),
        (["a/b/c/*.txt"], [], "the nearest folder there is: {root}/a/b, which holds c.txt, d.md"),
        (["a"], [], 'a is a folder; for the files in it write "a/**"'),
        (["*.txt"], ["*"], "the nearest folder there is: {root}"),
    ],
)
def test_no_documents_at_all_is_refused(tree: Path, include: list[str], exclude: list[str], hint: str) -> None:
    with pytest.raises(Refused, match="no documents: nothing matches") as caught:
        list(source(tree, *include, exclude=exclude).scan())
    assert include[0] in str(caught.value)
    assert str(tree) in str(caught.value)
    assert hint.format(root=tree) in str(caught.value.hint)


def test_what_was_done_to_read_is_noted(tree: Path) -> None:
    (tree / "note").write_bytes(b"caf\xe9\r\n")
    assert only(source(tree, "note")) == Document("note", "note", "café\n", note="read as windows-1252 (guessed)")
    assert only(source(tree, "note", options=ReadOptions("latin-1"))) == Document("note", "note", "café\n")
    (tree / "empty").write_bytes(b"")
    assert only(source(tree, "empty")) == Document("empty", "empty", "")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may have only 108 bytes
        listener.bind(path.name)
        os.chdir(here)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(32_000_001)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "a named pipe, not a file"),
        (a_socket, "a socket, not a file"),
        (lambda path: path.symlink_to("/dev/null"), "a symbolic link out of the project, to /dev/null; not followed"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link to nothing"),
        (lambda path: path.symlink_to(path.name), "a symbolic link that leads back to itself"),
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link out of the project, to /etc/passwd"),
        (lambda path: path.symlink_to("../outside"), "a symbolic link out of the project, to "),
        (sparse, "32.0 MB: more than the 32 MB that a request may have"),
        (lambda path: path.write_bytes(b"%PDF-1.4"), "a broken PDF, or none: it has no pages"),
    ],
    ids=["fifo", "socket", "device", "broken link", "looped link", "escape", "relative escape", "large", "pdf"],
)
def test_unreadable_with_a_reason_and_no_hang(tree: Path, make: Any, reason: str) -> None:
    (tree.parent / "outside").write_text("secret")
    make(tree / "x")
    found = source(tree, "x")

    refused = only(found)

    assert isinstance(refused, Unreadable)
    assert (refused.doc_id, refused.source) == ("x", "x")
    assert reason in refused.reason
    assert found.read([ref(refused)]) == [refused]


def test_links_within_the_project_are_followed_by_name_and_not_by_double_star(tree: Path) -> None:
    (tree / "link.txt").symlink_to("a.txt")
    (tree / "folder").symlink_to("a", target_is_directory=True)
    (tree / "a" / "loop").symlink_to("..", target_is_directory=True)

    assert "link.txt" in ids(source(tree, "*.txt"))
    assert ids(source(tree, "folder/*.txt")) == ["folder/[x].txt", "folder/b.txt"]
    assert ids(source(tree, "folder/**/c.txt")) == ["folder/b/c.txt"]
    assert ids(source(tree, "a/loop/a/loop/a.txt")) == ["a/loop/a/loop/a.txt"]
    assert ids(source(tree, "**/c.txt")) == ["a/b/c.txt", "drafts/old/c.txt"]


@pytest.mark.parametrize("pattern", ["**/*.txt", "out/*.txt", "*/*.txt", "out/a.txt"])
def test_a_linked_folder_out_of_the_project_is_reported_and_not_entered(tree: Path, pattern: str) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("secret")
    (tree / "out").symlink_to(outside, target_is_directory=True)

    found = list(source(tree, pattern).scan())

    refused = [document for document in found if isinstance(document, Unreadable)]
    assert refused == [Unreadable("out", "out", f"a symbolic link out of the project, to {outside}; not followed")]
    assert all("secret" not in document.text for document in found if isinstance(document, Document))


def test_a_link_changed_after_the_plan_is_not_followed_either(tree: Path) -> None:
    found = source(tree, "a.txt")
    planned = ref(only(found))
    (tree / "a.txt").unlink()
    (tree / "a.txt").symlink_to("/etc/passwd")
    (now,) = found.read([planned])
    assert isinstance(now, Unreadable)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.unlink(), "it is no longer there"),
        (lambda path: (path.unlink(), path.mkdir()), "a folder, not a file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "a named pipe, not a file"),
    ],
)
def test_what_changed_after_the_plan_is_told_one_by_one(tree: Path, change: Any, reason: str) -> None:
    found = source(tree, "*.txt")
    refs = [ref(document) for document in found.scan()]
    change(tree / "a-z.txt")
    assert found.read(refs[::-1]) == [
        Document("a.txt", "a.txt", "a.txt"),
        Unreadable("a-z.txt", "a-z.txt", reason),
    ]


def test_a_parent_folder_that_vanished(tree: Path) -> None:
    found = source(tree, "a/b/c.txt")
    planned = ref(only(found))
    (tree / "a").rename(tree / "moved")
    (tree / "a").write_text("a file now")
    assert found.read([planned]) == [Unreadable("a/b/c.txt", "a/b/c.txt", "it is no longer there")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied(tree: Path) -> None:
    (tree / "a.txt").chmod(0)
    (tree / "drafts").chmod(0)
    found = [d for d in source(tree, "a.txt", "drafts/*.txt").scan() if isinstance(d, Unreadable)]
    (tree / "drafts").chmod(0o700)
    assert [d.reason for d in found] == ["permission denied", "this folder cannot be listed: Permission denied"]


def test_refused_by_the_system(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", no)
    assert only(source(tree, "a.txt")) == Unreadable("a.txt", "a.txt", "permission denied")
    monkeypatch.setattr(os, "scandir", no)
    assert only(source(tree, "a/*")) == Unreadable("a", "a", "this folder cannot be listed: Permission denied")


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"two\nlines.txt", rb"back\slash.txt", "契約 書.txt".encode()])
def test_odd_names_are_printable_and_found_again(tree: Path, name: bytes) -> None:
    folder = tree / "odd"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("found")
    found = source(tree, "odd/*")

    document = only(found)

    assert isinstance(document, Document)
    assert document.doc_id.isprintable()
    document.doc_id.encode()
    assert found.read([ref(document)]) == [document]
    assert document.text == "found"


@pytest.mark.slow
def test_a_tree_deeper_than_the_stack(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(1100):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    (folders[-1] / "x.txt").write_text("deep")

    assert only(source(tmp_path, "**/x.txt")).doc_id == "d/" * 1100 + "x.txt"

    (folders[-1] / "x.txt").unlink()  # shutil.rmtree, which pytest uses, would not get so deep
    for folder in reversed(folders[1:]):
        folder.rmdir()


@pytest.mark.slow
def test_scanning_holds_one_text_at_a_time(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"{folder:02}").mkdir()
        for number in range(100):
            (tmp_path / f"{folder:02}" / f"{number:03}.txt").write_bytes(b"10 KB     " * 1000)
    found = source(tmp_path, "**/*.txt")

    tracemalloc.start()
    count = sum(1 for _ in found.scan())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 2000
    assert peak < 500_000  # of 20 MB
