"""Makes `old_project/` and `old_project.json`. It was run once, with batchrun 0.1.0; no test runs it.

    python tests/golden/make_old_project.py

A ledger that a later version makes would prove nothing about the ledgers that are in use.
"""

import json
import os
import shutil
import socket
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from old_project import (
    DUMPS,
    FILES,
    FINISHED,
    PINNED,
    WAITING,
    knows_its_batches,
    lay_out,
    published,
    remembered,
)
from recording_api import Answer, RecordingApi, batchrun, standing_in, text_of

DOCUMENTS = {
    "first.txt": 'A lease between Ann and Bob, from 1 May 2026. "Rent is due monthly."\n',
    "second.txt": "賃貸借契約書 甲と乙は次のとおり契約する。\n",
    "copy.txt": 'A lease between Ann and Bob, from 1 May 2026. "Rent is due monthly."\n',
    "refused.txt": "This one is REFUSED by whoever may refuse.\n",
    "invalid.txt": "To this one the answer is INVALID.\n",
    "cut.txt": "To this one the answer is CUT short.\n",
    "rejected.txt": "This one is REJECTED as a request.\n",
    "lost.txt": "The first answer to this one is LOST.\n",
    "empty.txt": "",
}
JOB = """version = 1
[job]
name = "{name}"
[source]
type = "files"
include = {include}
on_empty = "skip"
[model]
{model}
[prompt]
system = "You read contracts for the job {name}."
user = '''
{opening}
<document>
{{{{ doc.text }}}}
</document>
'''
cache = "{cache}"
{cascade}
[output.fields]
title = "string"
day = "date?"
parties = {{ type = "array", items = "string" }}
quote = "string?"
[run]
route = "{route}"
[retry]
initial_delay = "0.01s"
max_delay = "0.02s"
[batch]
poll_interval = "0.02s"
max_poll_interval = "0.02s"
[budget]
max_cost_usd = 2.0
[store]
database = "results/old.duckdb"
"""
ONE_MODEL = 'name = "claude-sonnet-5-5"\nmax_tokens = 1000\neffort = "low"'
PLAIN = {"model": ONE_MODEL, "opening": "Read this.", "cache": "off", "cascade": "", "route": "stream"}
EASY = '["docs/first.txt", "docs/second.txt", "docs/empty.txt"]'
CASCADE = '[cascade]\nmodels = ["claude-haiku-5-5", "claude-sonnet-5-5"]\nevidence = ["quote"]'
JOBS: dict[str, dict[str, str]] = {
    "stream": {"include": '["docs/*.txt"]'},
    "batch": {"include": '["docs/*.txt"]', "route": "batch"},
    "cascade": {"include": EASY, "model": 'max_tokens = 1000\neffort = "low"', "cascade": CASCADE},
    "ladder": {
        "include": '["docs/first.txt", "docs/refused.txt"]',
        "model": ONE_MODEL + '\nfallbacks = ["claude-haiku-4-5"]',
    },
    "cached": {"include": EASY, "cache": "1h", "opening": "\n".join(["Read this with care, word for word."] * 80)},
    "waiting": {"include": EASY, "route": "batch", "cache": "5m"},
}


class Story:
    """What the API says to each document; the story remembers which answers have been lost, job by job."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, str]] = Counter()

    def __call__(self, params: Mapping[str, Any]) -> Answer:
        text = text_of(params)
        word = next((word for word in ("REFUSED", "INVALID", "CUT", "REJECTED", "LOST") if word in text), "")
        asked = (word, json.dumps(params["system"]))
        self._asked[asked] += 1
        match word:
            case "REFUSED" if params["model"] != "claude-haiku-4-5":
                return Answer("", "refusal")
            case "INVALID":
                return Answer('{"title": 3}')
            case "CUT" if params["max_tokens"] <= 1000:
                return Answer('{"title": "th', "max_tokens")
            case "REJECTED":
                return Answer(status=400)
            case "LOST" if self._asked[asked] == 1:
                return Answer(breaks=True)
            case _:
                return Answer()


def main() -> None:
    """Make the project, and pin what is seen of it at another path."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        _write(root)
        with RecordingApi(Story()).serving() as api, standing_in(root, api):
            _run(api)
        _keep(root)
    with tempfile.TemporaryDirectory() as folder:
        _pin(Path(folder) / "elsewhere")


def _write(root: Path) -> None:
    for name in ("docs", "jobs", ".git"):
        (root / name).mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (root / "docs" / name).write_text(text, "utf-8")
    for name, sections in JOBS.items():
        (root / "jobs" / f"{name}.toml").write_text(JOB.format(name=name, **PLAIN | sections), "utf-8")


def _run(api: RecordingApi) -> None:
    commands = [
        "submit jobs/stream.toml --limit 2",
        "submit jobs/stream.toml",
        "retry jobs/stream.toml --status truncated",
        *(f"submit jobs/{job}.toml" for job in FINISHED[1:]),
        "submit jobs/stream.toml --simulate --speed 1000",
    ]
    for command in commands:
        ran = batchrun(command)
        assert ran.code in {0, 1}, ran.err
    api.ends = False
    assert batchrun(f"submit jobs/{WAITING}.toml --no-wait").code == 10


def _keep(root: Path) -> None:
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir()
    for name in ("docs", "jobs"):
        shutil.copytree(root / name, FILES / name)
    for dump, ledger in DUMPS.items():
        with closing(sqlite3.connect(root / ledger)) as connection:
            version = connection.execute("pragma user_version").fetchone()[0]
            text = "\n".join([*connection.iterdump(), f"PRAGMA user_version = {version};", ""])
        assert str(root) not in text
        text = text.replace(f"'{socket.gethostname()}'", "'host'").replace(f",{os.getpid()},'host'", ",4711,'host'")
        (FILES / dump).write_text(text, "utf-8")


def _pin(root: Path) -> None:
    """Pin what is shown at another path, before and after a submit."""
    lay_out(root)
    pinned: dict[str, Any] = {}
    with RecordingApi().serving() as api, standing_in(root, api):
        for job in (*FINISHED, WAITING):
            pinned[job] = remembered(job)
        pinned["simulated"] = remembered("stream", simulated=True)
        knows_its_batches(api, root)
        for job in (*FINISHED, WAITING):
            pinned[job]["exit code"] = batchrun(f"submit jobs/{job}.toml").code
            pinned[job] |= published(job)
        pinned["simulated"]["exit code"] = batchrun("submit jobs/stream.toml --simulate").code
        pinned["simulated"] |= published("stream", simulated=True)
        assert api.paid == 0
    PINNED.write_text(json.dumps(pinned, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
