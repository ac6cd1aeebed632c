"""The API key is in no output and in no file, whatever the API answers."""

import pytest
from command_line import KEY, CommandLine
from trial_project import TrialProject

from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

ANSWERS = ["ok", "authentication", "permission", "invalid_request", "reset_before", "bad_gateway"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_key_is_nowhere(project: TrialProject, batchrun: CommandLine, api: SimulatorServer, answer: str) -> None:
    project.documents(3)
    api.simulator.extend_script([answer])
    commands = [
        "submit jobs/trial.toml -vv", "status --json", "results trial --status all --format jsonl",
        "results trial --doc docs/0000.txt --json", "submit jobs/trial.toml --json",
    ]  # fmt: skip
    said = "".join(batchrun(command).words for command in commands)
    assert api.books.entries, "the key was used"
    assert KEY not in said
    assert KEY[-12:] not in said
    files = [path for path in project.root.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_bug_does_not_tell_it_either(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("this cannot happen")

    monkeypatch.setattr("batchrun.providers.anthropic.messages.reply_from", broken)
    project.documents(1)
    ran = batchrun("submit jobs/trial.toml")
    assert "this cannot happen" in ran.err
    assert KEY not in ran.words
