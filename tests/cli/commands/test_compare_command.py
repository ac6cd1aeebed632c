"""`batchrun compare`: what two runs have answered, which key did it, and what it cost."""

import contextlib
import csv
import json
import re
import sqlite3

import pytest
from command_line import CommandLine, on_a_terminal
from scripted_provider import ScriptedProvider, answer, lost
from trial_project import TrialProject

from batchrun.events import RunStarted

pytestmark = pytest.mark.slow

FIELDS = 'title = "string"\npages = "integer?"'
FORMULA = "=1+1\x1b[31m"
Runs = tuple[str, str]


def answering(before: str, *answers: tuple[str, int | None]) -> ScriptedProvider:
    """An API that gives the documents `text 0`, `text 1` and so on, behind these words, these titles and pages."""
    given = (answer({"title": title, "pages": pages}) for title, pages in answers)
    return ScriptedProvider({f"{before}text {number}": [one] for number, one in enumerate(given)})


def submitted(project: TrialProject, provider: ScriptedProvider, *, job: str = "trial") -> str:
    """Submit without an output, and return the id of the run."""
    project.execute(provider, job=job)
    return next(event.run_id for event in reversed(project.events) if isinstance(event, RunStarted))


@pytest.fixture
def runs(project: TrialProject) -> Runs:
    """Two runs over three documents, between which the file of the prompt has changed."""
    project.documents(3)
    prompt = project.root / "a.md"
    prompt.write_text("Read: {{ doc.text }}")
    project.job(prompt='user_file = "a.md"', output_fields=FIELDS)
    before = submitted(project, answering("Read: ", ("one", 10), ("two", 20), ("three", None)))
    prompt.write_text("Read well: {{ doc.text }}")
    return before, submitted(project, answering("Read well: ", ("one", 11), (FORMULA, 20), ("three", 3)))


def test_the_screen(batchrun: CommandLine, runs: Runs) -> None:
    ran = batchrun(f"compare {runs[0]} {runs[1]}")

    assert (ran.code, ran.err) == (0, "")
    without_times = "".join(line for line in ran.out.splitlines(keepends=True) if not line.startswith("latency"))
    assert (
        without_times
        == f"""\
{runs[0]} -> {runs[1]}: 3 of 3 documents changed (100.0%)
  values   3 of 6 changed (50.0%)
  key      prompt.user_file: changed (a.md)

FIELD  CHANGED    TO NULL  FROM NULL  MEDIAN CHANGE  DRIFT
pages  2 (66.7%)  0        1          +10.0%
title  1 (33.3%)  0        0

changes, for example
  docs/0000.txt  pages  10 -> 11
  docs/0001.txt  title  "two" -> "=1+1\\u001b[31m"
  docs/0002.txt  pages  null -> 3

                        BEFORE            NOW               CHANGE
run                     {runs[0]}              {runs[1]}
model                   claude-haiku-4-5  claude-haiku-4-5
documents               3                 3
failed                  0 (0.0%)          0 (0.0%)
cost                    $0.00045          $0.00045
cost / 1,000 documents  $0.1500           $0.1500
input tokens            300               300
output tokens           30                30

next: batchrun compare {runs[0]} {runs[1]} -o changes.csv
      batchrun results {runs[1]} --doc=docs/0000.txt
"""
    )


def test_what_is_to_be_typed_next_works(batchrun: CommandLine, runs: Runs, project: TrialProject) -> None:
    said = batchrun(f"compare {runs[0]} jobs/trial.toml").out

    typed = re.findall(r"batchrun (\w+ .*)", said)
    assert [batchrun(line).code for line in typed] == [0, 0]
    assert (project.root / "changes.csv").exists()


def test_csv_has_a_line_for_each_change_and_no_formula(
    batchrun: CommandLine, runs: Runs, project: TrialProject
) -> None:
    ran = batchrun(f"compare {runs[0]} last -o changes.csv")

    with (project.root / "changes.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["doc_id", "field", "before", "now"],
            ["docs/0000.txt", "pages", "10", "11"],
            ["docs/0001.txt", "title", "two", f"'{FORMULA}"],
            ["docs/0002.txt", "pages", "", "3"],
        ]
    assert "3 changes written to changes.csv" in ran.err


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_other_endings(batchrun: CommandLine, runs: Runs, project: TrialProject, ending: str) -> None:
    path = project.root / f"changes.{ending}"
    assert batchrun(f"compare {runs[0]} {runs[1]} -o {path}").code == 0

    text = path.read_text()
    rows = json.loads(text if ending == "json" else f"[{','.join(text.splitlines())}]")
    assert rows[0] == {"doc_id": "docs/0000.txt", "field": "pages", "before": 10, "now": 11}
    assert rows[2] == {"doc_id": "docs/0002.txt", "field": "pages", "before": None, "now": 3}


def test_a_file_that_cannot_be_written_is_told(batchrun: CommandLine, runs: Runs) -> None:
    ran = batchrun(f"compare {runs[0]} last -o /dev/null/x.csv")
    assert ran.code == 5
    assert ran.err.startswith("error: /dev/null/x.csv cannot be written:")
    ran = batchrun(f"compare {runs[0]} last -o x.parquet")
    assert (ran.code, ran.out) == (2, "")
    assert "changes are not written as parquet" in ran.err


def test_json(batchrun: CommandLine, runs: Runs) -> None:
    found = batchrun(f"compare {runs[0]} {runs[1]} --json").json

    assert [found[side]["run"] for side in ("before", "now")] == list(runs)
    assert found["documents"]["changed"] == 3
    assert found["fields"]["pages"]["median_relative_change"] == 0.1
    assert found["fields"]["pages"]["drift"]["level"] == "none"
    assert [key["key"] for key in found["keys"]] == ["prompt.user"]
    assert found["examples"][0] == {"doc_id": "docs/0000.txt", "field": "pages", "before": 10, "now": 11}
    assert found["now"]["usd_per_1000_documents"] == 0.15


def test_two_jobs_whose_documents_and_several_keys_differ(batchrun: CommandLine, project: TrialProject) -> None:
    project.documents(2)
    project.job("cheap")
    submitted(project, ScriptedProvider(default=answer({"title": "x"})), job="cheap")
    project.document("more.txt", "another text")
    model = 'name = "claude-opus-4-5"\nmax_tokens = 100\neffort = "low"'
    project.job("strong", model=model)
    submitted(project, ScriptedProvider({"text 1": [answer("no JSON")]}, answer({"title": "x"})), job="strong")

    said = batchrun("compare jobs/cheap.toml strong").out

    assert "0 of 1 document changed" in said
    assert '  key      model.name: "claude-haiku-4-5" -> "claude-opus-4-5"\n' in said
    assert '           model.effort: the default -> "low"\n' in said
    assert "2 keys changed at once: the effect cannot be attributed to one of them" in said
    assert re.search(r"\nonly in this run +0 +1\nanswered in this run alone +1 +0\n", said)
    assert re.search(r"failed +0 \(0.0%\) +1 \(33.3%\)", said)
    assert "changes, for example" not in said
    assert "next:" not in said


def test_gold_labels_say_what_is_better(batchrun: CommandLine, runs: Runs, project: TrialProject) -> None:
    (project.root / "labels.csv").write_text("doc_id,title,pages\ndocs/0000.txt,one,11\ndocs/0001.txt,two,20\n")
    project.job(prompt='user_file = "a.md"', output_fields=FIELDS, gold='path = "labels.csv"')

    found = batchrun(f"compare {runs[0]} {runs[1]} --json").json["gold"]
    assert [found[key] for key in ("documents", "cells", "right", "found")] == [2, 4, [3, 3], False]
    said = batchrun(f"compare {runs[0]} {runs[1]}").out
    assert "  gold     3 -> 3 right, of 4 labelled values in 2 documents\n" in said
    assert "           no difference found: too few documents\n" in said


def test_an_answer_that_was_lost_may_have_been_billed(batchrun: CommandLine, runs: Runs, project: TrialProject) -> None:
    project.job(prompt='user = "Again: {{ doc.text }}"', output_fields=FIELDS)
    given = answer({"title": "one", "pages": 1})
    submitted(project, ScriptedProvider({"Again: text 0": [lost(), given]}, default=given))

    assert re.search(
        r"^lost answers, at most +\$0.00 +\$0\.\d+$", batchrun(f"compare {runs[0]} last").out, re.MULTILINE
    )


def test_a_job_file_that_is_gone_hinders_nothing(batchrun: CommandLine, runs: Runs, project: TrialProject) -> None:
    (project.root / "jobs" / "trial.toml").unlink()

    assert "3 of 3 documents changed" in batchrun(f"compare {runs[0]} {runs[1]}").out


def test_a_run_of_an_earlier_version_has_no_recorded_keys(
    batchrun: CommandLine, runs: Runs, project: TrialProject
) -> None:
    with contextlib.closing(sqlite3.connect(project.ledger_path)) as ledger:
        ledger.execute("update run_plans set plan = '{}' where run_no = 1")
        ledger.commit()

    assert f"  keys     not recorded for {runs[0]}" in batchrun(f"compare {runs[0]} {runs[1]}").out


def test_wrong_words(batchrun: CommandLine, runs: Runs) -> None:
    said = {
        "last trial": f"both words mean the run {runs[1]}.",
        "last nothing": "there is no run nothing",
        "last jobs/nothing.toml": "there is no job file",
        "last": "Missing argument 'NOW'",
    }
    for words, problem in said.items():
        ran = batchrun(f"compare {words}")
        assert (ran.code, ran.out) == (2, "")
        assert problem in ran.err


def test_no_line_is_wider_than_the_terminal(runs: Runs, project: TrialProject) -> None:
    lines = on_a_terminal(project.root, f"compare {runs[0]} {runs[1]}", 80)

    assert any(line.startswith("  docs/0001.txt") for line in lines)
    assert [line for line in lines if len(line) > 80 and "-m batchrun" not in line] == []
