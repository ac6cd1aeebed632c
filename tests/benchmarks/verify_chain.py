"""Walking the chain over settled attempts, and what a link costs when an attempt is settled.

    python tests/benchmarks/verify_chain.py [attempts] [bytes of a reply]

The ledger is filled directly, and linked in transactions of 500 attempts as a run links them. The walk is timed in this
process, after the file was closed and opened again.
"""

import contextlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from batchrun.store.ledger.ledger import Ledger

GROUP = 500
RUN = (
    "insert into runs (run_no, run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
    " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
    " values (1, 'r1', 'bench', 'j', 'f', 'm', 0, 'finished', 1, 1, 1, 1, 1, 1, 1, 'h', 0)"
)
REQUEST = (
    "insert into requests (request_no, request_id, model, counted_tokens, text_class, outcome, output, attempt_no)"
    " values (?, ?, 'm', 1, 'prose', 'succeeded', ?, null)"
)
ATTEMPT = (
    "insert into attempts (attempt_no, request_no, run_no, job, doc_id, state, reserved_nusd, reserved_tokens,"
    " cost_nusd, started_at, ended_at, outcome, model, status, stop_reason, api_request_id, input_tokens,"
    " cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens, latency_s, first_byte_s)"
    " values (?, ?, 1, 'bench', ?, 'answered', 9000000, 9000, 1234567, ?, ?, 'succeeded', 'claude-sonnet-5-5', 200,"
    " 'end_turn', ?, 4321, 0, 0, 0, 210, 2.345, 0.789)"
)


def fill(ledger, attempts, size):
    """Settle and link so many attempts. Returns the seconds that the links took."""
    run = ledger.connection.execute
    run("pragma synchronous = off")
    run(RUN)
    linking = 0.0
    for begin in range(1, attempts + 1, GROUP):
        numbers = range(begin, min(begin + GROUP, attempts + 1))
        with ledger.transaction():
            for number in numbers:
                answer = json.dumps({"governing_law": f"State of {number:07}", "term_months": number % 60})
                reply = json.dumps({"id": f"msg_{number:024}", "content": answer, "rest": "x" * size})[:size]
                run(REQUEST, (number, f"{number:032x}", answer))
                run(
                    ATTEMPT,
                    (number, number, f"docs/{number:07}.txt", number / 7, number / 7 + 2.3, f"req_{number:024}"),
                )
                run("insert into replies values (?, ?)", (number, reply))
                run("update requests set attempt_no = ? where request_no = ?", (number, number))
            began = time.perf_counter()
            for number in numbers:
                ledger.chain.append([number])
            linking += time.perf_counter() - began
    return linking


def main(attempts, size):
    """Fill a ledger, and walk its chain."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        with contextlib.closing(Ledger.open(path)) as ledger:
            linking = fill(ledger, attempts, size)
        print(f"a link takes {1e6 * linking / attempts:.0f} µs")
        with contextlib.closing(Ledger.read(path)) as ledger:
            began, began_cpu = time.perf_counter(), time.process_time()
            walked = ledger.chain.walk()
            took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
        assert (walked.broken, walked.head.link_no) == (None, attempts)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(f"{attempts:,} attempts with replies of {size:,} bytes: {took:.1f} s")
        print(f"{took_cpu:.1f} s of the processor, which counts on a busy machine; peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(1_000_000, 1_000)[len(given) :])
