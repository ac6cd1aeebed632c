"""A whole job whose provider is a cloud, as a person runs one; and a job at no cloud, which loads nothing of one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cloud_server import CloudServer
from command_line import CommandLine

JOB = """\
[job]
name = "letters"
[provider]
type = "bedrock"
region = "eu-central-1"
base_url = "{url}"
[source]
type = "files"
include = ["docs/*.txt"]
[model]
name = "claude-sonnet-5-5"
max_tokens = 4000
[prompt]
user = "Title? {{{{ doc.text }}}}"
[output.fields]
title = "string"
[budget]
max_cost_usd = 1
"""


pytestmark = pytest.mark.slow


def test_a_job_is_done_at_bedrock(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    for name in ("a", "b"):
        (project / "docs" / f"{name}.txt").write_text(f"Letter {name}", encoding="utf-8")
    (project / "job.toml").write_text(JOB.format(url=cloud.url), encoding="utf-8")
    monkeypatch.chdir(project)
    batchrun = CommandLine(capsys)

    ran = batchrun("submit job.toml")
    rows = batchrun("results job.toml --format jsonl")

    assert ran.code == 0, ran.words
    assert [json.loads(line)["title"] for line in rows.out.splitlines()] == ["A letter", "A letter"]
    assert {seen.path for seen in cloud.seen} == {"/model/anthropic.claude-sonnet-5-5/invoke"}
    assert all(seen.is_signed("bedrock", "eu-central-1") for seen in cloud.seen)
    assert f"{cloud.url} (base_url)" in ran.err


ASKED = """
import asyncio, sys
from batchrun.api.provider import provider
from batchrun.job.providers import Providers
with provider(None, Providers(), ["claude-sonnet-5-5"], speed=1) as factory:
    factory.check()
    async def make():
        await factory.make(concurrency=1, timeout_s=1).close()
        await factory.factory("anthropic").make(concurrency=1, timeout_s=1).close()
    asyncio.run(make())
print(*{"boto3", "botocore", "google.auth", "openai"} & {*sys.modules})
"""


def test_the_api_of_anthropic_needs_no_library_of_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")

    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []
