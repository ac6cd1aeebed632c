"""Whole commands on three nodes of Ray: kills and signals end them as they do on one machine, and they go on inline."""

import json
import math
import os
import shutil
import signal
from typing import Any

import hostile_files
import pytest
from command_line import REPOSITORY, process, serving, talking_to
from conftest import cluster
from on_nodes import descendants, is_there, until
from trial_project import TrialProject

from batchrun.simulator.replies.latency import Latency

pytestmark = [pytest.mark.slow, cluster("ray", "ray").marks[0]]
DOCUMENTS = 40
ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}


@pytest.fixture
def folder(project: TrialProject, ray_nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    monkeypatch.setenv("RAY_ADDRESS", ray_nodes["address"])
    project.job(
        source='type = "files"\ninclude = ["docs/**"]\ntext_cache = "off"', run='max_concurrency = 4\nworkers = "ray"'
    )
    for number in range(DOCUMENTS - 1):
        folder = project.root / "docs" / str(number % 6)
        folder.mkdir(exist_ok=True)
        (folder / f"{number:02}.pdf").write_bytes(hostile_files.pdf(1 + number, 20_000))
    shutil.copy(REPOSITORY / "sample_data" / "office" / "services-agreement.docx", project.root / "docs" / "a.docx")
    return project


def inline(project: TrialProject) -> None:
    path = project.root / "jobs" / "trial.toml"
    path.write_text(path.read_text().replace('workers = "ray"', 'workers = "inline"'))


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_a_submit_that_ends_early_goes_on_inline(folder: TrialProject, number: signal.Signals) -> None:
    with serving(latency=Latency(first_token_s=0.05, tokens_per_s=math.inf)) as api:
        environment = talking_to(api) | {"RAY_ADDRESS": os.environ["RAY_ADDRESS"]}
        with process("submit jobs/trial.toml", cwd=folder.root, environment=environment) as running:
            until(lambda: len(api.books.entries) >= 10)
            processes = descendants(running.pid)
            running.send_signal(number)
            _, err = running.communicate(timeout=120)
            assert running.returncode == ENDINGS[number], err
        until(lambda: not any(map(is_there, processes)))
        inline(folder)
        with process("submit jobs/trial.toml", cwd=folder.root, environment=environment) as running:
            out, err = running.communicate(timeout=120)
            assert running.returncode == 0, err
        assert f"succeeded        {DOCUMENTS}  100.0%" in out
        ((lost,),) = folder.ask("select count(*) from attempts where state = 'unknown'")
        assert lost <= 4 * (number is signal.SIGKILL)
        assert api.books.summary()["billed_twice"] <= lost
        assert len(folder.rows()) == DOCUMENTS


def test_a_plan_is_the_same_and_json_although_a_worker_and_a_node_are_killed(
    folder: TrialProject, ray_nodes: dict[str, Any]
) -> None:
    def receiving() -> list[int]:
        processes = [one for node in ray_nodes["nodes"] for one in descendants(node).items()]
        return [pid for pid, command in processes if "ray::receive" in command]

    environment = {"RAY_ADDRESS": ray_nodes["address"]}
    with process("plan jobs/trial.toml --json", cwd=folder.root, environment=environment) as running:
        os.kill(until(receiving)[0], signal.SIGKILL)
        os.kill(ray_nodes["nodes"].pop(), signal.SIGKILL)
        out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, "")
    with process("plan jobs/trial.toml --json --workers inline", cwd=folder.root) as running:
        expected, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, "")
    assert json.loads(out) == json.loads(expected)
