"""What a person types all day is instant: help, version and completion load nothing heavy."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HEAVY = {"anthropic", "duckdb", "tiktoken", "pydantic", "aiohttp", "jsonschema", "tenacity", "aiolimiter", "tqdm"}
MOST_CPU_S = 0.5

RUN = """
import contextlib, json, sys, time
with contextlib.suppress(SystemExit):
    from batchrun.cli import main
    main()
print(json.dumps({"loaded": sorted(sys.modules), "cpu_s": time.process_time()}), file=sys.stderr)
"""


def told(*args: str, **environment: str) -> dict[str, Any]:
    """Run the command in a fresh process: what it said, what it loaded, what it cost."""
    command = [sys.executable, "-c", RUN, *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    *said, measured = done.stderr.splitlines()
    return {"out": "\n".join([done.stdout, *said]), **json.loads(measured)}


COMMANDS = {
    "no arguments": ([], {}, "Run a prompt over thousands of documents"),
    "--help": (["--help"], {}, "Run a prompt over thousands of documents"),
    "-h": (["-h"], {}, "submit"),
    "--version": (["--version"], {}, "batchrun"),
    "submit --help": (["submit", "--help"], {}, "--limit"),
    "completion bash": (["completion", "bash"], {}, "complete"),
    "a completion of a command": (
        [],
        {"_BATCHRUN_COMPLETE": "bash_complete", "COMP_WORDS": "batchrun sub", "COMP_CWORD": "1"},
        "submit",
    ),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_light_commands_are_instant(case: str) -> None:
    args, environment, expected = COMMANDS[case]

    result = told(*args, **environment)

    assert expected in result["out"]
    assert not HEAVY & set(result["loaded"])
    assert result["cpu_s"] < MOST_CPU_S
