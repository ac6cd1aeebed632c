"""The kind of a provider's credential and where it is from: never the credential."""

import pytest
from command_line import clean_environment

from batchrun.job.provider_sections import ProviderSection
from batchrun.providers.credentials import credential_of, mend_credential

SECRET = "abcdefghijklmnopqrstuvwxyz0123"
CHAIN = "what AWS's own chain finds: settings, a sign-in, or the role of the machine"
ADC = "the application default credentials of Google"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch, tmp_path):
    import os

    for name in os.environ.keys() - clean_environment(tmp_path).keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("section", "environment", "words"),
    [
        ({}, {"ANTHROPIC_API_KEY": f"sk-ant-{SECRET}"}, "API key …0123, from ANTHROPIC_API_KEY"),
        ({}, {"ANTHROPIC_AUTH_TOKEN": SECRET}, "auth token …0123, from ANTHROPIC_AUTH_TOKEN"),
        ({"api_key_env": "GATE_KEY"}, {"GATE_KEY": SECRET, "ANTHROPIC_API_KEY": "x"}, "API key …0123, from GATE_KEY"),
        ({"api_key_env": "GATE_KEY"}, {"GATE_KEY": "short-secret"}, "API key, from GATE_KEY"),
        ({"api_key_env": "GATE_KEY"}, {"ANTHROPIC_API_KEY": SECRET}, "none: GATE_KEY is not set"),
        ({"base_url": "http://gate"}, {"ANTHROPIC_API_KEY": SECRET}, "none: no `api_key_env` names a variable"),
        ({"base_url": "http://gate", "free": True}, {"ANTHROPIC_API_KEY": SECRET},
         "none needed: no `api_key_env` names a variable"),
        ({"base_url": "https://eu.api.anthropic.com"}, {"ANTHROPIC_API_KEY": f"sk-ant-{SECRET}"},
         "API key …0123, from ANTHROPIC_API_KEY"),
        ({"type": "aws"}, {}, CHAIN),
        ({"type": "aws"}, {"ANTHROPIC_AWS_API_KEY": SECRET}, "API key …0123, from ANTHROPIC_AWS_API_KEY"),
        ({"type": "aws", "profile": "batch"}, {"ANTHROPIC_AWS_API_KEY": SECRET, "AWS_ACCESS_KEY_ID": "AKIA1"},
         "the profile batch of the AWS settings"),
        ({"type": "bedrock"}, {"AWS_BEARER_TOKEN_BEDROCK": SECRET}, "API key …0123, from AWS_BEARER_TOKEN_BEDROCK"),
        ({"type": "bedrock"}, {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_PROFILE": "p"},
         "an access key of AWS, from AWS_ACCESS_KEY_ID"),
        ({"type": "bedrock"}, {"AWS_PROFILE": "p\x1b"}, "the profile p\\x1b of the AWS settings (AWS_PROFILE)"),
        ({"type": "google"}, {"ANTHROPIC_API_KEY": SECRET}, ADC),
        ({"type": "vertex"}, {"GOOGLE_APPLICATION_CREDENTIALS": "/k.json"},
         f"{ADC}, from /k.json (GOOGLE_APPLICATION_CREDENTIALS)"),
        ({"type": "foundry"}, {"ANTHROPIC_FOUNDRY_API_KEY": SECRET}, "API key …0123, from ANTHROPIC_FOUNDRY_API_KEY"),
        ({"type": "openai"}, {"OPENAI_API_KEY": SECRET}, "API key …0123, from OPENAI_API_KEY"),
        ({"type": "openai"}, {}, "none: OPENAI_API_KEY is not set"),
        ({"type": "openai", "base_url": "http://localhost/v1", "free": True}, {"OPENAI_API_KEY": SECRET},
         "none needed: no `api_key_env` names a variable"),
        ({"type": "openai", "base_url": "http://localhost/v1", "api_key_env": "MINE"}, {"MINE": SECRET},
         "API key …0123, from MINE"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_credential(monkeypatch, section, environment, words):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = credential_of(ProviderSection.model_validate(section))
    assert found[0].words == words
    assert not any(SECRET[:20] in one.words or "short-secret" in one.words for one in found)


def test_a_secret_with_quotes_around_it_is_mended(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f'"{SECRET}"')
    _, sign = credential_of(ProviderSection(type="openai"))
    assert (sign.words, sign.fatal) == (
        "OPENAI_API_KEY has quotes or spaces around it, which are no part of a key", True,
    )  # fmt: skip
    assert sign.fix.startswith("export OPENAI_API_KEY=")


@pytest.mark.parametrize(
    ("section", "command"),
    [
        ({}, "read -rs ANTHROPIC_API_KEY && export ANTHROPIC_API_KEY"),
        ({"api_key_env": "GATE_KEY"}, "read -rs GATE_KEY && export GATE_KEY"),
        ({"type": "aws"}, "aws sts get-caller-identity   # says who you are there; sign in: aws sso login"),
        ({"type": "bedrock", "profile": "p"},
         "aws sts get-caller-identity --profile p   # says who you are there; sign in: aws sso login --profile p"),
        ({"type": "vertex"}, "gcloud auth application-default login"),
        ({"type": "foundry"}, "read -rs ANTHROPIC_FOUNDRY_API_KEY && export ANTHROPIC_FOUNDRY_API_KEY"),
        ({"type": "openai"}, "read -rs OPENAI_API_KEY && export OPENAI_API_KEY"),
        ({"base_url": "http://x"}, 'name the variable that has the key: api_key_env = "NAME"'),
        ({"type": "openai", "base_url": "http://x/v1"}, 'name the variable that has the key: api_key_env = "NAME"'),
    ],
)  # fmt: skip
def test_what_brings_a_credential(section, command):
    assert mend_credential(ProviderSection.model_validate(section)) == command
