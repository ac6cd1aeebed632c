"""Failures before the first byte of a request: nothing was sent, nothing is held, and the words name the setting."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from message_server import LONG, request
from unsent_servers import Talk, hang_up, mute, no_tls, saying, self_signed, status_line, talking

from batchrun.providers import AttemptError, NeverSent
from batchrun.providers.anthropic.client import causes, last_words
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure

pytestmark = pytest.mark.slow

TIMEOUT_S = 5.0
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Body:
    """A body of a batch."""

    size = 2

    async def parts(self) -> AsyncIterator[bytes]:
        yield b"{}"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")


async def send(timeout_s: float, *, max_tokens: int = 100) -> None:
    provider = AnthropicFactory().make(timeout_s=timeout_s, concurrency=1)
    try:
        await provider.send(request(max_tokens=max_tokens))
    finally:
        await provider.close()


async def send_streamed(timeout_s: float) -> None:
    await send(timeout_s, max_tokens=LONG)


async def count(timeout_s: float) -> None:
    counter = AnthropicFactory().make_counter(timeout_s=timeout_s)
    try:
        await counter.count(request())
    finally:
        await counter.close()


async def ask_models(timeout_s: float) -> None:
    models = AnthropicFactory().make_models(timeout_s=timeout_s)
    try:
        await models.life("claude-x")
    finally:
        await models.close()


async def create(timeout_s: float) -> None:
    batches = AnthropicFactory().make_batches(timeout_s=timeout_s)
    try:
        await batches.create(Body())
    finally:
        await batches.close()


async def list_batches(timeout_s: float) -> None:
    batches = AnthropicFactory().make_batches(timeout_s=timeout_s)
    try:
        await batches.page()
    finally:
        await batches.close()


Call = Callable[[float], Awaitable[None]]
CALLS: list[Call] = [send, send_streamed, count, ask_models, create, list_batches]


async def failure_of(call: Call = send, timeout_s: float = TIMEOUT_S) -> Failure:
    with pytest.raises(AttemptError) as caught:
        await call(timeout_s)
    return caught.value.failure


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("call", CALLS)
def test_a_refused_port_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", address)

    failure = asyncio.run(failure_of(call))

    assert (failure.cause, failure.maybe_billed) == (Cause.UNREACHABLE, False)
    assert f"no connection to {address} (ANTHROPIC_BASE_URL)" in failure.message


def test_an_unknown_host_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://no-such-host.invalid")

    failure = asyncio.run(failure_of())

    assert failure.cause is Cause.UNREACHABLE
    assert "no-such-host.invalid" in failure.message


SERVERS: dict[str, tuple[Talk, float, Cause, str]] = {
    "the other side never speaks TLS": (mute, 0.5, Cause.UNREACHABLE, "nobody answered in time"),
    "the other side hangs up in the handshake": (hang_up, TIMEOUT_S, Cause.UNREACHABLE, "no connection to"),
    "the other side speaks something else": (no_tls, TIMEOUT_S, Cause.UNREACHABLE, "no connection to"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("case", SERVERS)
def test_a_handshake_that_fails_has_sent_nothing(case: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, timeout_s, cause, words = SERVERS[case]

    async def scenario() -> Failure:
        async with talking(talk) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", f"https://127.0.0.1:{port}")
            return await failure_of(call, timeout_s)

    failure = asyncio.run(scenario())

    assert (failure.cause, failure.maybe_billed) == (cause, False)
    assert words in failure.message


@pytest.mark.parametrize("call", CALLS)
def test_a_certificate_that_is_not_trusted_is_a_wrong_setting(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> Failure:
        async with talking(mute, tls=self_signed()) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", f"https://127.0.0.1:{port}")
            return await failure_of(call)

    failure = asyncio.run(scenario())

    assert (failure.cause, failure.maybe_billed) == (Cause.MISCONFIGURED, False)
    assert "the certificate there is not trusted" in failure.message


REFUSALS = {407: Cause.MISCONFIGURED, 403: Cause.MISCONFIGURED, 400: Cause.MISCONFIGURED, 302: Cause.MISCONFIGURED,
            502: Cause.UNREACHABLE, 503: Cause.UNREACHABLE, 429: Cause.UNREACHABLE}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # of aiohttp, to the SDK: how a password travels
@pytest.mark.parametrize("call", [send, create])
@pytest.mark.parametrize("status", REFUSALS)
def test_a_proxy_that_does_not_connect(status: int, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[Failure, int]:
        async with talking(saying(status_line(status))) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
            return await failure_of(call), port

    failure, port = asyncio.run(scenario())

    assert (failure.cause, failure.maybe_billed) == (REFUSALS[status], False)
    assert f"through the proxy http://127.0.0.1:{port} (HTTPS_PROXY): the proxy refuses: {status}" in failure.message
    assert "secret" not in failure.message


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("talk", [hang_up, saying(b"\0\0 no HTTP \r\n\r\n")], ids=["hangs up", "no HTTP"])
def test_a_proxy_that_breaks_off_is_unreachable(talk: Talk, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> Failure:
        async with talking(talk) as port:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
            return await failure_of()

    failure = asyncio.run(scenario())

    assert failure.cause is Cause.UNREACHABLE
    assert variable in failure.message


def test_a_proxy_that_never_answers_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> Failure:
        async with talking(mute) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            return await failure_of(timeout_s=0.5)

    assert asyncio.run(scenario()).cause is Cause.UNREACHABLE


def test_a_proxy_that_nobody_listens_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{free_port()}")

    failure = asyncio.run(failure_of())

    assert failure.cause is Cause.UNREACHABLE
    assert "HTTPS_PROXY" in failure.message


def test_a_407_to_a_plain_request_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy for plain HTTP there is no CONNECT: the proxy answers the request itself."""

    async def scenario() -> Failure:
        async with talking(saying(status_line(407))) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://api.invalid")
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            return await failure_of()

    failure = asyncio.run(scenario())

    assert (failure.cause, failure.status, failure.maybe_billed) == (Cause.STATUS, 407, False)
    assert "(HTTP_PROXY) asks for a user and a password" in failure.message


def test_what_breaks_after_the_first_byte_may_be_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> Failure:
        async with talking(hang_up) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
            return await failure_of()

    assert asyncio.run(scenario()).maybe_billed


def test_a_send_that_is_canceled_says_whether_anything_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def canceled(scheme: str) -> BaseException | None:
        reached = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            reached.set()
            await mute(reader, writer)

        async with talking(talk) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{scheme}://127.0.0.1:{port}")
            sending = asyncio.create_task(send(60))
            await reached.wait()
            sending.cancel()
            try:
                await sending
            except asyncio.CancelledError as error:
                return error
        return None

    assert isinstance(asyncio.run(canceled("https")), NeverSent)
    assert type(asyncio.run(canceled("http"))) is asyncio.CancelledError


# --- redirects


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(1))

    async def scenario() -> Failure:
        async with talking(stranger) as other:
            location = f"location: http://localhost:{other}/v1/messages?token=secret"
            async with talking(saying(status_line(status, location))) as port:
                monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
                return await failure_of(call)

    failure = asyncio.run(scenario())

    assert reached == []
    assert (failure.status, failure.maybe_billed) == (status, False)
    assert failure.message == "a redirect to localhost, which is not followed"


@pytest.mark.parametrize("location", ["http://[bad", "\\x00", "//a..b", ""])
def test_a_redirect_to_nowhere_is_a_redirect(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> Failure:
        async with talking(saying(status_line(302, f"location: {location}"))) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
            return await failure_of()

    failure = asyncio.run(scenario())

    assert (failure.cause, failure.status) == (Cause.STATUS, 302)


# --- an empty base URL


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_base_url_counts_as_unset(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", empty)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")  # so that nothing is asked outside

    assert "no connection to https://api.anthropic.com through" in asyncio.run(failure_of()).message


def test_the_base_url_may_end_in_a_line_break(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> Failure:
        async with talking(saying(status_line(418))) as port:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", f" http://127.0.0.1:{port}\n")
            return await failure_of()

    assert asyncio.run(scenario()).status == 418


def test_errors_that_led_to_each_other_end() -> None:
    first, second = OSError("first"), OSError("second")
    first.__context__, second.__context__ = second, first

    assert list(causes(first)) == [first, second]
    assert last_words(first) == "second"
