"""A ladder over two providers, the first of which dies in mid-run.

    python tests/benchmarks/judge_ladder.py [documents]

The first provider is our simulator behind the Messages API, in a process that is killed after some seconds. The second
is llama.cpp's own server. Every document has to be answered, each by one of the two, and each model has to be asked for
the price of its own provider: the second is free.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from _judge_servers import CONTEXT, HERE, free_port, llama_server, running
from judge_jobs import Case, batchrun, project

DIES_AFTER_S = 6.0
MORE = 'fallbacks = ["home/tiny"]\nfallback_on = ["outage"]\n'
HOME = '[providers.home]\ntype = "openai"\nbase_url = "{address}/v1"\nfree = true\ncontext_window = {context}\n'


def kill_soon(ledger: Path, process: subprocess.Popen[bytes]) -> None:
    """Kill the simulator once the run has begun for some seconds."""
    until = time.monotonic() + 60
    while not ledger.exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(DIES_AFTER_S)
    process.kill()


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    port = free_port()
    command = [sys.executable, "-m", "batchrun", "simulate", "serve", "--port", str(port), "--speed", "1"]
    address = f"http://127.0.0.1:{port}"
    root = str(HERE.parent.parent)
    with (
        llama_server() as llama,
        running(command, address + "/v1/models", PYTHONPATH=root) as process,
        tempfile.TemporaryDirectory() as temporary,
    ):
        folder = Path(temporary)
        case = Case(server="", type="anthropic", path="", model="claude-haiku-5-5", provider="", model_more=MORE)
        job = project(folder, case, address, documents)
        text = job.read_text().replace("[source]", HOME.format(address=llama, context=CONTEXT // 2) + "[source]")
        job.write_text(text)
        killer = threading.Thread(target=kill_soon, args=(folder / ".batchrun" / "ledger.sqlite3", process))
        killer.start()
        arguments = ("submit", str(job), "--progress", "lines", "--partial-answers")
        code, said = batchrun(folder, *arguments, ANTHROPIC_API_KEY="any-key-at-all", OPENAI_API_KEY="any-key-at-all")
        killer.join()
        _, listed = batchrun(folder, "results", "--format", "jsonl", "--all-columns")
        rows = [json.loads(line) for line in listed.splitlines() if line.startswith("{")]
        models = Counter(row.get("_model") for row in rows)
        print(f"exit {code}, {len(rows)} rows of {documents}, by model {dict(models)}")
        print("".join(f"     | {line}\n" for line in said.splitlines()[-20:]))
        sys.exit(code != 0)


if __name__ == "__main__":
    main()
