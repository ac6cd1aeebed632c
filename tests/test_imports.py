"""What a person types all day is instant: help, version and completion load nothing heavy, nor does a submit that has
nothing to send load any client of an API."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from command_line import KEY, submitted
from trial_project import TrialProject

from batchrun.cli import run

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


def test_a_submit_with_nothing_to_send_loads_no_client(project: TrialProject) -> None:
    project.document("a.txt", "A")
    job = str(project.root / "jobs" / "trial.toml")
    assert submitted(project.root) == run(["submit", "-q", job, "--simulate"]) == 0

    for option in ([], ["--simulate"]):
        result = told("submit", job, *option, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL="http://127.0.0.1:1")

        assert "nothing to send" in result["out"]
        assert "duckdb" in result["loaded"]
        assert not {"anthropic", "openai", "aiohttp", "httpx2", "jsonschema", "tenacity"} & set(result["loaded"])
