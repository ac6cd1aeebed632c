"""Creating one large batch: batchrun's spooled body beside the SDK's own `batches.create`.

    python tests/benchmarks/batch.py [megabytes]

Both send the same requests of 20 KB to a server on this machine that only counts bytes, each in a process of its own.
What is worth quoting: the memory above what the process had before, and how long the event loop stood still.
"""

import asyncio
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from subprocess import check_output

from aiohttp import web

TEXT = "The supplier delivers, and the customer pays within thirty days. " * 300
TICK_S = 0.005


def params(number):
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": f"{number} {TEXT}"}],
    }


async def sink(request):
    size, digest = 0, hashlib.sha256()
    async for part in request.content.iter_any():
        size += len(part)
        digest.update(part)
    request.app["received"].append(size)
    counts = {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    now = "2026-11-21T00:00:00+00:00"
    return web.json_response(
        {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "request_counts": counts,
         "created_at": now, "expires_at": now, "ended_at": None, "results_url": None}
    )  # fmt: skip


async def by_sdk(url, count):
    import anthropic

    client = anthropic.AsyncAnthropic(
        api_key="k", base_url=url, max_retries=0, http_client=anthropic.DefaultAioHttpClient(trust_env=False)
    )
    requests = ({"custom_id": f"c{number}", "params": params(number)} for number in range(count))
    yield  # everything is imported: measure from here
    await client.messages.batches.create(requests=requests)
    await client.close()


async def by_batchrun(url, count):
    from batchrun.budget.caps import Amount
    from batchrun.execution.batch.packing import Spool, SpooledBody
    from batchrun.providers.anthropic.provider import AnthropicFactory
    from batchrun.providers.anthropic.wire import batch_member
    from batchrun.request import Request
    from batchrun.store.ledger.batch_records import Candidate

    client = AnthropicFactory(base_url=url, api_key="k").make_batches(timeout_s=60)
    yield
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        spool = Spool(Path(folder), "0" * 12)
        for number in range(count):
            member = batch_member(Request.of(params(number)), nonce=spool.nonce)
            spool.add(Candidate(number, f"docs/{number}.txt", Amount(1)), member)
            await asyncio.sleep(0)  # in a run a thread reads the documents
        spool.flush()
        await client.create(SpooledBody(spool, range(count), "claude-haiku-4-5"))
        spool.close()
    await client.close()


async def measured(way, url, count):
    stalls = [0.0]

    async def watch():
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            stalls.append(time.perf_counter() - before - TICK_S)

    run = way(url, count)
    await anext(run)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    watching, started = asyncio.create_task(watch()), time.perf_counter()
    await anext(run, None)
    watching.cancel()
    peak_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"peak_mb": peak_mb, "stall_s": max(stalls), "seconds": time.perf_counter() - started}


async def main(megabytes):
    count = int(megabytes * 1e6 / len(json.dumps(params(0))))
    app = web.Application(client_max_size=2**30)
    app["received"] = []
    app.router.add_post("/v1/messages/batches", sink)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    found = {}
    for way in ("by_sdk", "by_batchrun"):
        command = [sys.executable, __file__, way, url, str(count)]
        found[way] = json.loads(await asyncio.to_thread(check_output, command, env={**os.environ}))
        one = found[way]
        print(f"{way:12} {app['received'][-1] / 1e6:6.1f} MB sent: {one['peak_mb']:6.0f} MB more memory at most,"
              f" loop stalled {one['stall_s']:.3f} s at most, {one['seconds']:.1f} s in all")  # fmt: skip
    ours, theirs = found["by_batchrun"], found["by_sdk"]
    print(
        f"memory {ours['peak_mb'] / theirs['peak_mb']:.3f} x, longest stall {ours['stall_s'] / theirs['stall_s']:.3f} x"
    )
    await runner.cleanup()


if __name__ == "__main__":
    if len(sys.argv) == 4:
        ways = {"by_sdk": by_sdk, "by_batchrun": by_batchrun}
        print(json.dumps(asyncio.run(measured(ways[sys.argv[1]], sys.argv[2], int(sys.argv[3])))))
    else:
        asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 250.0))
