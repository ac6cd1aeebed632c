"""Files in buckets as documents: which are found, how they are read, and what is said about those that cannot be."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bucket_server import MODIFIED, Buckets, serving_buckets
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import Guard, bounds, buckets
from batchrun.documents.buckets import fetched
from batchrun.documents.files import FileSource
from batchrun.errors import EnvironmentProblem, ExitCode, Refused
from batchrun.workers.children import Children

MAIL = b"From: a@example.org\nTo: b@example.org\nSubject: %d\n\nText %d\n\n"
MBOX = b"".join(b"From a@example.org Mon Jan  1 00:00:00 2024\n" + MAIL % (one, one) for one in range(3))
FILES = {
    "2024/": b"",
    "2024/a.txt": b"one",
    "2024/b b+c%41?.txt": b"two",
    "2024/drafts/c.txt": b"three",
    "2024/.hidden/d.txt": b"four",
    "2024//e.txt": b"five",
    "2024/\xe9\n.txt": b"six",
    "2025/f.md": b"seven",
}
SERVERS = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with serving_buckets({}) as served:
        yield served


@pytest.fixture(autouse=True)
def bucket(server: Buckets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Buckets:
    """A bucket with FILES, and an environment that leads there and to no credentials of this machine."""
    server.files, server.denied, server.broken, server.asked = dict(FILES), set(), {}, []
    variables = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "of-the-bucket", "AWS_REGION": "us-east-1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name in SERVERS.values():
        monkeypatch.setenv(name, server.address)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(buckets, "PAUSES_S", (0, 0, 0))
    buckets._google.cache_clear()
    return server


@pytest.fixture(scope="module", autouse=True)
def one_client() -> Iterator[None]:
    """Making a client of botocore takes half a second; it has the address and the keys of the module's server."""
    yield
    buckets._amazon().close()
    buckets._amazon.cache_clear()


def source(*include: str, root: Path = Path("/nowhere"), **options: Any) -> FileSource:
    return FileSource(root=root, include=include, **options)


def ids(found: FileSource) -> list[str]:
    return [document.doc_id for document in found.scan()]


def reread(found: FileSource) -> list[Document | Unreadable]:
    return found.read([DocumentRef(one.doc_id, one.source, one.place) for one in found.scan()])


@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["2024/*.txt"], [], ["2024//e.txt", "2024/a.txt", "2024/b b+c%41?.txt", "2024/\\u00e9\\x0a.txt"]),
        (["**/c.*", "2024/drafts/**"], [], ["2024/drafts/c.txt"]),
        (["202[5]/**", "2024/**"], ["**/drafts", "2024/[b-zé]*", "**/e.txt"], ["2024/a.txt", "2025/f.md"]),
        (["2024/.hidden/*"], [], ["2024/.hidden/d.txt"]),
        (["2024/a.txt"], [], ["2024/a.txt"]),
        (["2024/b*[?].txt"], [], ["2024/b b+c%41?.txt"]),
    ],
)  # fmt: skip
def test_which_files_are_found(scheme: str, include: list[str], exclude: list[str], expected: list[str]) -> None:
    def whole(names: list[str]) -> list[str]:
        return [f"{scheme}://letters/{name}" for name in names]

    found = source(*whole(include), exclude=whole(exclude))

    documents = list(found.scan())
    assert [one.doc_id for one in documents] == [one.source for one in documents]
    assert [one.doc_id for one in documents] == [name.replace("\\u00e9", "\xe9") for name in whole(expected)]
    assert reread(found) == documents


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_file_has_size_time_and_a_number_that_changes_with_its_content(scheme: str, bucket: Buckets) -> None:
    found = source(f"{scheme}://letters/2024/a.txt")
    ((first,),) = [shard.files for shard in found.shards()]
    assert (first.size, first.mtime_ns, first.ctime_ns) == (3, int(MODIFIED.timestamp()) * 10**9, 0)
    assert 0 < first.inode < 2**63
    ((same,),) = [shard.files for shard in found.shards()]
    bucket.files["2024/a.txt"] = b"two"
    ((other,),) = [shard.files for shard in found.shards()]
    assert same == first
    assert other == first._replace(inode=other.inode) != first
    assert bucket.asked == ["list"] * 3


def test_files_of_disk_and_of_buckets_are_one_source(tmp_path: Path, bucket: Buckets) -> None:
    (tmp_path / "z.txt").write_text("here")
    found = source("s3://letters/2025/*", "*.txt", "gs://letters/2025/*", root=tmp_path, id_from="stem")
    assert [(one.doc_id, one.source) for one in found.scan()] == [
        ("z", "z.txt"), ("f", "gs://letters/2025/f.md"), ("f", "s3://letters/2025/f.md"),
    ]  # fmt: skip
    assert [one.source for one in reread(found)] == ["z.txt", "gs://letters/2025/f.md", "s3://letters/2025/f.md"]
    assert [len(shard.files) for shard in found.shards()] == [3]


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_what_cannot_be_read_is_a_failure_of_its_own(
    scheme: str, bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.files = {f"x/{name}": b"text" for name in "abc"} | {"x/large": b"x" * 11}
    monkeypatch.setattr(buckets, "MAX_FILE_BYTES", 10)
    monkeypatch.setattr(bounds, "MAX_FILE_BYTES", 10)
    found = source(f"{scheme}://letters/x/*")
    (shard,) = found.shards()
    bucket.denied.add("x/a")
    del bucket.files["x/b"]
    bucket.files["x/c"] = b"grown much larger"

    reasons = [one.reason for one in found.read_shard(shard) if isinstance(one, Unreadable)]

    assert reasons[:2] == ["permission denied", "it is no longer there"]
    assert ["a file of 0.0 MB" in reason for reason in reasons[2:]] == [True, True]
    assert "x/large" not in bucket.asked
    del bucket.files["x/c"], bucket.files["x/large"]
    (again,) = found.read([DocumentRef(f"{scheme}://letters/x/b", f"{scheme}://letters/x/b")])
    assert isinstance(again, Unreadable)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_connection_that_breaks_is_made_again(scheme: str, bucket: Buckets) -> None:
    bucket.broken["2024/a.txt"] = 2
    (document,) = source(f"{scheme}://letters/2024/a.txt").scan()
    assert isinstance(document, Document)
    assert document.text == "one"
    assert bucket.asked.count("2024/a.txt") == 3
    bucket.broken["2024/a.txt"] = 99
    with pytest.raises(EnvironmentProblem, match=f"{scheme}://letters: "):
        list(source(f"{scheme}://letters/2024/a.txt").scan())


@pytest.mark.parametrize(
    ("pattern", "told", "hint"),
    [
        ("s3://other/**", "s3://other: .*NoSuchBucket", "AWS_PROFILE"),
        ("gs://other/**", "gs://other: HTTP 404", "gcloud auth application-default login"),
    ],
)
def test_a_bucket_that_cannot_be_listed_ends_the_command(pattern: str, told: str, hint: str) -> None:
    with pytest.raises(EnvironmentProblem, match=told) as caught:
        list(source(pattern).shards())
    assert hint in (caught.value.hint or "")


def test_no_file_is_refused_with_what_to_type() -> None:
    with pytest.raises(Refused, match=r"no documents: nothing matches s3://letters/no one/\*\n") as caught:
        list(source("s3://letters/no one/*").shards())
    assert caught.value.hint == "to see what is there: aws s3 ls 's3://letters/no one/'"


@pytest.mark.parametrize(
    ("scheme", "library", "extra"),
    [("s3", "botocore.session", "aws"), ("gs", "google.auth.transport.requests", "google")],
)
def test_a_missing_library_is_told(scheme: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    make = {"s3": buckets._amazon.__wrapped__, "gs": buckets._google.__wrapped__}[scheme]
    with pytest.raises(EnvironmentProblem, match=f"{scheme}://: files there need") as caught:
        make()
    assert caught.value.hint == f'pip install "batchrun-documents[{extra}]"'


def test_the_parts_of_one_file_are_fetched_once(bucket: Buckets) -> None:
    bucket.files = {"all.mbox": MBOX}
    found = source("s3://letters/*.mbox")
    documents = list(found.scan())
    assert len(documents) == 3
    bucket.asked.clear()
    for one in documents:
        assert found.read([DocumentRef(one.doc_id, one.source, one.place)]) == [one]
    assert bucket.asked == ["all.mbox"]


def contents(addresses: list[str], take: int, guard: Guard) -> tuple[bool, list[str]]:
    """What a child sees: whether it has a key, and the first contents."""
    found = fetched(addresses, guard)
    return "AWS_SECRET_ACCESS_KEY" in os.environ, [str(next(found)) for _ in range(take)]


@pytest.mark.slow
def test_a_child_without_credentials_has_files_fetched(bucket: Buckets) -> None:
    addresses = ["s3://letters/2024/a.txt", "s3://letters/none", "s3://letters/2025/f.md"]
    with Children(1) as children:
        for take in (3, 1, 0, 3):
            has_key, found = children.submit(contents, addresses, take).result()
            assert not has_key
            assert found == ["b'one'", "it is no longer there", "b'seven'"][:take]
        with pytest.raises(EnvironmentProblem, match="s3://other: ") as caught:
            children.submit(contents, ["s3://other/a"], 1).result()
        assert "AWS_PROFILE" in (caught.value.hint or "")
        assert children.submit(contents, addresses, 1).result() == (False, ["b'one'"])


@pytest.mark.slow
def test_files_that_are_done_are_not_fetched_again(project: TrialProject, bucket: Buckets) -> None:
    bucket.files = {f"in/{number}.txt": b"text %d" % number for number in range(5)}
    project.job(source='type = "files"\ninclude = ["s3://letters/in/*", "docs/*.txt"]\ncolumns = ["path", "size"]')
    first, again, changed = ScriptedProvider(), ScriptedProvider(), ScriptedProvider()

    assert project.submit(first).exit_code is ExitCode.OK
    assert {f"s3://letters/in/{number}.txt" for number in range(5)} <= project.statuses().keys()
    bucket.asked.clear()
    project.submit(again)
    assert set(bucket.asked) == {"list"}
    bucket.files["in/3.txt"] = b"other text"
    project.submit(changed)

    assert (again.sent, len(changed.sent)) == ([], 1)
    assert {key for key in bucket.asked if key != "list"} == {"in/3.txt"}
