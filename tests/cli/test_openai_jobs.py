"""Whole commands whose documents a server like OpenAI's answers."""

import pytest
from command_line import KEY, CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

MODEL = 'name = "home/llama3"\nmax_tokens = 300'
SERVER = 'type = "openai"\nbase_url = "{}/v1"\nfree = true\napi_key_env = "HOME_KEY"\n{}'


@pytest.mark.parametrize("more", ["", "structured_output = false"])
def test_a_server_of_ones_own_answers_for_nothing(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    project.job(model=MODEL, output="max_repairs = 1", **{"providers.home": SERVER.format(api.base_url, more)})
    project.documents(3)
    monkeypatch.setenv("HOME_KEY", KEY)
    api.simulator.extend_script(["server_error"])

    ran = batchrun("submit -q jobs/trial.toml")
    status = batchrun("status jobs/trial.toml --json").json

    assert ran.code == ExitCode.OK, ran.words
    assert KEY not in ran.words
    assert (status["cost_usd"], status["counts"]) == (0.0, {"succeeded": 3})
    assert status["input_tokens"] > 0
    assert [entry.model for entry in api.books.entries] == ["llama3"] * 4


def test_a_rehearsal_needs_neither_key_nor_server(project: TrialProject, batchrun: CommandLine) -> None:
    provider = 'type = "openai"\napi = "responses"\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "NOBODY"'
    project.job(model='name = "gpt-6-luna"\nmax_tokens = 300', provider=provider)
    project.documents(2)

    ran = batchrun("submit -q --simulate jobs/trial.toml")

    assert ran.code == ExitCode.OK, ran.words
    assert batchrun("status --simulate jobs/trial.toml --json").json["models"] == {"openai/gpt-6-luna": 2}
