"""A ledger's way to the lease service. Nothing is asked inside a transaction of the ledger."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from threading import Timer
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from batchrun.budget.caps import SHARED, Amount, Cap, Caps, CapUsage, Origin
from batchrun.errors import BatchrunError, EnvironmentProblem, ExitCode, UsageProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import address
from batchrun.leases.messages import ANSWER, CAPS, MARGIN_S, MOST_BYTES, STATEMENT, Statement
from batchrun.masking import masked
from batchrun.store.ledger.cap_usage import own_cap_usages, shared_cap_usages
from batchrun.store.ledger.leases import Holder, Lease, forget, lower, take, told
from batchrun.store.ledger.ledger import Ledger

T = TypeVar("T")
Write = Callable[[Callable[[Ledger], Any]], Awaitable[Any]]
"""Applies a change to the ledger in a transaction."""
Question = tuple[Holder, Sequence[Lease]]
TIMEOUT_S = 10.0
DENIED_S = 5.0
"""How long nothing is asked after a question for less was in vain."""
TRIES = 3
LATER = "when it answers again, run the same command: nothing is lost"


class LeasesUnreachable(BatchrunError):
    """The lease service does not answer just now: nothing is sent beyond what was granted."""

    exit_code = ExitCode.BUSY
    word = "busy"


def leases_at(named: str, environment: Mapping[str, str]) -> "Leases":
    """Return the lease service at an address of batchrun.toml or of the environment. Raises UsageProblem."""
    try:
        return Leases(address(named), token_of(environment))
    except PydanticCustomError as error:
        raise UsageProblem(f"BATCHRUN_LEASES is not usable: {error.message()}.", hint="nothing was sent") from error


def token_of(environment: Mapping[str, str]) -> str | None:
    """Read the secret that hosts and service share. Returns None if there is none. Raises UsageProblem."""
    token = environment.get("BATCHRUN_LEASES_TOKEN")
    if token is not None and not (token.strip() and token.isascii() and token.isprintable()):
        raise UsageProblem("BATCHRUN_LEASES_TOKEN should be one line of printable ASCII characters.")
    return token


class Leases:
    """Asks for grants on the caps that several hosts share, and gives back what is not used."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token = url, token
        self._asking = asyncio.Lock()
        self._denied: dict[str, tuple[float, Amount]] = {}

    def caps(self) -> tuple[Cap, ...]:
        """Read the caps, with what is left of them. Raises LeasesUnreachable and EnvironmentProblem."""
        caps = self._read("GET", "/caps", None, CAPS) or ()
        if any((cap.per, cap.of) not in SHARED or (cap.model and cap.tag) for cap in caps):
            raise EnvironmentProblem(f"{self._name} has caps that no host can share.", hint="check the address")
        return tuple(replace(cap, origin=Origin.LEASES, left=cap.left or 0) for cap in caps)

    async def refreshed(self, caps: Caps) -> Caps:
        """Return the caps with what is left of them now."""
        left = {cap.kind: cap.left for cap in await asyncio.to_thread(self.caps)}
        ours = (cap if cap.left is None else replace(cap, left=left.get(cap.kind, 0)) for cap in caps.shared)
        return replace(caps, shared=tuple(ours))

    async def more(self, write: Write, caps: Caps, model: str, amount: Amount) -> bool:
        """Ask for room for requests of this amount. Returns whether all shared caps have room for them now.

        Raises LeasesUnreachable and EnvironmentProblem.
        """

        def question(ledger: Ledger) -> Question | None:
            connection, now = ledger.connection, time.time()
            if all(one.fits(amount) for one in shared_cap_usages(connection, caps.shared, model=model, now=now)):
                return None
            return told(connection, _usages(ledger, caps, now), amount, model=model, now=now)

        async with self._asking:  # one question at a time: its answer may do for all who wait
            for _ in range(TRIES):
                if (asked := await write(question)) is None:
                    return True
                until, denied = self._denied.get(model, (0.0, amount))
                if time.time() < until and amount.nusd >= denied.nusd and amount.tokens >= denied.tokens:
                    return False
                if await self._ask(write, *asked):
                    break
            has_room = await write(question) is None
            self._denied[model] = (0.0 if has_room else time.time() + DENIED_S, amount)
            return has_room

    async def settle(self, write: Write, caps: Caps) -> None:
        """Give back what is not used. A service that does not answer hears of that with the next question."""

        def given_back(ledger: Ledger) -> Question:
            now = time.time()
            usages = _usages(ledger, caps, now)
            lower(ledger.connection, usages, now=now)
            return told(ledger.connection, usages, now=now)

        asked = await write(given_back)
        with contextlib.suppress(LeasesUnreachable, EnvironmentProblem):  # what is needed is asked for all the same
            await self._ask(write, *asked)

    async def _ask(self, write: Write, holder: Holder, leases: Sequence[Lease]) -> bool:
        """Ask the service once. Returns False if the question was of a past epoch, and has to be made anew."""
        asked_at, body = time.time(), STATEMENT.dump_json(Statement(holder, socket.gethostname()[:300], tuple(leases)))
        answer = await asyncio.to_thread(self._read, "POST", "/lease", body, ANSWER)
        if answer is None:
            await write(lambda ledger: forget(ledger.connection, holder))
            return False
        expires_at = asked_at + answer.lease_s - MARGIN_S
        await write(lambda ledger: take(ledger.connection, holder, answer.leases, expires_at=expires_at))
        return True

    @property
    def _name(self) -> str:
        return f"the lease service at {escape_control(masked(self._url))}"

    def _read(self, method: str, path: str, body: bytes | None, form: TypeAdapter[T]) -> T | None:
        """Ask, and read the answer. Returns None if the service says that the question was of a past epoch."""
        try:
            status, text = self._sent(method, path, body)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
            raise LeasesUnreachable(f"{self._name} does not answer: {_words(error)}.", hint=LATER) from error
        if status == 409:
            return None
        if status != 200:
            said = f"{self._name} answers with status {status}: {_words(text.decode(errors='replace'))}"
            if status >= 500:
                raise LeasesUnreachable(said, hint=LATER)
            hints = {400: None, 401: "check BATCHRUN_LEASES_TOKEN here and at the service"}  # 400 says what is wrong
            raise EnvironmentProblem(said, hint=hints.get(status, "check the address"))
        try:
            return form.validate_json(text)
        except ValidationError as error:
            hint = "check the address; is batchrun of the same version there?"
            raise EnvironmentProblem(f"{self._name} answers with something else.", hint=hint) from error

    def _sent(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Return status and body of the answer to a request. Follows no redirect, uses no proxy. Raises OSError."""
        from http.client import HTTPConnection, HTTPException, HTTPSConnection  # which few jobs need

        parts = urlsplit(self._url)
        made = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        headers = {"content-type": "application/json", "user-agent": "batchrun"}
        headers |= {"authorization": f"Bearer {self._token}"} if self._token else {}
        with contextlib.closing(made(parts.hostname or "", parts.port, timeout=TIMEOUT_S)) as connection:
            connection.connect()
            # The timeout is for each step: a service that answers byte by byte would take forever.
            ending = Timer(TIMEOUT_S, _shut, [connection.sock])
            ending.daemon = True
            ending.start()
            try:
                connection.request(method, parts.path.rstrip("/") + path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read(MOST_BYTES)
            except HTTPException as error:
                raise OSError(f"{type(error).__name__} {error}") from error
            finally:
                ending.cancel()


def _shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        connected.shutdown(socket.SHUT_RDWR)


def _usages(ledger: Ledger, caps: Caps, now: float) -> list[CapUsage]:
    """Read how much the ledger has used of each cap that several hosts share."""
    leased = [cap for cap in caps.shared if cap.left is not None]
    return [one for cap in leased for one in own_cap_usages(ledger.connection, [cap], model=cap.model or "", now=now)]


def _words(what: object) -> str:
    return escape_control(masked(str(what)))[:300]
