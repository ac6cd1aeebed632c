"""Peak memory of `batchrun submit` for many documents beside that for few.

    python tests/benchmarks/memory.py [many] [few]

One-kilobyte documents, a simulator that answers at once. What is worth quoting is the ratio: a job a hundred times as
large should need about the same, since references travel through the run and texts are read when they are sent.
"""

import os
import sys
import tempfile
from pathlib import Path
from subprocess import Popen

from throughput import served, write_project

CONCURRENCY = 32


def peak_mb(documents, url, folder):
    """The most memory that one submit, in a process of its own, ever held."""
    write_project(folder, documents, CONCURRENCY)
    environment = {**os.environ, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "benchmark"}
    process = Popen([sys.executable, "-m", "batchrun", "-q", "submit", str(folder / "bench.toml")], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss / 1024


def main(many=100_000, few=1_000):
    with served() as url, tempfile.TemporaryDirectory() as temporary:
        peaks = {documents: peak_mb(documents, url, Path(temporary) / str(documents)) for documents in (few, many)}
    for documents, peak in peaks.items():
        print(f"{documents:9,} documents: {peak:.0f} MB at most")
    print(f"{peaks[many] / peaks[few]:.2f} x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
