"""A job as a dictionary: the same job as a file of the same content, with the same requests and runs."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from api_jobs import FAST, JOB, letters
from command_line import CommandLine

import batchrun
from batchrun.errors import ExitCode
from batchrun.job.problems import JobFileError

pytestmark = pytest.mark.slow


def problem_of(root: Path, **changes: Any) -> JobFileError:
    with pytest.raises(JobFileError) as problem:
        batchrun.Job.from_dict({**JOB, **changes}, root=root, documents=letters())
    return problem.value


def test_problems_are_told_all_at_once_with_their_keys(folder: Path) -> None:
    problem = problem_of(
        folder, modle={}, prompt={"user": "{{ doc.a b }}"}, budget={"max_cost_usd": -1}, run={"route": "bus"}
    )
    said = problem.rendered
    for words in (
        "unknown table [modle]\nhelp: did you mean [model]?",
        "`prompt.user`: `{{ doc.a b }}` is not supported\nhelp: ",
        "`budget.max_cost_usd`: input should be an amount in US dollars above zero, such as 5.00, got -1",
        '`run.route`: input should be "stream", "batch" or "auto", got "bus"',
        "batchrun: 4 problems in the dictionary of the job; nothing was sent",
    ):
        assert words in said
    assert " | " not in said
    assert "-->" not in said


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"max_cost_usd": None}, "`budget.max_cost_usd`: input should be an amount in US dollars above zero, such as"),
        ({"max_cost_usd": 1, "prices_file": Path("x")}, "`budget.prices_file`: input should be text in quotes"),
        ({"max_cost_usd": 1, "max_documents": {1}}, "`budget.max_documents`: input should be a whole number, got {1}"),
        ({"max_cost_usd": 1, 7: 8}, "`budget[7]`: keys should be strings, got 8"),
        ([("max_cost_usd", 1)], "`budget`: input should be a table, got a list"),
    ],
)
def test_values_that_no_file_has(folder: Path, value: object, words: str) -> None:
    assert words in problem_of(folder, budget=value).rendered


def test_a_dictionary_that_contains_itself(folder: Path) -> None:
    job: dict[str, Any] = {"name": "x"}
    job["tags"] = job
    assert "nested too deeply" in problem_of(folder, job=job).rendered


def test_keys_of_the_api_are_never_shown(folder: Path) -> None:
    said = problem_of(folder, model={**JOB["model"], "api_key": "sk-ant-api03-secret"}).rendered
    assert "keys never belong in a job file" in said
    assert "secret" not in said


def test_documents_and_a_source_that_names_others(folder: Path) -> None:
    source = {"type": "files", "include": ["*.txt"]}
    job = {**JOB, "source": source, "prompt": {"user": "{{ doc.text }}"}}
    with pytest.raises(batchrun.UsageProblem, match=r"`documents` are given, and \[source\] of the job names others"):
        batchrun.Job.from_dict(job, root=folder, documents=letters())


def test_a_job_without_its_documents(folder: Path) -> None:
    job = batchrun.Job.from_dict({**JOB, "source": {"type": "memory"}}, root=folder)
    with pytest.raises(batchrun.UsageProblem, match="a program gives the documents, and no program does"):
        job.plan()


def requests(folder: Path) -> dict[str, list[str]]:
    """The ids of the requests of each document, from the ledger."""
    with sqlite3.connect(folder / ".batchrun" / "ledger.simulated.sqlite3") as connection:
        rows = connection.execute(
            "select doc_id, json_group_array(request_id) from documents join requests using (request_no) group by 1"
        )
        return {doc_id: sorted(json.loads(ids)) for doc_id, ids in rows}


@pytest.fixture(scope="module")
def submitted(folder: Path) -> Path:
    """Two documents of the dictionary, then two of the same job as a file, then all of the dictionary again."""
    job = batchrun.Job.from_dict(JOB, root=folder, documents=letters())
    assert job.submit_sync(limit=2, **FAST).exit_code == ExitCode.OK
    (folder / "jobs").mkdir()
    (folder / "jobs" / "letters.toml").write_text(tomlkit.dumps({**JOB, "source": {"type": "memory"}}))
    return folder / "jobs" / "letters.toml"


def test_a_file_and_a_dictionary_go_on_with_one_another(submitted: Path, folder: Path) -> None:
    before = requests(folder)
    file = batchrun.open(submitted, documents=letters())
    plan = file.plan(simulate=True)
    assert (plan.to_send, plan.documents) == (2, 4)
    run = file.submit_sync(**FAST)
    assert run.results().fetchall() != []
    again = batchrun.Job.from_dict(JOB, root=folder, documents=list(letters()))
    assert again.plan(simulate=True).to_send == 0
    assert again.submit_sync(**FAST).summary.totals is None, "nothing is paid again"
    assert {doc_id: requests(folder)[doc_id] for doc_id in before} == before
    assert len(requests(folder)) == 4


def test_changed_documents_are_sent_again(submitted: Path, folder: Path) -> None:
    changed = [{**one, "text": one["text"].replace("1904", "1905")} for one in letters(2)]
    plan = batchrun.Job.from_dict(JOB, root=folder, documents=changed).plan(simulate=True)
    assert plan.to_send == 2


def test_duplicates_are_refused(folder: Path) -> None:
    job = batchrun.Job.from_dict(JOB, root=folder, documents=[*letters(2), *letters(1)])
    with pytest.raises(batchrun.Refused, match="letter-000"):
        job.plan(simulate=True)


def test_commands_say_that_there_is_no_job_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line = CommandLine(capsys)
    name = {**JOB, "job": {"name": "no-file"}}
    run = batchrun.Job.from_dict(name, root=folder, documents=letters(1)).submit_sync(**FAST)
    shown = command_line(f"status {run.id}")
    assert shown.code == ExitCode.OK
    assert "the program that gave the job goes on with it" in shown.out
    assert "batchrun results" not in shown.out
    for command in ("retry", "results"):
        ran = command_line(f"{command} {run.id}")
        assert ran.code == ExitCode.USAGE
        assert "the job of this run was given by a program, and has no job file" in ran.err
        assert "job.submit_sync(retry=True)" in ran.err
    (folder / "memory.toml").write_text(tomlkit.dumps({**JOB, "source": {"type": "memory"}}))
    ran = command_line("plan memory.toml")
    assert ran.code == ExitCode.USAGE
    assert "batchrun.open(" in ran.err
