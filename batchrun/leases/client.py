"""A ledger's way to the lease service. Nothing is asked inside a transaction of the ledger."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from threading import Timer
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from batchrun.budget.caps import Amount, Cap, Caps
from batchrun.errors import BatchrunError, EnvironmentProblem, ExitCode, UsageProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import address
from batchrun.leases.messages import ANSWER, CAPS, MARGIN_S, MOST_BYTES, STATEMENT, Statement
from batchrun.masking import masked
from batchrun.store.ledger.cap_usage import own_cap_usages, shared_cap_usages
from batchrun.store.ledger.leases import Holder, Lease, forget, lower, take, told
from batchrun.store.ledger.ledger import Ledger

T = TypeVar("T")
TOKEN = "BATCHRUN_LEASES_TOKEN"
TIMEOUT_S = 10.0
DENIED_S = 5.0
"""How long a model whose request found no room is not asked for again."""
TRIES = 3
LONGEST_WORDS = 300


class LeasesUnreachable(BatchrunError):
    """The lease service does not answer just now: nothing is sent beyond what was granted."""

    exit_code = ExitCode.BUSY
    word = "busy"


class Write(Protocol):
    """Writes to the ledger, as `LedgerWriter.write` does."""

    def __call__(self, change: Callable[[Ledger], T], /) -> Awaitable[T]:
        """Apply a change in a transaction."""


def leases_at(named: str, environment: Mapping[str, str]) -> "Leases":
    """Return the lease service at an address of batchrun.toml or of the environment. Raises UsageProblem."""
    try:
        return Leases(address(named), token_of(environment))
    except PydanticCustomError as error:
        raise UsageProblem(
            f"the environment variable BATCHRUN_LEASES is wrong: {error.message()}.",
            hint="nothing was sent; such as BATCHRUN_LEASES=http://10.0.0.5:8330",
        ) from error


def token_of(environment: Mapping[str, str]) -> str | None:
    """Read the secret that hosts and service share. Returns None if there is none. Raises UsageProblem."""
    token = environment.get(TOKEN)
    if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
        raise UsageProblem(f"the environment variable {TOKEN} should be a line of printable ASCII characters.")
    return token


class Leases:
    """Asks for grants on the caps that several hosts share, and gives back what is not used."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token = url, token
        self._asking = asyncio.Lock()
        self._denied: dict[str, tuple[float, Amount]] = {}

    def caps(self) -> tuple[Cap, ...]:
        """Read the caps, with what is left of them. Raises LeasesUnreachable and EnvironmentProblem."""
        return tuple(one.cap for one in self._read("GET", "/caps", None, CAPS) or ())

    async def refreshed(self, caps: Caps) -> Caps:
        """Return the caps with what is left of them now."""
        if not _leased(caps):
            return caps
        fresh = {cap.kind: cap for cap in await asyncio.to_thread(self.caps)}
        shared = (cap if cap.left is None else fresh.get(cap.kind, cap) for cap in caps.shared)
        return replace(caps, shared=tuple(shared))

    async def more(self, write: Write, caps: Caps, model: str, amount: Amount) -> bool:
        """Ask for room for requests of this amount. Returns whether all shared caps have room for them now.

        Raises LeasesUnreachable and EnvironmentProblem.
        """
        leased = [cap for cap in _leased(caps) if cap.concerns(model)]

        def question(ledger: Ledger) -> tuple[Holder, Sequence[Lease]] | None:
            connection, now = ledger.connection, time.time()
            if all(one.fits(amount) for one in shared_cap_usages(connection, leased, model=model, now=now)):
                return None
            return told(connection, own_cap_usages(connection, leased, model=model, now=now), amount, now=now)

        async with self._asking:  # one question at a time: its answer may do for all who wait
            for _ in range(TRIES):
                asked_at, asked = time.time(), await write(question)
                if asked is None or not leased:
                    return bool(leased)
                until, denied = self._denied.get(model, (0.0, amount))
                if asked_at < until and amount.nusd >= denied.nusd and amount.tokens >= denied.tokens:
                    return False
                if await self._exchange(write, *asked, asked_at=asked_at):
                    break
            if await write(question) is None:
                return True
            self._denied[model] = (time.time() + DENIED_S, amount)
            return False

    async def settle(self, write: Write, caps: Caps) -> None:
        """Give back what is not used. A service that does not answer hears of it with the next question."""

        def given_back(ledger: Ledger) -> tuple[Holder, Sequence[Lease]]:
            connection, now = ledger.connection, time.time()
            usages = [
                usage
                for cap in _leased(caps)
                for usage in own_cap_usages(connection, [cap], model=cap.model or "", now=now)
            ]
            lower(connection, usages, now=now)
            return told(connection, usages, None, now=now)

        if _leased(caps):
            asked_at, asked = time.time(), await write(given_back)
            with contextlib.suppress(LeasesUnreachable, EnvironmentProblem):  # the run has ended well all the same
                await self._exchange(write, *asked, asked_at=asked_at)

    async def _exchange(self, write: Write, holder: Holder, leases: Sequence[Lease], *, asked_at: float) -> bool:
        """Ask the service once. Returns whether it has answered; otherwise the question is to be made anew."""
        statement = Statement(holder, socket.gethostname(), tuple(leases))
        body = STATEMENT.dump_json(statement)
        answer = await asyncio.to_thread(self._read, "POST", "/lease", body, ANSWER)
        if answer is None:
            await write(lambda ledger: forget(ledger.connection, holder))
            return False
        expires_at = asked_at + answer.lease_s - MARGIN_S
        await write(lambda ledger: take(ledger.connection, holder, answer.leases, expires_at=expires_at))
        return True

    def _read(self, method: str, path: str, body: bytes | None, form: TypeAdapter[T]) -> T | None:
        """Ask, and read the answer. Returns None if the service says that the question is of a past epoch."""
        named = f"the lease service at {escape_control(masked(self._url))}"
        try:
            status, text = self._sent(method, path, body)
        except OSError as error:
            raise LeasesUnreachable(f"{named} does not answer: {_words(error)}.", hint=_LATER) from error
        if status == 409:
            return None
        if status != 200:
            problem = LeasesUnreachable if status >= 500 else EnvironmentProblem
            hint = f"check {TOKEN} here and at the service" if status == 401 else _LATER
            raise problem(f"{named} answers with status {status}: {_words(text.decode('utf-8', 'replace'))}", hint=hint)
        try:
            return form.validate_json(text)
        except ValidationError as error:
            raise EnvironmentProblem(
                f"{named} gives an answer that is none.", hint="check the address; is batchrun of one version there?"
            ) from error

    def _sent(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Return status and body of the answer to a request. Follows no redirect, uses no proxy. Raises OSError."""
        from http.client import HTTPConnection, HTTPException, HTTPSConnection  # which no other command needs

        parts = urlsplit(self._url)
        made = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = made(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.connect()
            # The timeout above is for each step; a service that answers byte by byte would take forever.
            ending = Timer(TIMEOUT_S, _shut, [connection.sock])
            ending.daemon = True
            ending.start()
            try:
                headers = {"content-type": "application/json", "user-agent": "batchrun"}
                headers |= {"authorization": f"Bearer {self._token}"} if self._token else {}
                connection.request(method, parts.path.rstrip("/") + path, body, headers)
                answer = connection.getresponse()
                text = answer.read(MOST_BYTES + 1)
                return answer.status, text if len(text) <= MOST_BYTES else b""
            except HTTPException as error:
                raise OSError(f"{type(error).__name__} {error}") from error
            finally:
                ending.cancel()


def _shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        connected.shutdown(socket.SHUT_RDWR)


_LATER = "when it answers again, run the same command: nothing is lost"


def _leased(caps: Caps) -> list[Cap]:
    return [cap for cap in caps.shared if cap.left is not None]


def _words(what: object) -> str:
    return escape_control(masked(str(what)))[:LONGEST_WORDS]
