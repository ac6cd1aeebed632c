"""A process that was stopped (SIGSTOP, a laptop's lid) reads what has arrived before a request counts as lost."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unsent_servers import talking

TIMEOUT_S = 2.0
HERE = Path(__file__).parent
CHILD = f"""
import asyncio, sys
sys.path[:0] = [{str(HERE)!r}]
from message_server import LONG, request
from batchrun.batch import RemoteBatch
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.provider import AnthropicFactory

async def main(call, url):
    factory = AnthropicFactory(base_url=url, api_key="test")
    try:
        if call in ("plain", "streamed"):
            client = factory.make(concurrency=1, timeout_s={TIMEOUT_S})
            reply = await client.send(request(max_tokens=LONG if call == "streamed" else 100))
            print("answered", reply.text)
        elif call == "list":
            client = factory.make_batches(timeout_s={TIMEOUT_S})
            print("answered", len((await client.page()).batches))
        else:
            client = factory.make_batches(timeout_s={TIMEOUT_S})
            ended = RemoteBatch(batch_id="msgbatch_1", status="ended", counts={{}}, created_at=0.0)
            print("answered", len([one async for one in client.results(ended)]))
    except AttemptError as error:
        print(error.failure.cause, error.failure.message)
    await client.close()

asyncio.run(main(*sys.argv[1:]))
"""
MESSAGE = (
    '{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",'
    ' "stop_sequence": null, "content": [{"type": "text", "text": "4"}],'
    ' "usage": {"input_tokens": 1, "output_tokens": 1}}'
)
EVENTS = [
    {"type": "message_start", "message": {**json.loads(MESSAGE), "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "4"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
STREAM = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS)
LINE = '{"custom_id": "n-1", "result": {"type": "expired"}}\n'
ANSWERS = {
    "plain": ("application/json", MESSAGE),
    "streamed": ("text/event-stream", STREAM),
    "list": ("application/json", '{"data": [], "has_more": false, "first_id": null, "last_id": null}'),
    "results": ("application/x-jsonl", LINE * 2),
}
EXPECTED = {"plain": "answered 4", "streamed": "answered 4", "list": "answered 0", "results": "answered 2"}


async def said_by_a_stopped_process(call: str, answer: bytes, *, asleep_s: float, stop: Callable[[Any], None]) -> str:
    """What a process says that sleeps from its request until long after its time is over."""
    child: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
        await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
        process = await child
        stop(process)
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(asleep_s)
        os.kill(process.pid, signal.SIGCONT)
        await process.wait()

    async with talking(talk) as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, call, f"http://127.0.0.1:{port}", stdout=asyncio.subprocess.PIPE
        )
        child.set_result(process)
        out, _ = await process.communicate()
    return out.decode().strip()


@pytest.mark.slow
@pytest.mark.parametrize("call", ANSWERS)
def test_what_arrived_while_the_process_was_stopped_is_read(call: str) -> None:
    kind, body = ANSWERS[call]
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nrequest-id: r\r\n\r\n"

    said = asyncio.run(
        said_by_a_stopped_process(
            call, (head + body).encode(), asleep_s=TIMEOUT_S + 2, stop=lambda one: os.kill(one.pid, signal.SIGSTOP)
        )
    )

    assert said == EXPECTED[call]


@pytest.mark.slow
def test_a_process_that_was_awake_has_no_more_time() -> None:
    said = asyncio.run(said_by_a_stopped_process("plain", b"", asleep_s=TIMEOUT_S + 2, stop=lambda _: None))

    assert said == f"timeout no answer within {TIMEOUT_S:g} s"
