"""Sends the request of every case to a provider at once, and keeps what became of each."""

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from anthropic.lib.aws import _auth as aws_chain
from contract_server import ANSWERS, ContractServer, Seen
from contract_wires import GOOGLE_TOKEN, Wire

from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError, NeverSent, Provider
from batchrun.providers.factories import Factory, factory_of
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request

LONG = 40_000
"""The `max_tokens` of a request whose answer may be streamed."""
TOO_LONG_S = 0.2
"""The first timeout of the provider whose server hangs."""
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}
TOOL = {"name": "answer", "description": "Takes the answer.", "input_schema": SCHEMA, "strict": True}
SHUT = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_GCE_CHECK": "true",
    "CLOUDSDK_CONFIG": os.devnull,
}
"""Where the chains of the clouds would look further, at files and at the address of instances."""
OTHERS = ("ANTHROPIC_", "OPENAI_", "AWS_", "AZURE_", "GOOGLE_", "CLOUD_ML_")
HEADERS = {"x-team": "contracts"}
"""What [provider] sends with every request."""
CHOICE = {"type": "tool", "name": "answer", "disable_parallel_tool_use": True}


@dataclass
class Outcomes:
    """What became of the cases of one wire."""

    replies: dict[str, Reply] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    """How the factory and the provider show themselves."""

    def failure(self, case: str) -> Failure:
        error = self.errors[case]
        assert isinstance(error, AttemptError), f"{case}: {error!r}"
        return error.failure


class Lines(logging.Handler):
    """Keeps every line of every logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))


def request_of(wire: Wire, case: str) -> Request:
    """The request of a case: structured, or with a tool where a tool is to be called."""
    asks = {"tools": [TOOL], "tool_choice": CHOICE}
    if case != "tool":
        asks = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    max_tokens = LONG if case.startswith("long") else 300
    params = {"model": wire.model, "max_tokens": max_tokens, "system": "Read.", **asks}
    return Request.of({**params, "messages": [{"role": "user", "content": f"case={case}; a letter"}]})


@contextmanager
def environment_of(wire: Wire) -> Iterator[pytest.MonkeyPatch]:
    """The environment has the wire's credentials, and no others. The SDK forgets what it has read of AWS's chain."""
    aws_chain._get_session.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith(OTHERS) or "PROXY" in name.upper():
                patch.delenv(name)
        for name, value in (SHUT | dict(wire.environment)).items():
            patch.setenv(name, value)
        yield patch
    aws_chain._get_session.cache_clear()


@contextmanager
def google_account(wire: Wire, address: str) -> Iterator[None]:
    """Credentials of Google are a file, which names the address that gives out tokens."""
    if GOOGLE_TOKEN not in wire.secrets:
        yield
        return
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "contract-project",
        "client_email": "contract@contract-project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": key.decode(),
        "token_uri": f"{address}/token",
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, pytest.MonkeyPatch.context() as patch:
        json.dump(account, file)
        file.flush()
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", file.name)
        yield


def outcomes_of(wire: Wire) -> Outcomes:
    """Run every case of a wire."""
    outcomes, lines, root = Outcomes(), Lines(), logging.getLogger()
    level = root.level
    with environment_of(wire):
        root.addHandler(lines)
        root.setLevel(logging.DEBUG)
        try:
            asyncio.run(_run(wire, outcomes))
        finally:
            root.removeHandler(lines)
            root.setLevel(level)
    outcomes.logged = lines.kept
    return outcomes


def factory_at(wire: Wire, address: str, **more: object) -> Factory:
    """What makes the clients of a wire's provider at an address."""
    section = {**wire.section, "base_url": address + wire.suffix, "headers": HEADERS, **more}
    return factory_of(ProviderSection.model_validate(section))


async def _run(wire: Wire, outcomes: Outcomes) -> None:
    server = ContractServer(wire)
    async with server.listening() as address, AsyncExitStack() as stack:
        stack.enter_context(google_account(wire, address))
        factory = factory_at(wire, address)
        factory.check()
        patient = factory.make(concurrency=40, timeout_s=30.0)
        nowhere = factory_at(wire, "http://127.0.0.1:1").make(concurrency=1, timeout_s=30.0)
        outcomes.shown = [repr(one) for one in (factory, factory.endpoint(), patient)]
        try:
            await asyncio.gather(
                send_all(patient, wire, {*wire.refusals, *ANSWERS} - {"hang", "canceled in flight"}, outcomes),
                _send_hastily(factory, server, outcomes),
                _send(nowhere, wire, "nobody there", outcomes),
                _cancel_at_once(patient, wire, outcomes),
                _cancel_in_flight(patient, server, outcomes),
            )
        finally:
            await patient.close()
            await nowhere.close()
    outcomes.seen = dict(server.seen)


async def send_all(provider: Provider, wire: Wire, cases: Iterable[str], outcomes: Outcomes) -> None:
    """Send the requests of these cases at once."""
    await asyncio.gather(*(_send(provider, wire, case, outcomes) for case in cases))


async def _send(provider: Provider, wire: Wire, case: str, outcomes: Outcomes) -> None:
    try:
        outcomes.replies[case] = await provider.send(request_of(wire, case))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the tests look at what it was
        outcomes.errors[case] = error


async def _send_hastily(factory: Factory, server: ContractServer, outcomes: Outcomes) -> None:
    """Send what is not answered in time. A busy machine may not even connect in time: then there is more time."""
    for doubled in range(6):
        provider = factory.make(concurrency=1, timeout_s=TOO_LONG_S * 2**doubled)
        await _send(provider, server.wire, "hang", outcomes)
        await provider.close()
        if outcomes.failure("hang").cause is not Cause.UNREACHABLE:
            return


async def _cancel_at_once(provider: Provider, wire: Wire, outcomes: Outcomes) -> None:
    sending = asyncio.create_task(_send(provider, wire, "canceled at once", outcomes))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])


async def _cancel_in_flight(provider: Provider, server: ContractServer, outcomes: Outcomes) -> None:
    case = "canceled in flight"
    sending = asyncio.create_task(_send(provider, server.wire, case, outcomes))
    async with asyncio.timeout(20):
        await server.arrived[case].wait()
    sending.cancel()
    await asyncio.wait([sending])


def is_never_sent(error: BaseException) -> bool:
    return isinstance(error, NeverSent)
