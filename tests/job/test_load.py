"""Finding and reading a job file, and what it says when nothing is wrong."""

from pathlib import Path

import pytest

from batchrun.errors import UsageProblem
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.source_sections import DuckdbSourceSection, FilesSourceSection, TableSourceSection
from batchrun.job.spec import AUTO_CONCURRENCY

JOB = """\
[job]
name = "my-job"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 100
[prompt]
system_file = "prompts/system.md"
user_file = "prompts/user.md"
[output.fields]
title = "string"
[budget]
max_cost_usd = 0.1
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/system.md").write_bytes(b"\xef\xbb\xbfBe brief.\r\nPlease.\r\n")
    (tmp_path / "prompts/user.md").write_text("<d>{{ doc.text }}</d>")
    (tmp_path / "jobs/job.toml").write_text(JOB)
    return tmp_path


def test_a_job_with_its_prompt_files(project, monkeypatch):
    monkeypatch.chdir(project / "prompts")
    job = load_job(Path("../jobs/job.toml"))
    assert job.path == project / "jobs/job.toml"
    assert job.root == project
    assert job.system == "Be brief.\nPlease.\n"
    assert job.user.literals == ("<d>", "</d>")
    assert job.resolve("results/x.duckdb") == project / "results/x.duckdb"
    assert job.resolve("/elsewhere") == Path("/elsewhere")


def test_defaults(project):
    spec = load_job(project / "jobs/job.toml").spec
    assert isinstance(spec.source, FilesSourceSection)
    assert (spec.source.exclude, spec.source.encoding, spec.source.id) == ((), "auto", "relpath")
    assert (spec.source.on_oversize, spec.source.on_empty) == ("refuse", "fail")
    assert (spec.model.effort, spec.model.thinking) == (None, None)
    assert (spec.model.tier, spec.model.fallbacks) == (None, ())
    assert spec.model.fallback_on == ("outage", "refused", "truncated")
    assert (spec.run.max_concurrency, spec.run.most_concurrent) == ("auto", AUTO_CONCURRENCY)
    assert (spec.run.fail_fast, spec.run.max_failure_rate, spec.budget.max_run_time_s) == (False, None, None)
    assert (spec.limits.requests_per_minute, spec.limits.headroom) == (None, 1.0)
    assert (spec.budget.max_cost_nusd, spec.budget.max_documents, spec.budget.prices_file) == (100_000_000, None, None)
    assert (spec.retry.max_attempts, spec.retry.initial_delay_s, spec.retry.max_delay_s) == (6, 1.0, 60.0)
    assert spec.retry.timeout_s == 120.0
    assert spec.store.database == "results/batchrun.duckdb"
    assert spec.store.table == "my_job"
    assert spec.store.ledger == ".batchrun/ledger.sqlite3"


@pytest.mark.parametrize(("name", "table"), [("a-b", "a_b"), ("2024-x", "_2024_x"), ("-", "_"), ("z" * 40, "z" * 40)])
def test_the_table_is_named_after_the_job(project, name, table):
    (project / "jobs/job.toml").write_text(JOB.replace("my-job", name))
    assert load_job(project / "jobs/job.toml").spec.store.table == table


@pytest.mark.parametrize(
    ("written", "nusd"),
    [
        ("5", 5_000_000_000),
        ("0.1", 100_000_000),
        ("0.000000001", 1),
        ("1_000.10", 1_000_100_000_000),
        ("1e-3", 1_000_000),
    ],
)
def test_dollars_are_exact(project, written, nusd):
    (project / "jobs/job.toml").write_text(JOB.replace("0.1", written))
    assert load_job(project / "jobs/job.toml").spec.budget.max_cost_nusd == nusd


@pytest.mark.parametrize("written", ["-1", "0.0", "inf", "nan", '"5"', "true", "1e-10", "1e300", "[5]"])
def test_what_is_no_amount(project, written):
    (project / "jobs/job.toml").write_text(JOB.replace("0.1", written))
    with pytest.raises(JobFileError, match="input should be an amount in US dollars above zero"):
        load_job(project / "jobs/job.toml")


@pytest.mark.parametrize(("written", "seconds"), [("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("0.5m", 30)])
def test_durations(project, written, seconds):
    (project / "jobs/job.toml").write_text(f'{JOB}[retry]\ntimeout = "{written}"\n')
    assert load_job(project / "jobs/job.toml").spec.retry.timeout_s == seconds


@pytest.mark.parametrize("written", ["0s", "5", "s", "-1s", "1d", "1 s", "25h", "1e3s", "٣s", "1h30m", "nans"])
def test_what_is_no_duration(project, written):
    (project / "jobs/job.toml").write_text(f'{JOB}[retry]\ntimeout = "{written}"\n')
    with pytest.raises(JobFileError, match="input should be a duration"):
        load_job(project / "jobs/job.toml")


LONGEST = [("retry.timeout", "24h", "86401s"), ("run.deadline", "720h", "2592001s")]
"""What may last a day at most, and what may last a month of thirty days, each with the next second."""


@pytest.mark.parametrize(("key", "longest", "too_long"), LONGEST)
def test_a_duration_has_a_longest(project, key, longest, too_long):
    table, _, name = key.partition(".")
    path = project / "jobs/job.toml"
    path.write_text(f'{JOB}[{table}]\n{name} = "{longest}"\n')
    assert getattr(getattr(load_job(path).spec, table), f"{name}_s") == int(longest[:-1]) * 3_600
    path.write_text(f'{JOB}[{table}]\n{name} = "{too_long}"\n')
    with pytest.raises(JobFileError, match=f"above zero and at most {longest[:-1]} hours"):
        load_job(path)


@pytest.mark.parametrize(("marker", "root"), [("a/.git", "a"), ("a/b/pyproject.toml", "a/b"), ("", "a/b/c")])
def test_the_project_root(tmp_path, marker, root):
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    if marker:
        (tmp_path / marker).touch()
    (folder / "job.toml").write_text(
        JOB.replace('system_file = "prompts/system.md"\nuser_file = "prompts/user.md"', 'user = "{{ doc.text }}"')
    )
    assert load_job(folder / "job.toml").root == tmp_path / root


def test_a_linked_job_file_belongs_to_the_project_it_is_in(project, tmp_path):
    (project / "elsewhere").mkdir()
    link = project / "elsewhere/link.toml"
    link.symlink_to(project / "jobs/job.toml")
    assert load_job(link).path == project / "jobs/job.toml"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("jobs/jbo.toml", "there is no job file", "did you mean {root}/jobs/job.toml?"),
        ("job", "there is no job file", "did you mean {root}/jobs/job.toml?"),
        ("zzz.toml", "there is no job file", "write a new one: batchrun init {root}/zzz.toml"),
        ("jobs", "is a directory, not a job file", "name a file in it, such as {root}/jobs/job.toml"),
        ("prompts", "is a directory, not a job file", "write a new one: batchrun init {root}/prompts"),
        ("a\0b", "cannot be read: embedded null byte", "give the path of a file"),
        ("jobs/job.toml/x", "cannot be read", "give the path of a file"),
    ],
)
def test_what_cannot_be_read(project, name, message, hint):
    with pytest.raises(UsageProblem, match=message) as caught:
        load_job(project / name)
    assert caught.value.hint == hint.replace("{root}", str(project))
    assert caught.value.__notes__ == [f"next: {caught.value.hint}"]  # which a traceback in a program shows


def test_no_permission(project, monkeypatch):
    def refuse(path, mode):
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageProblem, match="no permission to read the job file"):
        load_job(project / "jobs/job.toml")


def test_a_job_file_without_an_end(project):
    (project / "jobs/job.toml").unlink()
    (project / "jobs/job.toml").symlink_to("/dev/zero")
    with pytest.raises(UsageProblem, match=r"jobs/job.toml cannot be read: this file is larger than 10,000,000 bytes"):
        load_job(project / "jobs/job.toml")


def test_not_utf8(project):
    (project / "jobs/job.toml").write_bytes(b"# ok\n# caf\xe9\n")
    with pytest.raises(UsageProblem, match="not UTF-8: line 2 has the byte 0xe9") as caught:
        load_job(project / "jobs/job.toml")
    assert "save it as UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9 {{ doc.text }}", r"`prompt.user_file`: not UTF-8 \(byte 3\)"),
        (b" \n", "`prompt.user_file`: this file is empty"),
        (b"x" * 10_000_001, "`prompt.user_file`: this file is larger than 10,000,000 bytes"),
    ],
    ids=["not UTF-8", "empty", "large"],
)
def test_bad_prompt_files(project, content, message):
    (project / "prompts/user.md").write_bytes(content)
    with pytest.raises(JobFileError, match=message):
        load_job(project / "jobs/job.toml")


def test_a_query_may_have_any_column(project):
    text = JOB.replace(
        'type = "files"\ninclude = ["*.txt"]', 'type = "duckdb"\ndatabase = "x.duckdb"\nquery = "SELECT 1"'
    )
    (project / "jobs/job.toml").write_text(text)
    (project / "prompts/user.md").write_text("{{ doc.customer }}")
    job = load_job(project / "jobs/job.toml")
    assert isinstance(job.spec.source, DuckdbSourceSection)
    assert job.user.names == {"customer"}


@pytest.mark.parametrize(
    ("path", "patterns"), [('"tickets/*.csv"', ("tickets/*.csv",)), ('["a.csv", "b.csv"]', ("a.csv", "b.csv"))]
)
def test_a_table_may_have_any_column(project, path, patterns):
    text = JOB.replace(
        'type = "files"\ninclude = ["*.txt"]', f'type = "table"\npath = {path}\nid = "no"\ntext = "{{{{ doc.body }}}}!"'
    )
    (project / "jobs/job.toml").write_text(text)
    (project / "prompts/user.md").write_text("{{ doc.text }} {{ doc.customer }}")
    source = load_job(project / "jobs/job.toml").spec.source
    assert isinstance(source, TableSourceSection)
    assert (source.path, source.id, source.text, source.sheet) == (patterns, "no", "{{ doc.body }}!", None)
