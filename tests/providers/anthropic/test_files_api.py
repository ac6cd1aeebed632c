"""The Files API client: against the simulator, and answers that no API should give."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from batchrun.providers import AttemptError, UploadedFile
from batchrun.providers.anthropic.files import KEPT_S, AnthropicFiles, file_from
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator

T = TypeVar("T")
TOLD = {
    "id": "file_011CNha8iCJcU1wXNR6q4V8w", "type": "file", "filename": "a.pdf", "mime_type": "application/pdf",
    "size_bytes": 9, "created_at": "2026-11-20T10:00:00Z", "expires_at": "2026-11-23T10:00:00Z", "downloadable": False,
}  # fmt: skip
EXPIRES = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()


def talk(
    use: Callable[[AnthropicFiles, Simulator], Awaitable[T]], *script: str, key: str = "k", timeout_s: float = 60.0
) -> T:
    async def run() -> T:
        simulator = Simulator(PROFILES["calm"], script=script)
        async with SimulatorServer(simulator) as server:
            files = AnthropicFactory(base_url=server.base_url, api_key=key).make_files(timeout_s=timeout_s)
            try:
                return await use(files, simulator)
            finally:
                await files.close()

    return asyncio.run(run())


def test_a_file_is_uploaded_found_and_deleted() -> None:
    async def use(files: AnthropicFiles, simulator: Simulator) -> None:
        uploaded = await files.upload("a.pdf", "application/pdf", b"%PDF-1.4 x")
        (kept,) = simulator.files.all
        assert (kept.id, kept.name, kept.media_type) == (uploaded.file_id, "a.pdf", "application/pdf")
        assert kept.data == b"%PDF-1.4 x"
        assert kept.expires_at is not None
        assert kept.expires_at == kept.created_at + KEPT_S
        assert uploaded.expires_at == pytest.approx(simulator.epoch_s + kept.expires_at, abs=1e-3)
        assert await files.find("a.pdf") == uploaded
        assert await files.find("b.pdf") is None
        await files.delete(uploaded.file_id)
        assert kept.deleted
        assert await files.find("a.pdf") is None
        with pytest.raises(AttemptError) as caught:
            await files.delete(uploaded.file_id)
        assert caught.value.failure.status == 404

    talk(use)


@pytest.mark.parametrize(
    ("fault", "cause", "status", "code"),
    [
        ("batch_upload_rate_limited", Cause.STATUS, 429, None),
        ("batch_upload_error", Cause.STATUS, 500, None),
        ("batch_upload_denied", Cause.STATUS, 404, None),
        ("batch_upload_full", Cause.STATUS, 400, "storage_quota_exceeded"),
        ("batch_upload_reset", Cause.DROPPED, None, None),
        ("batch_upload_hang", Cause.TIMEOUT, None, None),
    ],
)
def test_a_failure_is_told_and_nothing_is_sent_twice(
    fault: str, cause: Cause, status: int | None, code: str | None
) -> None:
    async def use(files: AnthropicFiles, simulator: Simulator) -> None:
        with pytest.raises(AttemptError) as caught:
            await files.upload("a.pdf", "application/pdf", b"x")
        failure = caught.value.failure
        assert (failure.cause, failure.status, failure.error_code) == (cause, status, code)
        assert len(simulator.files.all) == (status is None)

    talk(use, fault, timeout_s=1.0)


def test_a_key_that_is_refused() -> None:
    async def use(files: AnthropicFiles, _: Simulator) -> None:
        for call in (files.upload("a", "application/pdf", b"x"), files.find("a"), files.delete("file_1")):
            with pytest.raises(AttemptError) as caught:
                await call
            assert caught.value.failure.status == 401

    talk(use, key="invalid")


@pytest.mark.parametrize("file_id", ["", "../messages/batches/b", "file_1?x=1", "file_é", "a" * 201])
def test_an_id_that_could_lead_elsewhere_is_never_sent(file_id: str) -> None:
    async def use(files: AnthropicFiles, _: Simulator) -> None:
        with pytest.raises(AttemptError, match="no file has the id") as caught:
            await files.delete(file_id)
        assert caught.value.failure.status == 404

    talk(use)


def test_what_the_api_says_of_a_file_is_read() -> None:
    assert file_from(TOLD, {}) == UploadedFile("file_011CNha8iCJcU1wXNR6q4V8w", "a.pdf", EXPIRES)


@pytest.mark.parametrize(
    "answer",
    [
        None, [], "file", {}, TOLD | {"id": 1}, TOLD | {"id": "a/b"}, TOLD | {"filename": None},
        TOLD | {"expires_at": None}, TOLD | {"expires_at": "tomorrow"},
    ],
)  # fmt: skip
def test_what_is_no_file_is_malformed(answer: Any) -> None:
    with pytest.raises(AttemptError, match="no file") as caught:
        file_from(answer, {})
    assert caught.value.failure.cause is Cause.MALFORMED
