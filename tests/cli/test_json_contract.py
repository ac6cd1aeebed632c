"""docs/json.md is the promise: every event that commands tell has the fields that stand there, and no others."""

import re
from typing import Any

import pytest
from command_line import REPOSITORY, CommandLine
from json_page import EVENTS, Documented, breaches
from trial_project import SECTIONS, TrialProject

from batchrun.simulator.http.server import SimulatorServer

CODE = "\n".join(path.read_text("utf-8") for path in sorted((REPOSITORY / "batchrun").rglob("*.py")))


def test_every_event_of_the_code_is_on_the_page() -> None:
    told = set(re.findall(r'(?:terminal\.event|self\._event|self\.event|event_fields)\(\s*"(\w+)"', CODE))
    told |= set(re.findall(r'return "(batch\w+)", \{', CODE))
    assert told | {"deadline"} == {name for title in EVENTS for name in title.split(", ")}


@pytest.mark.slow
def test_every_event_keeps_the_promise(project: TrialProject, api: SimulatorServer, batchrun: CommandLine) -> None:
    project.documents(8)
    project.document("empty.txt", "")
    project.job(run=SECTIONS["run"] + '\ndeadline = "2h"', batch='poll_interval = "0.01s"')
    api.simulator.extend_script(["overloaded", "invalid_request", "schema_violation"])
    told: list[dict[str, Any]] = []
    for command in (
        "submit jobs/trial.toml -vv --next 5",
        "submit jobs/trial.toml --route batch --pilot 1 --go-on",
        "submit jobs/trial.toml --route batch --no-wait",
        "batches",
        "submit jobs/trial.toml --route batch",
        "retry jobs/trial.toml -v",
        "submit jobs/trial.toml --max-cost 0.0000001",
        "status",
        "sync jobs/trial.toml",
        "cancel jobs/trial.toml",
        "cache",
        "submit jobs/none.toml",
    ):
        told += batchrun(f"{command} --json").events
    (detail,) = batchrun("status last --json").events
    of_the_end = {name: Documented(one.types, always=False) for name, one in EVENTS["run_end"].items()}
    assert list(breaches(detail, more=of_the_end)) == []
    assert [breach for event in told for breach in breaches(event)] == []
    assert {event["event"] for event in told} >= {
        "run_start", "attempt", "document", "progress", "run_end", "pilot", "batch_submitted", "batch_ended",
        "batch_collected", "run", "batch", "synced", "canceled", "cache", "error",
    }  # fmt: skip
    assert all(event["run"] for event in told if event["event"] in {"run_start", "document", "attempt"})
