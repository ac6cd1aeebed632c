"""The examples of docs/unattended.md: each is used as far as this machine allows, and says what the page says."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import REPOSITORY
from heard_run import Heard

from batchrun.job.project import ProjectSpec

PAGE = (REPOSITORY / "batchrun" / "docs" / "unattended.md").read_text("utf-8")
EXAMPLES = {path.name: path.read_text("utf-8") for path in (REPOSITORY / "batchrun" / "docs" / "examples").iterdir()}


def test_the_page_names_every_example() -> None:
    python = (REPOSITORY / "batchrun" / "docs" / "python.md").read_text("utf-8")
    assert {name for name in EXAMPLES if f"examples/{name}" not in PAGE + python} == set()


def test_the_lines_for_cron_are_those_of_the_page() -> None:
    lines = [line for line in EXAMPLES["crontab"].splitlines() if not line.startswith("#")]
    assert len(lines) == 2
    assert "\n".join(lines) in PAGE, "these lines are run as cron runs them by test_own_folder"


def test_the_sections_on_the_page_are_read() -> None:
    sections = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
    assert [list(section) for section in sections] == [["metrics"], ["notify"]]
    for section in sections:
        ProjectSpec.model_validate(section)


def test_the_metrics_on_the_page_are_those_of_the_file(heard: Heard) -> None:
    listed = set(re.findall(r"^\| `(batchrun_\w+)` \|", PAGE, re.MULTILINE))
    written = set(re.findall(r"^# TYPE (\w+) gauge$", heard.metrics, re.MULTILINE))
    assert listed == written | {"batchrun_last_success_timestamp_seconds"}
    assert set(re.findall(r"\bbatchrun_\w+", EXAMPLES["alerts.yml"])) - {"batchrun_job"} <= listed


def test_files_in_yaml_have_their_form() -> None:
    """No reader of YAML is among what the project needs: tabs, odd indents and lost colons are looked for."""
    for name in ("github-actions.yml", "alerts.yml"):
        for line in EXAMPLES[name].splitlines():
            indent = len(line) - len(line.lstrip())
            assert "\t" not in line
            assert indent % 2 == 0, line
    workflow = EXAMPLES["github-actions.yml"]
    assert re.findall(r"^  (\w+):$", workflow.partition("\njobs:\n")[2], re.MULTILINE) == ["plan", "run"]
    assert re.findall(r"ANTHROPIC_API_KEY: (.*)", workflow) == ["${{ secrets.ANTHROPIC_API_KEY }}"]
    scripts = re.findall(r"run: \|\n((?: {10}.*\n)+)", workflow) + re.findall(r"run: (\w.*)", workflow)
    assert len(scripts) == 5
    assert "${{" not in "".join(scripts), "a title of a pull request would be run as a command"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in ("batchrun.service", "batchrun.timer"):
        text = EXAMPLES[name].replace("/usr/local/bin/batchrun", sys.executable)  # which has to be there
        (tmp_path / name).write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "batchrun.service", tmp_path / "batchrun.timer"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_the_image_runs_what_it_installs() -> None:
    steps = [line.split(" ", 1) for line in EXAMPLES["Dockerfile"].splitlines() if line and line[0] not in "# "]
    said = dict(steps)
    assert json.loads(said["ENTRYPOINT"]) == ["batchrun"]
    assert (said["USER"], said["WORKDIR"], said["STOPSIGNAL"]) == ("batchrun", "/work", "SIGTERM")
