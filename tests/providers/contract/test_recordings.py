"""What servers of other people answered, played back to our clients; `../recordings/README.md` says who said it."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from contract_run import Outcomes, environment_of, factory_at, send_all
from contract_server import Answer, ContractServer, saying
from contract_wires import WIRES, Wire

from batchrun.execution.retry_policy import FailureKind, kind_of

FOLDER = Path(__file__).parent.parent / "recordings"
BUILT = {"messages": "anthropic", "chat": "openai", "responses": "openai-responses"}
"""The type of provider that asks for an answer, by the first word of the name of a recording."""
END, CUT, TOOL = "end_turn", "max_tokens", "tool_use"
KINDS = FailureKind
PLAYED: dict[str, dict[str, str | FailureKind]] = {
    "llama_server": {
        "messages": END,
        "messages, cut": CUT,
        "messages, too long": KINDS.TOO_LARGE,
        "chat": END,
        "chat, cut": CUT,
        "chat, schema": END,
        "chat, tool": END,  # a named tool is not called there
        "chat, too long": KINDS.TOO_LARGE,
        "responses": END,
        "responses, cut": END,  # an answer that was cut is "completed" there
    },
    "llama_cpp_python": {
        "messages": KINDS.NOT_FOUND,
        "responses": KINDS.NOT_FOUND,
        "chat": END,
        "chat, cut": CUT,
        "chat, schema": KINDS.SILENT,  # a form that it does not know is its own fault there, with status 500
        "chat, tool": TOOL,
        "chat, too long": KINDS.TOO_LARGE,
    },
    "litellm": {
        "messages, mock": END,
        "messages, mock-429": KINDS.LATER,
        "messages, mock-context": KINDS.TOO_LARGE,
        "messages, mock-500": KINDS.SILENT,
        "messages, dead": KINDS.SILENT,
        "messages, nobody": KINDS.REJECTED,
        "messages, no key": KINDS.REJECTED,
        "messages, spent": KINDS.MONEY,
        "messages, claude-haiku-5-5": END,
        "messages, claude, tool": TOOL,
        "chat, mock": END,
        "chat, mock-429": KINDS.LATER,
        "chat, mock-context": KINDS.TOO_LARGE,
        "chat, mock-500": KINDS.SILENT,
        "chat, dead": KINDS.SILENT,
        "chat, nobody": KINDS.REJECTED,
        "chat, no key": KINDS.REJECTED,
        "chat, spent": KINDS.MONEY,
        "chat, llama": END,
        "chat, llama, schema": END,
        "chat, llama, too long": KINDS.TOO_LARGE,
        "chat, claude-haiku-5-5": END,
        "chat, claude, tool": TOOL,
        "responses, mock": END,
    },
}
CASES = [
    (server, case, expected)
    for server, cases in PLAYED.items()
    for case, expected in cases.items()
    if case.split(",")[0] in BUILT
]


def recordings(server: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((FOLDER / f"{server}.json").read_text("utf-8"))
    return found


def playing(recorded: Mapping[str, Any]) -> Answer:
    headers = dict(recorded["headers"])
    kind = headers.pop("content-type").split(";")[0]
    return saying(recorded["body"], status=recorded["status"], content_type=kind, **headers)


async def play(wire: Wire, answers: Mapping[str, Answer], outcomes: Outcomes) -> None:
    server = ContractServer(wire, answers)
    async with server.listening() as address:
        provider = factory_at(wire, address).make(concurrency=40, timeout_s=30.0)
        await send_all(provider, wire, answers, outcomes)
        await provider.close()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcomes]:
    """What the clients make of all recordings, by the server."""
    found = {server: Outcomes() for server in PLAYED}
    for server, cases in PLAYED.items():
        recorded = recordings(server)
        for first, name in BUILT.items():
            answers = {case: playing(recorded[case]["response"]) for case in cases if case.split(",")[0] == first}
            with environment_of(WIRES[name]):
                asyncio.run(play(WIRES[name], answers, found[server]))
    return found


@pytest.mark.parametrize(("server", "case", "expected"), CASES, ids=[f"{server}-{case}" for server, case, _ in CASES])
def test_what_a_real_server_said_is_understood(
    outcomes: dict[str, Outcomes], server: str, case: str, expected: str | FailureKind
) -> None:
    if isinstance(expected, FailureKind):
        assert kind_of(outcomes[server].failure(case)) is expected, outcomes[server].failure(case)
        return
    reply, told = outcomes[server].replies[case], json.loads(recordings(server)[case]["response"]["body"])["usage"]
    read = sum(told.get(name) or 0 for name in ("prompt_tokens", "input_tokens"))
    cached = told.get("cache_read_input_tokens") or 0

    assert reply.stop_reason == expected
    assert reply.usage
    assert reply.usage.prompt_tokens == read + ("prompt_tokens" not in told and cached)
    assert reply.usage.output_tokens == sum(told.get(name) or 0 for name in ("completion_tokens", "output_tokens"))
