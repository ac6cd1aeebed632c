"""How long commands take that have nothing to do: CPU and wall seconds, the best of several turns.

    python tests/benchmarks/startup.py [turns]

The sample job is copied to a project of its own and answered once by a simulator. From then on every command finds all
documents answered. `python -c pass` and the import of the API's client stand beside the commands: a machine that others
use is slower for all of them, and the ratios stay. The compiled modules are there from the first turn on.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import _paths  # noqa: F401
from command_line import clean_environment, serving, talking_to

REPOSITORY = Path(__file__).parent.parent.parent
JOB = "jobs/contracts.toml"
BATCHRUN = ["-m", "batchrun"]
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import anthropic'": ["-c", "import anthropic"],
    "batchrun --help": [*BATCHRUN, "--help"],
    "batchrun plan": [*BATCHRUN, "plan", JOB],
    "batchrun submit --simulate": [*BATCHRUN, "submit", JOB, "--simulate"],
    "batchrun submit": [*BATCHRUN, "submit", JOB],
}
"""The last two find everything answered."""


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run Python; return CPU and wall seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(turns: int = 7) -> None:
    best = dict.fromkeys(COMMANDS, (9e9, 9e9))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("jobs", "sample_data"):
            shutil.copytree(REPOSITORY / name, folder / name)
        (folder / "batchrun.toml").touch()  # the root of the project
        environment = clean_environment(folder)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with serving() as api:
            measured(COMMANDS["batchrun submit"], folder, environment | talking_to(api))
            environment |= talking_to(api)  # nobody is there from now on
        for _ in range(turns + 1):
            for name, command in COMMANDS.items():
                best[name] = tuple(map(min, best[name], measured(command, folder, environment)))
    print(f"{'':32}{'CPU':>8}{'wall':>8}")
    for name, (cpu, wall) in best.items():
        print(f"{name:32}{cpu:7.2f}s{wall:7.2f}s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
