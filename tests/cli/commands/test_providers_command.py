"""`batchrun providers` and `batchrun doctor --provider`: whose API answers, and whether each does."""

import re

import pytest
from command_line import KEY, CommandLine, on_a_terminal, serving
from trial_project import SECTIONS, TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

GATE_KEY = "sk-ant-api03-another-secret-2718281828"
GATE = """
[providers.gate]
type = "anthropic"
base_url = "{}"
api_key_env = "GATE_KEY"
"""


def project_says(project: TrialProject, text: str) -> None:
    (project.root / "batchrun.toml").write_text(text)


def with_gate(project: TrialProject, server: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    project_says(project, GATE.format(server.base_url))
    monkeypatch.setenv("GATE_KEY", GATE_KEY)


def test_without_a_job_the_default_and_those_of_the_project(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    project_says(project, GATE.format("http://127.0.0.1:1"))
    ran = batchrun("providers --json")
    first, gate = ran.json["providers"]
    assert (first["name"], first["default"], first["models"]) == ("anthropic", True, [])
    assert first["address"] == "https://api.anthropic.com"
    assert first["credential"] == [f"API key …{KEY[-4:]}, from ANTHROPIC_API_KEY"]
    assert (first["last_at"], first["today_usd"], first["can"]["batches"]) == (None, 0.0, True)
    assert (gate["name"], gate["type"], gate["default"]) == ("gate", "anthropic", False)
    assert "GATE_KEY" in gate["problem"], "the key of another provider is not sent to this address"
    assert ran.json["next"] == "batchrun doctor --provider gate"
    assert KEY not in ran.out


def test_the_default_of_the_project_comes_first(project: TrialProject, batchrun: CommandLine) -> None:
    project_says(project, '[provider]\nbase_url = "http://127.0.0.1:1"\n[providers.home]\ntype = "openai"\n')
    assert [one["name"] for one in batchrun("providers --json").json["providers"]] == ["anthropic", "home"]


def test_with_a_job_its_models_by_provider(project: TrialProject, batchrun: CommandLine) -> None:
    project_says(project, GATE.format("http://127.0.0.1:1"))
    project.job(model='name = "claude-haiku-4-5"\nfallbacks = ["gate/claude-haiku-4-5", "aws/claude-haiku-4-5"]'
                      "\nmax_tokens = 100")  # fmt: skip
    found = {one["name"]: one["models"] for one in batchrun("providers jobs/trial.toml --json").json["providers"]}
    assert found == {
        "anthropic": ["claude-haiku-4-5"],
        "gate": ["gate/claude-haiku-4-5"],
        "aws": ["aws/claude-haiku-4-5"],
    }
    text = batchrun("providers jobs/trial.toml").out
    assert re.search(r"^gate \(anthropic\)$", text, re.MULTILINE)
    assert re.search(r"^anthropic, which answers models that name no provider$", text, re.MULTILINE)
    assert "next     batchrun doctor jobs/trial.toml --provider " in text


def test_a_broken_project_file_is_said_as_everywhere(project: TrialProject, batchrun: CommandLine) -> None:
    project_says(project, '[provider]\nregion = "x"\n')
    ran = batchrun("providers")
    assert ran.code == ExitCode.USAGE
    assert "a provider of type anthropic has no `region`" in ran.err


def test_a_name_that_is_none(project: TrialProject, batchrun: CommandLine) -> None:
    project_says(project, GATE.format("http://127.0.0.1:1"))
    ran = batchrun("doctor --provider gat")
    assert ran.code == ExitCode.USAGE
    assert 'there is no provider "gat".' in ran.err
    assert "did you mean gate? see them: batchrun providers" in ran.err


@pytest.mark.slow
def test_what_was_spent_there_today(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gate(project, api, monkeypatch)
    project.documents(2)
    project.job(model='name = "gate/claude-haiku-4-5"\nmax_tokens = 100', output=SECTIONS["output"])
    assert batchrun("submit jobs/trial.toml -q").code == ExitCode.OK
    (usual, gate) = batchrun("providers jobs/trial.toml --json").json["providers"]
    assert (usual["last_at"], usual["today_usd"]) == (None, 0.0)
    assert gate["today_usd"] > 0
    assert gate["today_usd"] == batchrun("cost --json").json["total"]["cost_usd"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", gate["last_at"])
    assert re.search(r"used     last \S+Z; today \$0\.\d+ spent", batchrun("providers").out)
    apart = batchrun("providers --simulate")
    assert "SIMULATED: none of this was paid" in apart.out
    assert "today" not in apart.out
    for columns in (80, 200):
        lines = on_a_terminal(project.root, "providers", columns)
        assert max(map(len, lines[:-1])) <= columns


@pytest.mark.slow
def test_each_provider_of_a_job_is_asked(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    with serving() as there:
        with_gate(project, there, monkeypatch)
        project.job(model='name = "claude-haiku-4-5"\nfallbacks = ["gate/claude-haiku-4-5"]\nmax_tokens = 100')
        ran = batchrun("doctor jobs/trial.toml --json")
        words = [one["words"] for one in ran.json["checks"] if one["name"] == "gate"]
        assert words[0].startswith(f"anthropic at {there.base_url}")
        assert words[1:] == [
            f"API key …{GATE_KEY[-4:]}, from GATE_KEY",
            "it answers for gate/claude-haiku-4-5, and takes the credential",
        ]
        assert {"api", "credential"} <= {one["name"] for one in ran.json["checks"]}
        alone = batchrun("doctor --provider gate --json")
        assert {one["name"] for one in alone.json["checks"]} == {"prices", "gate"}
        assert alone.json["checks"][-1]["words"] == "it answers, and takes the credential"
        assert not any(GATE_KEY in said for said in (ran.out, alone.out))
        project_says(project, GATE.format(f"{there.base_url}/elsewhere"))
        (elsewhere,) = batchrun("doctor --provider gate --json").json["checks"][-1:]
        assert (elsewhere["verdict"], elsewhere["fix"]) == (
            "warning",
            "see whether base_url in [providers.gate] is right",
        )
        assert "attempts" not in there.simulator.__dict__, "nothing was billed"
    gone = batchrun("doctor --provider gate --json")
    assert gone.code == ExitCode.ENVIRONMENT
    assert gone.json["checks"][-1]["fix"].startswith("curl -sSI http://")


@pytest.mark.slow
def test_a_job_without_the_usual_api_needs_no_key_of_it(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    with serving() as there:
        with_gate(project, there, monkeypatch)
        project.job(model='name = "gate/claude-haiku-4-5"\nmax_tokens = 100')
        ran = batchrun("doctor jobs/trial.toml --json")
        assert [one for one in ran.json["checks"] if one["verdict"] == "broken"] == []
        assert not {"api", "credential", "address"} & {one["name"] for one in ran.json["checks"]}


def test_a_broken_job_file_is_said_before_its_providers(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(providers_gate='type = "anthropic"\nbase_url = 3')
    ran = batchrun("doctor jobs/trial.toml --provider gate")
    assert ran.code == ExitCode.USAGE
    assert "`providers.gate.base_url`" in ran.out
    assert "there is no provider" not in ran.out + ran.err


def test_an_address_is_mended_where_it_is_set(project: TrialProject, batchrun: CommandLine) -> None:
    project_says(project, '[provider]\nbase_url = "http://gate.test/v1"\n')
    fixes = [one["fix"] for one in batchrun("doctor --provider anthropic --offline --json").json["checks"]]
    assert {'base_url = "http://gate.test"', 'base_url = "https://gate.test/v1"'} <= set(fixes)
    assert not any("ANTHROPIC_BASE_URL" in (fix or "") for fix in fixes)


def test_without_a_job_the_default_of_the_project_is_asked(project: TrialProject, batchrun: CommandLine) -> None:
    project_says(project, '[provider]\ntype = "openai"\nbase_url = "http://gate.test/v1"\nfree = true\n')
    names = {one["name"] for one in batchrun("doctor --offline --json").json["checks"]}
    assert "openai" in names
    assert not {"api", "credential"} & names


def test_a_server_that_wants_a_key_is_told_by_the_section(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual key is for the usual address: a `base_url` in a file may be anybody's."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    project_says(project, f'[provider]\nbase_url = "{api.base_url}"\n')
    checks = {one["name"]: one for one in batchrun("doctor --json").json["checks"]}
    assert checks["credential"]["words"] == "none: no `api_key_env` names a variable"
    assert checks["api"]["words"].startswith("the API refused the key")
    assert checks["api"]["fix"] == 'name the variable that has the key: api_key_env = "NAME"'
    project.documents(1)
    project.job()
    ran = batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert 'name the variable with its key there: api_key_env = "NAME"' in " ".join(ran.err.split())
