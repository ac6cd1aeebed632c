"""Whole commands whose documents a server like OpenAI's answers."""

import json

import pytest
from command_line import KEY, CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

MODEL = 'name = "home/llama3"\nmax_tokens = 300'
SERVER = 'type = "openai"\nbase_url = "{}/v1"\nfree = true\napi_key_env = "HOME_KEY"\n{}'


@pytest.mark.parametrize("more", ["", 'api = "responses"', "structured_output = false"])
def test_a_server_of_ones_own_answers_for_nothing(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    project.job(model=MODEL, output="max_repairs = 1", **{"providers.home": SERVER.format(api.base_url, more)})
    project.documents(3)
    monkeypatch.setenv("HOME_KEY", KEY)
    api.simulator.extend_script(["server_error", "rate_limited"])

    ran = batchrun("submit -q jobs/trial.toml")
    status = batchrun("status jobs/trial.toml --json").json

    assert ran.code == ExitCode.OK, ran.words
    assert KEY not in ran.words
    assert status["cost"]["run_nusd"] == 0 if "cost" in status else json.dumps(status)
    assert api.books.summary()["requests"] == 5
