"""Tags and token caps in the job file and in batchrun.toml: what is read, and what a person sees of a mistake."""

from pathlib import Path

import pytest

from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.planning.request_template import RequestTemplate

JOB = """\
[job]
name = "tagged"
{tags}
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-4-5"
max_tokens = 1024
[prompt]
user = "{{{{ doc.text }}}}"
[output.fields]
title = "string"
[budget]
max_cost_usd = 5.00
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(project: Path, tags: str = "", more: str = "") -> Path:
    path = project / "job.toml"
    path.write_text(JOB.format(tags=tags) + more)
    return path


def problems(path: Path) -> list[tuple[str, str, str | None]]:
    """The place, the sentence and the help of each problem."""
    with pytest.raises(JobFileError) as caught:
        load_job(path)
    found = []
    for problem in caught.value.problems:
        lines = str(problem).split("\n")
        found.append((lines[1].partition("--> ")[2], problem.message, problem.hint))
    return found


def test_a_job_has_no_tags_unless_it_says_so(project: Path) -> None:
    assert load_job(job(project)).spec.job.tags == {}
    assert load_job(job(project)).spec.budget.max_tokens is None


def test_tags_are_names_with_values(project: Path) -> None:
    longest, most = "a" + "b" * 39, "é " * 49 + "👩!"
    path = job(project, f'tags = {{ team = "legal", matter = "47-11 / x", {longest} = "{most}", a_1-2 = "." }}')

    tags = load_job(path).spec.job.tags

    assert list(tags.items()) == [("team", "legal"), ("matter", "47-11 / x"), (longest, most), ("a_1-2", ".")]


def test_tags_may_stand_in_a_table_of_their_own(project: Path) -> None:
    assert load_job(job(project, '[job.tags]\nteam = "legal"')).spec.job.tags == {"team": "legal"}


def test_twenty_tags_are_the_most(project: Path) -> None:
    def tags(count: int) -> str:
        return "tags = { " + ", ".join(f't{number} = "x"' for number in range(count)) + " }"

    assert len(load_job(job(project, tags(20))).spec.job.tags) == 20
    assert problems(job(project, tags(21))) == [
        ("job.toml:3:1", "`job.tags`: 21 tags, and a job may have 20", None),
    ]


NAME = "input should be 1 to 40 of a-z, 0-9, _ and -, beginning with a letter"
VALUE = "input should be 1 to 100 characters without = and without invisible characters"
WRONG = {
    "capitals": ('Team = "x"', "3:10", f'`job.tags.Team`: {NAME}, got "Team"', None),
    "a digit first": ('1st = "x"', "3:10", f'`job.tags.1st`: {NAME}, got "1st"', None),
    "a name without letters": ('"" = "x"', "3:10", f'`job.tags.`: {NAME}, got ""', None),
    "another alphabet": ('"é" = "x"', "3:10", f'`job.tags.é`: {NAME}, got "é"', None),
    "a name too long": (f'{"a" * 41} = "x"', "3:10", f'`job.tags.{"a" * 41}`: {NAME}, got "{"a" * 41}"', None),
    "no value": ('team = ""', "3:17", f'`job.tags.team`: {VALUE}, got ""', None),
    "an equals sign": ('team = "a=b"', "3:17", f'`job.tags.team`: {VALUE}, got "a=b"', None),
    "a line break": (r'team = "a\nb"', "3:17", rf'`job.tags.team`: {VALUE}, got "a\nb"', None),
    "a control character": (r'team = "a\u0007"', "3:17", rf'`job.tags.team`: {VALUE}, got "a\u0007"', None),
    "a value too long": (f'team = "{"x" * 101}"', "3:17", f'`job.tags.team`: {VALUE}, got "{"x" * 59}…', None),
    "a number": ("team = 4711", "3:17", "`job.tags.team`: input should be text in quotes, got 4711",
                 "put it in quotes"),
    "a list": ('team = ["x"]', "3:17", "`job.tags.team`: input should be text in quotes, got a list",
               "put it in quotes"),
}  # fmt: skip


@pytest.mark.parametrize(("tag", "place", "message", "hint"), WRONG.values(), ids=WRONG)
def test_what_is_no_tag_is_a_problem_at_its_place(
    project: Path, tag: str, place: str, message: str, hint: str | None
) -> None:
    assert problems(job(project, f"tags = {{ {tag} }}")) == [(f"job.toml:{place}", message, hint)]


def test_tags_that_are_no_table(project: Path) -> None:
    path = job(project, 'tags = ["legal"]')
    assert problems(path) == [("job.toml:3:8", "`job.tags`: input should be a table, got a list", None)]


def test_tags_change_no_request_and_no_fingerprint(project: Path) -> None:
    without = RequestTemplate(load_job(job(project))).fingerprint

    assert RequestTemplate(load_job(job(project, 'tags = { team = "legal" }'))).fingerprint == without
    assert RequestTemplate(load_job(job(project, more="max_tokens = 9\n"))).fingerprint == without


# --- caps


def test_the_caps_of_tags_and_tokens_are_read(project: Path) -> None:
    (project / "batchrun.toml").write_text("""[budget]
max_tokens = 2_000
[budget.tags."team=legal"]
max_cost_per_day_usd = 5
max_cost_per_month_usd = 50
max_tokens_per_day = 1_000
[budget.tags."matter=47.11 a"]
max_tokens_per_day = 7
""")

    loaded = load_job(job(project, more="max_tokens = 3_000\n"))

    assert (loaded.spec.budget.max_tokens, loaded.project.budget.max_tokens) == (3_000, 2_000)
    legal, matter = loaded.project.budget.tags["team=legal"], loaded.project.budget.tags["matter=47.11 a"]
    assert (legal.max_cost_per_day_nusd, legal.max_cost_per_month_nusd) == (5 * 10**9, 50 * 10**9)
    assert (legal.max_tokens_per_day, matter.max_tokens_per_day) == (1_000, 7)


HINT = 'such as [budget.tags."team=legal"], for jobs with tags = { team = "legal" }'
NO_PAIR = {
    "no value": ("team", '`budget.tags.team`: input should be name=value, got "team"', HINT),
    "an empty value": ('"team="', '`budget.tags.team=`: input should be name=value, got "team="', HINT),
    "no name": ('"=legal"', '`budget.tags.=legal`: input should be name=value, got "=legal"', HINT),
    "two signs": ('"team=a=b"', '`budget.tags.team=a=b`: input should be name=value, got "team=a=b"', HINT),
    "capitals": ('"Team=a"', '`budget.tags.Team=a`: input should be name=value, got "Team=a"', HINT),
    "a space before the value's sign": ('"team = a"', '`budget.tags.team = a`: input should be name=value,'
                                        ' got "team = a"', HINT),
}  # fmt: skip


@pytest.mark.parametrize(("key", "message", "hint"), NO_PAIR.values(), ids=NO_PAIR)
def test_a_key_that_is_no_tag_with_its_value_is_a_problem(project: Path, key: str, message: str, hint: str) -> None:
    (project / "batchrun.toml").write_text(f"[budget.tags.{key}]\nmax_tokens_per_day = 5\n")
    assert problems(job(project)) == [("batchrun.toml:1:1", message, hint)]


def test_the_keys_of_a_tags_caps_are_those_of_a_models(project: Path) -> None:
    (project / "batchrun.toml").write_text(
        '[budget.tags."team=legal"]\nmax_cost_usd = 5\nmax_token_per_day = 5\nmax_tokens_per_day = 0\n'
    )
    assert problems(job(project)) == [
        ("batchrun.toml:2:1", "unknown key `max_cost_usd` in `budget.tags.team=legal`", "it belongs in [budget]"),
        ("batchrun.toml:3:1", "unknown key `max_token_per_day` in `budget.tags.team=legal`",
         "did you mean `max_tokens_per_day`?"),
        ("batchrun.toml:4:22", "`budget.tags.team=legal.max_tokens_per_day`: input should be at least 1, got 0", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "why"), [("0", "at least 1"), ("1.5", "a whole number"), ('"9"', "a whole number")])
def test_tokens_that_are_no_number(project: Path, value: str, why: str) -> None:
    ((place, message, _),) = problems(job(project, more=f"max_tokens = {value}\n"))
    assert place == "job.toml:16:14"
    assert message.startswith("`budget.max_tokens`: input should be ")
    assert why in message


def test_a_key_that_two_tables_know_is_meant_for_the_one_that_lacks_it(project: Path) -> None:
    path = job(project)
    path.write_text(path.read_text().replace("max_tokens = 1024\n[prompt]", "[prompt]\nmax_tokens = 1024"))
    assert problems(path) == [("job.toml:10:1", "unknown key `max_tokens` in [prompt]", "it belongs in [model]")]
    path.write_text(JOB.format(tags="max_tokens = 5"))
    assert problems(path) == [
        ("job.toml:3:1", "unknown key `max_tokens` in [job]", "it belongs in [model] or [budget]")
    ]
