"""`batchrun eval`: the answers of a run held against gold labels, on the screen, for programs and as an exit code."""

import csv
import json
from collections.abc import Mapping
from typing import Any

import pytest
from command_line import CommandLine
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.events import RunStarted

FIELDS = 'kind = { enum = ["lease", "sale", "other"], nullable = true }\npages = "integer?"'
GOLD = 'path = "labels.csv"'
Row = Mapping[str, Any]


def submitted(project: TrialProject, rows: list[Row], *, prompt: str = "") -> str:
    """Run the job; the document `text N` gets the Nth answer. Returns the id of the run."""
    project.job(prompt=f'user = "{prompt}{{{{ doc.text }}}}"', output_fields=FIELDS, gold=GOLD)
    script = {f"{prompt}text {number}": [answer(dict(row))] for number, row in enumerate(rows)}
    project.execute(ScriptedProvider(script))
    return next(event.run_id for event in reversed(project.events) if isinstance(event, RunStarted))


def label(project: TrialProject, rows: list[Row]) -> None:
    with (project.root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["doc_id", "kind", "pages"])
        for number, row in enumerate(rows):
            writer.writerow([f"docs/{number:04}.txt", row["kind"], row["pages"]])


RIGHT: list[Row] = [{"kind": ("lease", "sale")[number % 2], "pages": number} for number in range(30)]
WRONG: dict[int, Row] = {
    3: {"kind": "lease", "pages": 3},
    5: {"kind": None, "pages": None},
    7: {"kind": "sale", "pages": 70},
}
ANSWERS = [WRONG.get(number, row) for number, row in enumerate(RIGHT)]


@pytest.fixture
def run_id(project: TrialProject) -> str:
    """A run over 30 documents, of whose 60 values four are wrong."""
    project.documents(30)
    label(project, RIGHT)
    return submitted(project, ANSWERS)


def test_the_screen(batchrun: CommandLine, run_id: str) -> None:
    ran = batchrun("eval trial")
    assert (ran.code, ran.err) == (0, "")
    assert (
        ran.out
        == f"""\
trial run {run_id}: 93.3% right (90%: 77.8% to 98.2%) by labels.csv
  labels   30 documents, 2 fields

FIELD       RIGHT (90%)           OF  PRECISION  RECALL  F1 (90%)
kind        93.3% (68.1 to 98.9)  30  96.6%      93.3%   94.9% (72.6 to 99.2)
pages       93.3% (68.1 to 98.9)  30  96.6%      93.3%   94.9% (72.6 to 99.2)
all fields  93.3% (77.8 to 98.2)  60  96.6%      93.3%   94.9% (83.4 to 98.6)

kind, label -> answer
  "sale" -> "lease": 1
  "sale" -> null: 1

docs/0005.txt   2 fields wrong
  kind
    label    "sale"
    answer   null
  pages
    label    5
    answer   null

docs/0003.txt   1 field wrong
  kind
    label    "sale"
    answer   "lease"

docs/0007.txt   1 field wrong
  pages
    label    7
    answer   70
"""
    )


def f1_of(pairs: list[tuple[Any, Any]]) -> tuple[float, float, float]:
    """Precision, recall and F1 as a textbook has them: null is no value, and another value is missed and invented."""
    found = sum(gold is not None and gold == given for gold, given in pairs)
    missed = sum(gold is not None and gold != given for gold, given in pairs)
    invented = sum(given is not None and gold != given for gold, given in pairs)
    return found / (found + invented), found / (found + missed), 2 * found / (2 * found + missed + invented)


def test_the_numbers_are_those_of_an_independent_scorer(batchrun: CommandLine, run_id: str) -> None:
    told = batchrun("eval last --json").json
    assert told["run"] == run_id
    for name in ("kind", "pages"):
        pairs = [(gold[name], given[name]) for gold, given in zip(RIGHT, ANSWERS, strict=True)]
        score = told["fields"][name]
        shares = [score[share]["mean"] for share in ("precision", "recall", "f1")]
        assert shares == pytest.approx(f1_of(pairs), abs=1e-6)
        assert score["right"] == sum(gold == given for gold, given in pairs)
    assert told["all_fields"]["accuracy"]["mean"] == pytest.approx(56 / 60, abs=1e-6)


@pytest.mark.parametrize(("least", "code"), [("0.7", 0), ("0.77", 0), ("0.9", 1), ("0.93", 1)])
def test_the_lower_bound_decides(batchrun: CommandLine, run_id: str, least: str, code: int) -> None:
    assert batchrun(f"eval {run_id} --fail-under {least}").code == code


def test_fewer_than_20_documents_have_counts(batchrun: CommandLine, project: TrialProject) -> None:
    project.documents(4)
    label(project, RIGHT[:4])
    run_id = submitted(project, ANSWERS[:4])
    words = batchrun("eval trial").out
    assert words.startswith(
        f"trial run {run_id}: 7 of 8 values right by labels.csv\n  labels   4 documents, 2 fields\n"
    )
    assert "%" not in words
    assert "FIELD       RIGHT   PRECISION  RECALL\nkind        3 of 4  3 of 4     3 of 4\n" in words


def test_documents_without_answer_count_and_those_of_other_runs_do_not(
    batchrun: CommandLine, project: TrialProject
) -> None:
    project.documents(2)
    project.document("0002.txt", "")
    label(project, RIGHT[:5])
    submitted(project, RIGHT[:2])
    words = batchrun("eval trial").out
    assert "4 of 6 values right" in words
    assert "1 document without an answer, counted as null in all fields\n" in words
    assert "2 documents with labels not in this run: docs/0003.txt, docs/0004.txt\n" in words


def test_a_run_that_is_worse_fails(batchrun: CommandLine, project: TrialProject, run_id: str) -> None:
    worse = submitted(project, [{"kind": "other", "pages": 0}] * 8 + ANSWERS[8:], prompt="Again: ")
    ran = batchrun(f"eval {worse} --against {run_id} --json")
    assert (ran.code, ran.json["against"]["run"], ran.json["against"]["worse"]) == (1, run_id, True)
    assert "worse" in batchrun(f"eval {worse} --against {run_id}").out
    assert batchrun(f"eval {run_id} --against {worse}").code == 0


def test_where_nothing_differs_it_says_what_would_have_been_found(
    batchrun: CommandLine, project: TrialProject, run_id: str
) -> None:
    submitted(project, ANSWERS, prompt="Again: ")
    ran = batchrun(f"eval last --against {run_id}")
    assert ran.code == 0
    assert "no difference found; a difference of " in ran.out
    assert "points would have been found" in ran.out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("eval trial --against trial", "both words mean the run"),
        ("eval nobody", "there is no run nobody"),
        ("eval trial --fail-under 95", "95.0 is not in the range"),
        ("eval trial --fail-under nan", "'nan' is not a number"),
    ],
    ids=["same run", "no run", "percent", "no number"],
)
def test_wrong_words(batchrun: CommandLine, run_id: str, command: str, told: str) -> None:
    ran = batchrun(command)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


def test_labels_are_needed(batchrun: CommandLine, project: TrialProject) -> None:
    project.documents(1)
    project.job()
    project.execute(ScriptedProvider())
    ran = batchrun("eval trial")
    assert (ran.code, ran.out) == (2, "")
    assert 'path = "labels.csv"' in ran.err


def test_labels_of_other_documents_are_told(batchrun: CommandLine, project: TrialProject, run_id: str) -> None:
    (project.root / "labels.csv").write_text("doc_id,pages\nelsewhere.txt,1\n")
    ran = batchrun("eval trial")
    assert (ran.code, ran.out) == (2, "")
    assert f"no document of the run {run_id} has labels in labels.csv" in ran.err


@pytest.mark.slow
def test_the_summary_has_the_scores_and_status_keeps_them(batchrun: CommandLine, project: TrialProject) -> None:
    project.documents(4)
    label(project, RIGHT[:4])
    project.job(output_fields=FIELDS, gold=GOLD)
    script = {f"text {number}": [answer(dict(row))] for number, row in enumerate(ANSWERS[:4])}
    summary = project.submit(ScriptedProvider(script))
    assert summary.gold is not None
    assert summary.gold.scores is not None
    assert summary.gold.scores.pooled.right == 7
    line = "  gold     7 of 8 values right by labels.csv, 4 documents · least: kind 3 of 4\n"
    assert line in batchrun("status trial").out
    (project.root / "labels.csv").unlink()
    assert line in batchrun("status trial").out
    assert json.loads(batchrun("status trial --json").out.splitlines()[-1])["gold"]["all_fields"]["right"] == 7


@pytest.mark.slow
def test_labels_that_cannot_be_read_do_not_fail_a_run(project: TrialProject) -> None:
    project.documents(1)
    project.job(gold=GOLD)
    summary = project.submit(ScriptedProvider())
    assert summary.exit_code == 0
    assert summary.gold is not None
    assert "labels.csv" in str(summary.gold.problem)
