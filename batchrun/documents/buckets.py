"""Files in the buckets of Amazon and Google: which there are, and the bytes of each.

The clouds' own clients list a bucket page by page, and find credentials where other programs find them. DuckDB, which
reads tables in buckets, keeps a whole listing in memory, cannot open every name, and takes keys from few places.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from os import environ
from typing import Any, TypeVar
from urllib.parse import quote

from batchrun.documents import FoundFile, Guard, Unfit
from batchrun.documents.bounds import MAX_FILE_BYTES, file_too_large, require_size
from batchrun.documents.glob_patterns import Glob, Trail
from batchrun.documents.path_escaping import shown
from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.file_system import PAUSES_S
from batchrun.masking import AMAZON_LOGGERS, masked, never_told

T = TypeVar("T")
_Listed = tuple[str, int, datetime, int]
"""The address of a file, its size, when it was changed last, and a number that changes with its content."""
AT_ONCE = 8
"""How many files of a shard are fetched at once, because each takes its time to begin."""
READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
LOG_IN = {
    "s3": "see to the network, the name and the credentials: aws sso login, AWS_PROFILE or AWS_ACCESS_KEY_ID",
    "gs": "see to the network, the name and the credentials: gcloud auth application-default login",
}
OWN_FAULTS = {
    **dict.fromkeys(("NoSuchKey", "404"), "it is no longer there"),
    **dict.fromkeys(("AccessDenied", "403"), "permission denied"),
    "InvalidObjectState": "it is archived; restore it first",
}
"""The reasons that are one file's own, by Amazon's code (S3 API Reference, "Error responses") or the status of HTTP."""


def stored_files(include: Sequence[Glob], exclude: Sequence[Glob]) -> Iterator[FoundFile]:
    """List the files that `include` names and `exclude` does not, each once, with one page in memory, and no numbers.

    Raises EnvironmentProblem for a bucket that cannot be listed.
    """
    for start in _starts(include):
        bucket, prefix = _opened(start)
        folder, wanted, unwanted = "", Trail(()), Trail(())
        for address, size, at, version in bucket.list(prefix):
            here, _, name = address.rpartition("/")
            if here != folder:
                folder, wanted, unwanted = here, Trail.to(f"/{here}", include), Trail.to(f"/{here}", exclude)
            stands_for_folder = not name
            if not stands_for_folder and wanted.into(name).arrived and not unwanted.into(name).arrived:
                problem = file_too_large(size) if size > MAX_FILE_BYTES else None
                mtime_ns = int(at.timestamp() * 1_000_000) * 1_000
                yield FoundFile(0, shown(address), size, mtime_ns, 0, version, problem)


def fetched(addresses: Sequence[str], guard: Guard) -> Iterator[bytes | Unfit]:
    """Read files in order, some ahead. Raises EnvironmentProblem for a fault that is not one file's own.

    A process without credentials has a guard with a `fetched` of its own, which asks the process that has them.
    """
    elsewhere: Callable[[Sequence[str]], Iterator[bytes | Unfit]] | None = getattr(guard, "fetched", None)
    if elsewhere:
        yield from elsewhere(addresses)
        return
    yield from map(_read, addresses[:1])  # alone: if a child has to read the shard, the others are not read here
    if addresses[1:]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(_read, addresses[1:])


def _read(address: str) -> bytes | Unfit:
    try:
        bucket, key = _opened(address)
        return bucket.read(key)
    except Unfit as unfit:
        return unfit


def _starts(globs: Sequence[Glob]) -> list[str]:
    """Return the beginnings of addresses, none inside another."""
    starts: list[str] = []
    for start in sorted({glob.folder for glob in globs}):
        if not starts or not start.startswith(starts[-1]):
            starts.append(start)
    return starts


def _opened(address: str) -> "tuple[AmazonBucket | GoogleBucket, str]":
    scheme, _, rest = address.partition("://")
    name, _, key = rest.partition("/")
    return AmazonBucket(name, _amazon()) if scheme == "s3" else GoogleBucket(name, _google()), key


@dataclass(frozen=True, slots=True)
class AmazonBucket:
    """A bucket of Amazon S3, or of another server at AWS_ENDPOINT_URL."""

    name: str
    client: Any

    def list(self, prefix: str) -> Iterator[_Listed]:
        """List the files whose keys begin so, in the order of their keys."""
        from botocore.exceptions import BotoCoreError, ClientError

        with _in_words("s3", self.name, BotoCoreError, ClientError):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for one in page.get("Contents", ()):
                    etag = hashlib.sha256(one.get("ETag", "").encode()).digest()
                    address, version = f"s3://{self.name}/{one['Key']}", int.from_bytes(etag[:8]) >> 1
                    yield address, one["Size"], one["LastModified"], version

    def read(self, key: str) -> bytes:
        """Read a file. Raises Unfit for a fault of the file."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

        with _in_words("s3", self.name, BotoCoreError, ClientError):
            try:
                return _again(lambda: self._content(key), HTTPClientError, IncompleteReadError)
            except ClientError as error:
                if reason := OWN_FAULTS.get(error.response.get("Error", {}).get("Code", "")):
                    raise Unfit(reason) from error
                raise

    def _content(self, key: str) -> bytes:
        answer = self.client.get_object(Bucket=self.name, Key=key)
        with contextlib.closing(answer["Body"]) as body:
            require_size(answer["ContentLength"])
            return bytes(body.read())


@dataclass(frozen=True, slots=True)
class GoogleBucket:
    """A bucket of Google Cloud Storage, or of an emulator at STORAGE_EMULATOR_HOST."""

    name: str
    session: Any

    def list(self, prefix: str) -> Iterator[_Listed]:
        """List the files whose keys begin so, in the order of their keys."""
        asked = {"prefix": prefix, "fields": "nextPageToken,items(name,size,updated,generation)", "pageToken": ""}
        with self._in_words():
            while asked["pageToken"] is not None:
                page = self._asked("", asked, lambda answer: answer.json())
                for one in page.get("items", ()):
                    at, version = datetime.fromisoformat(one["updated"]), int(one["generation"])
                    yield f"gs://{self.name}/{one['name']}", int(one["size"]), at, version
                asked["pageToken"] = page.get("nextPageToken")

    def read(self, key: str) -> bytes:
        """Read a file. Raises Unfit for a fault of the file."""
        with self._in_words():
            return self._asked(f"/{quote(key, safe='')}", {"alt": "media"}, _bounded)

    def _asked(self, path: str, asked: dict[str, Any], read: Callable[[Any], T]) -> T:
        from requests import RequestException

        server = environ.get("STORAGE_EMULATOR_HOST", "https://storage.googleapis.com")
        url = f"{server}/storage/v1/b/{self.name}/o{path}"

        def ask() -> T:
            with self.session.get(url, params=asked, stream=True, timeout=60) as answer:
                if answer.status_code == 429 or answer.status_code >= 500:
                    answer.raise_for_status()
                if path and (reason := OWN_FAULTS.get(str(answer.status_code))):
                    raise Unfit(reason)
                if answer.status_code != 200:
                    raise ValueError(f"HTTP {answer.status_code} {answer.reason}")
                return read(answer)

        return _again(ask, RequestException)

    def _in_words(self) -> contextlib.AbstractContextManager[None]:
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        return _in_words("gs", self.name, GoogleAuthError, RequestException, KeyError, TypeError, ValueError)


@cache
def _amazon() -> Any:
    """Make the client of botocore, which threads share."""
    try:
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise _problem("s3://", "files there need boto3", 'pip install "batchrun-documents[aws]"') from error
    never_told(*AMAZON_LOGGERS)
    with _in_words("s3", "", BotoCoreError, ValueError):
        config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=2 * AT_ONCE)
        session = botocore.session.get_session()
        factory = session.get_component("response_parser_factory")
        factory.set_parser_defaults(timestamp_parser=_time)  # botocore's own takes two thirds of the time of a listing
        return session.create_client("s3", config=config)


def _time(text: Any) -> datetime:
    from botocore.utils import parse_timestamp

    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return parse_timestamp(text)  # type: ignore[no-any-return]


@cache
def _google() -> Any:
    """Make the session of google-auth, which threads share."""
    try:
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import AuthorizedSession
    except ImportError as error:
        raise _problem("gs://", "files there need google-auth", 'pip install "batchrun-documents[google]"') from error
    with _in_words("gs", "", GoogleAuthError):
        emulated = "STORAGE_EMULATOR_HOST" in environ
        credentials: Any = AnonymousCredentials() if emulated else google.auth.default(scopes=[READ_ONLY])[0]  # type: ignore[no-untyped-call]
        return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _bounded(answer: Any) -> bytes:
    content = bytearray()
    for part in answer.iter_content(1_000_000):
        content += part
        require_size(len(content))
    return bytes(content)


def _again(call: Callable[[], T], *faults: type[Exception]) -> T:
    """Call, and call again after faults of the connection. Raises the last of them."""
    for pause_s in PAUSES_S:
        try:
            return call()
        except faults:
            time.sleep(pause_s)
    return call()


@contextlib.contextmanager
def _in_words(scheme: str, name: str, *faults: type[Exception]) -> Iterator[None]:
    try:
        yield
    except faults as error:
        raise _problem(f"{scheme}://{name}", masked(str(error)), LOG_IN[scheme]) from error


def _problem(address: str, why: str, hint: str) -> EnvironmentProblem:
    return EnvironmentProblem(f"{address}: {escape_control(why[:500])}", hint=hint)
