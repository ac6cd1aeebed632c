"""Settlements per second of one writer of the ledger, by how many documents share a commit, and the ledger's size.

    python tests/benchmarks/settlements.py [documents]

Each document is reserved and settled as a run does, in two commits: a run cannot send more documents a second than its
ledger can settle, however many machines read and however high the limits are. Nothing else is done here, so that the
writer has a core for itself; the reply is one of about a kilobyte, and every commit waits for the disk.
"""

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

from _instant_server import ANSWER, BODY

from batchrun.answers.progress import BEGINNING
from batchrun.budget.caps import Amount, Cap, Caps, Origin, Per
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.message_parsing import reply_from
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import KnownPrompt, RunPlan, Settlement
from batchrun.store.ledger.runs import Runs

GROUPS = (1, 8, 64, 512)
REPLY = reply_from(BODY, {})
CAPS = Caps(run=Cap(Per.RUN, 10**18, "budget.max_cost_usd", Origin.JOB))


def fill(path, documents):
    """A ledger with one run whose documents are all pending."""
    with contextlib.closing(Ledger.open(path)) as ledger, ledger.transaction():
        run = ledger.connection.execute
        plan = RunPlan(
            job="bench", job_path="bench.toml", fingerprint="f", model="m", simulated=False, documents=documents
        )
        Runs(ledger).begin_run(plan, run_id="bench-1")
        seq = ledger.next_seq(documents)
        for number in range(1, documents + 1):
            run(
                "insert into requests (request_no, request_id, model, counted_tokens, text_class)"
                " values (?, ?, 'm', 300, 'prose')",
                (number, f"{number:032x}"),
            )
            run(
                "insert into documents (job, doc_id, source, content_sha, bytes_sha, request_no, run_no, seq)"
                " values ('bench', ?, 's', ?, ?, ?, 1, ?)",
                (f"docs/{number:07}.txt", f"{number:064x}", f"{number:064x}", number, seq + number),
            )


def settled(path, group):
    """The seconds by the clock and of the processor that reserving and settling every document takes."""
    with contextlib.closing(Ledger.open(path)) as ledger:
        began, cpu, after = time.perf_counter(), time.process_time(), 0
        while page := ledger.pending(1, since=0, after=after, limit=group):
            after = page[-1].document_no
            with ledger.transaction():
                attempt_nos = [reserved(ledger, pending) for pending in page]
            with ledger.transaction():
                for attempt_no in attempt_nos:
                    ledger.settle(settlement(attempt_no))
        return time.perf_counter() - began, time.process_time() - cpu


def reserved(ledger, pending):
    amount = Amount(2_000_000, 900, None)
    return ledger.reserve(ledger.as_it_stands(pending), amount, run_no=1, job="bench", model="m", caps=CAPS)


def settlement(attempt_no):
    return Settlement(
        attempt_no=attempt_no,
        state="answered",
        cost_nusd=1_800_000,
        outcome=Outcome.SUCCEEDED,
        output=json.dumps(ANSWER),
        reply=REPLY,
        prompt=KnownPrompt(400, 512, 3_000),
        latency_s=1.0,
        progress=BEGINNING,
    )


def main(documents=20_000):
    with tempfile.TemporaryDirectory() as temporary:
        for group in GROUPS:
            path = Path(temporary) / str(group) / "ledger.sqlite3"
            number = min(documents, 500 * group)  # a commit for each document is slow
            fill(path, number)
            planned = path.stat().st_size
            wall, cpu = settled(path, group)
            size = path.stat().st_size
            print(
                f"{group:4} a commit: {number / wall:6.0f} settlements/s   {1e6 * cpu / number:4.0f} us CPU each"
                f"   {size / number:5.0f} bytes a document, {planned / number:4.0f} of them planned",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
