"""[provider] and [providers.NAME]: what a person sees when one is wrong, and what of two files counts."""

from pathlib import Path

import pytest

from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.provider_sections import TYPES

JOB = (
    '[job]\nname = "x"\n[source]\ntype = "files"\ninclude = ["*.txt"]\n[model]\nname = "claude-sonnet-5-5"\n'
    'max_tokens = 9\n[prompt]\nuser = "{{ doc.text }}"\n[output.fields]\ntitle = "string"\n[budget]\nmax_cost_usd = 1\n'
)
KEYS = 'keys never belong in a job file; name the variable that has the key: api_key_env = "NAME"'
A_TYPE = '"anthropic", "aws", "google", "foundry", "bedrock", "vertex" or "openai"'


def loaded(folder: Path, job: str = "", project: str = ""):
    (folder / "x.toml").write_text(JOB + job)
    (folder / "batchrun.toml").write_text(project)
    return load_job(folder / "x.toml")


def report(folder: Path, job: str, project: str = "") -> str:
    with pytest.raises(JobFileError) as raised:
        loaded(folder, job, project)
    return raised.value.rendered


def first_problem(report: str) -> tuple[str, str]:
    lines = report.split("\n\n", maxsplit=1)[0].split("\n")
    return lines[0].removeprefix("error: "), lines[-1].partition("= help: ")[2]


@pytest.mark.parametrize(
    ("section", "problem", "hint"),
    [
        ('[provider]\ntype = "opnai"', f'`provider.type`: input should be {A_TYPE}, got "opnai"',
         'did you mean "openai"?'),
        ("[provider]\ntype = 3", f"`provider.type`: input should be {A_TYPE}, got 3", ""),
        ('[provider]\nregio = "x"', "unknown key `regio` in [provider]", "did you mean `region`?"),
        ('[providers.home]\nbse_url = "x"', "unknown key `bse_url` in [providers.home]", "did you mean `base_url`?"),
        ('[provider]\nregion = "x"', "`provider.region`: a provider of type anthropic has no `region`",
         "`region` is for aws, google, bedrock, vertex"),
        ('[providers.home]\ntype = "aws"\nresource = "x"',
         "`providers.home.resource`: a provider of type aws has no `resource`", "`resource` is for foundry"),
        ('[providers.vertex]\napi_key_env = "KEY"', "`providers.vertex.api_key_env`: a provider of type vertex has no"
         " `api_key_env`", "`api_key_env` is for openai, anthropic, aws, foundry, bedrock"),
        ('[provider]\nbase_url = "ftp://x"', "`provider.base_url`: input should be an address such as"
         ' http://localhost:8080/v1, got "ftp://x"', ""),
        ('[provider]\nbase_url = "http://x:99999"', "`provider.base_url`: input should be an address such as"
         ' http://localhost:8080/v1, got "http://x:99999"', ""),
        ('[provider]\nbase_url = "http://x/?a=1"',
         "`provider.base_url`: an address here has neither user nor password, nor a query", ""),
        ('[provider]\nbase_url = "http://a b\\u0000/v1"', "`provider.base_url`: input should be an address such as"
         ' http://localhost:8080/v1, got "http://a b\\u0000/v1"', ""),
        ('[provider]\nheaders = { Content-Length = "5" }',
         "`provider.headers.Content-Length`: `Content-Length` is no header that can be sent", ""),
        ('[provider]\nregion = "x"\nrole = "y"', "`provider.region`: a provider of type anthropic has no `region` and"
         " no `role`", "`region` is for aws, google, bedrock, vertex; `role` is for bedrock"),
        ('[provider]\nheaders = { "a b" = "c" }', "`provider.headers.a b`: `a b` is no header that can be sent", ""),
        ('[provider]\nheaders = { a = "b\\nc" }', "`provider.headers.a`: `a` is no header that can be sent", ""),
        ("[provider]\nheaders = { a = 3 }", "`provider.headers.a`: input should be text in quotes, got 3",
         "put it in quotes"),
        ('[providers.aws]\nprofile = "p"\napi_key_env = "K"',
         "`providers.aws.api_key_env`: a provider has a profile or a key", "take one of the two out"),
        ('[providers.bedrock]\nbucket = "gs://x"', "`providers.bedrock.bucket`: bedrock keeps files elsewhere",
         "s3:// for bedrock, gs:// for vertex"),
        ('[providers.vertex]\nbucket = "s3://x"', "`providers.vertex.bucket`: vertex keeps files elsewhere",
         "s3:// for bedrock, gs:// for vertex"),
        ('[providers.bedrock]\nbucket = "s3://x"', "`providers.bedrock.bucket`: a bucket for Bedrock needs a role",
         'name the role of IAM by which Bedrock reads the bucket and writes there: role = "arn:aws:iam::…"'),
        ('[providers.vertex]\nbucket = "/x"', '`providers.vertex.bucket`: input should be s3://… or gs://…, got "/x"',
         ""),
        ('[providers."Home"]\ntype = "openai"',
         '`providers.Home`: input should be a name of a-z, 0-9, _ and -, got "Home"', ""),
        ("[providers]\nhome = 3", "`providers.home`: input should be a table, got 3", ""),
        ('[provider]\ntype = "openai"\n[providers.openai]\nfree = true',
         "`providers.openai`: [provider] is named openai too, as its type",
         "give this section another name, such as [providers.my-openai], or take one of the two out"),
        ('[providers.openai]\ntype = "bedrock"', "`providers.openai.type`: a provider named openai is of that type",
         "give the section another name, such as [providers.my-openai]"),
        ('[providers.home]\ntype = "openai"\napi = "chatt"',
         '`providers.home.api`: input should be "chat" or "responses", got "chatt"', 'did you mean "chat"?'),
        ("[providers.openai]\ncontext_window = 0",
         "`providers.openai.context_window`: input should be at least 1, got 0", ""),
    ],
)  # fmt: skip
def test_what_is_said_of_a_problem(tmp_path, section, problem, hint):
    assert first_problem(report(tmp_path, section)) == (problem, hint)
    whole = report(tmp_path, "", section)
    assert first_problem(whole) == (problem, hint), "batchrun.toml is read with the same care"
    assert "batchrun.toml" in whole


SECRET = "hunter2hunter2hunter2"  # no credential, though it stands where one would


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (f'headers = {{ Authorization = "Bearer {SECRET}" }}', "headers.Authorization"),
        (f'headers = {{ a = "b", Cookie = "{SECRET}" }}', "headers.Cookie"),
        (f'headers = {{ x-api-key = "{SECRET}" }}', "headers.x-api-key"),
        (f'headers = {{ x-goog-access-token = "{SECRET}" }}', "headers.x-goog-access-token"),
        (f'base_url = "https://me:{SECRET}@x/v1"', "base_url"),
        (f'base_url = "https://x/v1?api_key={SECRET}"', "base_url"),
        (f'api_key = "{SECRET}"', "api_key"),
        (f'token = "{SECRET}"', "token"),
        (f'password = "{SECRET}"', "password"),
        (f'aws_secret_access_key = "{SECRET}"', "aws_secret_access_key"),
        (f'api_key_env = "sk-{SECRET}"', "api_key_env"),
        (f'api_key_env = "{SECRET}"', "api_key_env"),
    ],
)
def test_a_credential_is_refused_and_never_shown(tmp_path, line, place):
    for section in ("provider", "providers.home"):
        whole = report(tmp_path, f"[{section}]\n{line}\n")
        problem, hint = first_problem(whole)
        assert problem == f"`{section}.{place}`: {KEYS}"
        assert hint == "take it out, and revoke it if anyone else has seen this file"
        assert SECRET not in whole
        assert "1 problem in" in whole


def test_models_there_may_have_any_name(tmp_path):
    job = loaded(tmp_path, '[provider.models]\nmy-secret-token = "claude-haiku-4-5"\n')
    assert job.providers.section("anthropic").models == {"my-secret-token": "claude-haiku-4-5"}


def test_too_many_headers_are_refused(tmp_path):
    lines = ", ".join(f'a{number} = "b"' for number in range(21))
    problem, _ = first_problem(report(tmp_path, f"[provider]\nheaders = {{ {lines} }}"))
    assert problem == "`provider.headers`: 21 headers, and a provider may have 20"


def test_all_problems_are_told_at_once(tmp_path):
    text = '[provider]\ntype = "aws"\nrole = "x"\n[providers.a]\nfree = 1\n[providers.b]\napi = 2\ntoken = "x"\n'
    assert "4 problems in" in report(tmp_path, text)


def test_a_section_of_the_job_stands_for_the_same_section_of_the_project_as_a_whole(tmp_path):
    project = (
        '[provider]\ntype = "openai"\nbase_url = "http://a/v1"\nfree = true\n'
        '[providers.home]\ntype = "openai"\nbase_url = "http://b/v1"\nfree = true\n'
    )
    plain = loaded(tmp_path, "", project).providers
    assert (plain.default, plain.section("home").base_url) == ("openai", "http://b/v1")
    own = loaded(tmp_path, '[providers.home]\ntype = "openai"\n[provider]\ntype = "openai"\n', project).providers
    assert (own.section("home").base_url, own.section("home").free) == (None, False)
    assert (own.section("openai").base_url, own.section("openai").free) == (None, False)


def test_the_default_of_the_project_is_still_there_by_its_name(tmp_path):
    project = '[provider]\ntype = "openai"\nbase_url = "http://a/v1"\n'
    found = loaded(tmp_path, '[provider]\ntype = "bedrock"\n', project).providers
    assert (found.default, found.section("openai").base_url) == ("bedrock", "http://a/v1")
    named = loaded(tmp_path, '[providers.openai]\nbase_url = "http://b/v1"\n', project).providers
    assert (named.default, named.section("openai").base_url) == ("openai", "http://b/v1")


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_a_provider_without_any_section(tmp_path, kind):
    found = loaded(tmp_path).providers
    assert (found.default, found.section(kind).type) == ("anthropic", kind)
    assert loaded(tmp_path, f"[providers.{kind}]\n").providers.section(kind).type == kind
