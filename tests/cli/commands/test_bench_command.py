"""`batchrun bench`: the jobs that it makes, what it refuses, and the score that it prints by itself or again."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from command_line import CommandLine
from published_samples import cuad, extract_bench, kleister
from trial_project import TrialProject

from batchrun.quality.published import kleister as kleister_nda
from batchrun.quality.published.benchmark import Pair
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.runs import run_stories
from batchrun.workflow import bench as workflow

pytestmark = pytest.mark.slow


def pairs_of(job: Path, folder: Path, *, simulated: bool) -> Sequence[Pair]:
    """What is expected of all documents, and what the job has answered."""
    benchmark = kleister_nda.read(folder)
    assert benchmark
    cases = {case.doc_id: case for case in benchmark.groups[0].cases}
    return workflow.answers_of(workflow.BenchJob(read_job(job), cases), simulated=simulated).pairs


def test_a_benchmark_is_run_once_and_its_score_is_that_of_the_job_file(
    batchrun: CommandLine, project: TrialProject
) -> None:
    kleister(project.root / "nda")

    first = batchrun("bench nda --simulate --json")
    again = batchrun("bench nda --simulate")

    assert (first.code, again.code) == (0, 0)
    *_, run_end, scored = first.events
    job = project.root / "nda/batchrun-bench/kleister-nda-dev-0.toml"
    assert run_end["event"] == "run_end"
    assert (scored["documents"], scored["unanswered"], scored["models"]) == (3, 0, ["claude-haiku-5-5"])
    pairs = pairs_of(job, project.root / "nda", simulated=True)
    assert all(answer for _, answer in pairs)
    assert scored["scores"][0]["value"] == kleister_nda.scores(pairs)[0].value
    assert again.out.startswith("SIMULATED  Kleister-NDA dev-0 · 3 documents")  # and no summary of a run before
    assert f"F1, upper case              {scored['scores'][0]['value']:.4f}" in again.out
    assert "the numbers say nothing of a model" in again.out
    assert "answers are hidden" in again.out

    job_text = job.read_text()
    job.write_text(job_text.replace("claude-haiku-5-5", "claude-haiku-4-5"))
    other = batchrun("bench nda --simulate --json").events[-1]
    job.write_text(job_text)
    limited = batchrun("bench nda --simulate --limit 1 --json").events[-1]

    # The score is that of the job file as it is: the answers of before are the answers again, and nothing is sent.
    assert [one.removesuffix("-20251001") for one in other["models"]] == ["claude-haiku-4-5"]
    assert limited["models"] == ["claude-haiku-5-5"]
    assert 0 < limited["cost_usd"] < scored["cost_usd"]  # what the scored document cost, not the job


def test_real_money_needs_a_cap_and_a_changed_job_file_stays(
    batchrun: CommandLine, project: TrialProject, api: SimulatorServer
) -> None:
    kleister(project.root / "nda")

    without = batchrun("bench nda")
    job = project.root / "nda/batchrun-bench/kleister-nda-dev-0.toml"
    job.write_text(job.read_text().replace("claude-haiku-5-5", "claude-haiku-4-5"))
    too_low = batchrun(f"bench nda --max-cost 0.00001 --limit 2 --job {job}")
    limited = batchrun("bench nda --max-cost 1 --limit 2")

    assert (without.code, too_low.code) == (3, 3)
    assert "no --max-cost is given. Nothing was sent." in without.err
    assert "--max-cost is $0.00001" in too_low.err
    assert " bench nda --limit=2 --job=nda/batchrun-bench/kleister-nda-dev-0.toml --max-cost=0.0" in too_low.err
    assert limited.code == 0
    assert "2 documents · claude-haiku-4-5" in limited.out
    assert "the first 2 of 3 documents: this is not the benchmark's number" in limited.out
    assert [bool(answer) for _, answer in pairs_of(job, project.root / "nda", simulated=False)] == [True, True, False]


def test_a_run_that_stops_has_no_score_and_the_same_command_goes_on(
    batchrun: CommandLine, project: TrialProject, api: SimulatorServer
) -> None:
    kleister(project.root / "nda")
    api.simulator.extend_script(["ok", "authentication"])

    stopped = batchrun("bench nda --max-cost 1")
    again = batchrun("bench nda --max-cost 1")

    assert stopped.code == 5
    assert "the score follows when all documents are settled" in stopped.err
    assert "F1" not in stopped.out
    assert again.code == 0
    assert "3 documents · claude-haiku-5-5" in again.out


def test_every_schema_is_a_job_and_a_document_without_an_answer_counts(
    batchrun: CommandLine, project: TrialProject
) -> None:
    extract_bench(project.root / "bench")

    ran = batchrun("bench bench --simulate --json --max-cost 1")

    assert ran.code == 1  # the schema that no job can say is asked for as text, and the simulator writes no JSON
    scored = ran.events[-1]
    assert (scored["documents"], scored["unanswered"]) == (3, 1)
    assert [one["name"] for one in scored["scores"]][-2:] == ["value F1, short (2)", "value F1, long (1)"]
    as_text = (project.root / "bench/batchrun-bench/extractbench-02.toml").read_text()
    assert 'mode = "text"' in as_text
    with Ledger.read(project.root / ".batchrun/ledger.simulated.sqlite3") as ledger:
        second, first = run_stories(ledger)
    assert first.cap_nusd == 10**9
    assert second.cap_nusd == 10**9 - first.committed_nusd  # the amount is for all jobs together
    assert '\\"type\\": [\\"string\\", \\"number\\"]' in as_text


def test_a_job_of_ones_own_is_scored(batchrun: CommandLine, project: TrialProject) -> None:
    cuad(project.root / "cuad")
    rows = [{"id": f"Contract {number}", "text": "Acme Inc."} for number in range(3)]
    (project.root / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = project.job(
        "own",
        source='type = "table"\npath = "texts.jsonl"\nid = "id"\ntext = "text"',
        output_fields='parties = { type = "array", items = "string" }',
    )

    ran = batchrun(f"bench cuad --job {own} --simulate")

    assert ran.code == 0
    assert "F1 at Jaccard 0.5" in ran.out
    assert not (project.root / "cuad/batchrun-bench").exists()

    (project.root / "texts.jsonl").write_text("\n".join(map(json.dumps, rows[:2])))
    too_few = batchrun(f"bench cuad --job {own} --simulate")

    assert too_few.code == 2
    assert "no document has the id Contract 2." in too_few.err


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty folder": (lambda folder: folder, "has no benchmark in a form that is known here"),
    "the other ExtractBench": (lambda folder: (folder / "dataset/a/b/pdf+gold").mkdir(parents=True), "Contextual AI"),
    "the answers of another split": (lambda folder: kleister(folder, "train"), "has no benchmark"),
    "a broken label file": (lambda folder: (folder / "test.json").write_text("{"), "it is no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_no_benchmark_is_told_without_a_traceback(
    batchrun: CommandLine, project: TrialProject, case: str
) -> None:
    makes, words = UNUSABLE[case]
    (project.root / "some").mkdir()
    makes(project.root / "some")

    ran = batchrun("bench some --simulate")

    assert ran.code == 2
    assert words in ran.err
    assert "next:" in ran.err
    assert "Traceback" not in ran.words


def test_a_name_with_control_characters_cannot_command_the_terminal(batchrun: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[31mred"
    folder.mkdir()

    ran = batchrun("bench", str(folder))

    assert ran.code == 2
    assert "\x1b" not in ran.words
