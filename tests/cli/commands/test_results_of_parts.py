"""`batchrun results` of long documents, which are asked in parts."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SOURCE = 'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "split"\nsplit_tokens = 1_000'


@pytest.fixture(autouse=True)
def answered(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(source=SOURCE)
    project.document("long.txt", "\n\n".join(f"Clause {number}. The parties agree on it." for number in range(200)))
    project.document("short.txt", "A short letter.")
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK


def test_a_long_document_is_one_row(batchrun: CommandLine) -> None:
    for status in ("succeeded", "all"):
        rows = batchrun(f"results trial --status {status} --json").json
        assert [row["doc_id"] for row in rows] == ["docs/long.txt", "docs/short.txt"]
        assert all(row["title"] for row in rows)


def test_a_long_document_in_full(batchrun: CommandLine) -> None:
    story = batchrun("results trial --doc docs/long.txt --json").json
    assert (story["doc_id"], story["status"], story["raw"]) == ("docs/long.txt", "succeeded", None)
    assert story["output"]
    parts = len(story["attempts"])
    assert parts > 1
    assert story["cost_usd"] == pytest.approx(sum(attempt["cost_usd"] for attempt in story["attempts"]))
    part = f"docs/long.txt [part 1 of {parts}]"
    assert story["note"] == f"asked in {parts} parts, such as {part}"
    assert f"{part}  succeeded" in batchrun("results trial --doc", part).out
    assert batchrun("results trial --doc docs/long.txt").out.startswith("docs/long.txt  succeeded  $")


def test_which_parts_gave_a_value(batchrun: CommandLine) -> None:
    story = batchrun("results trial --doc docs/long.txt --json").json
    parts = story["provenance"]["title"]["parts"]
    assert parts
    assert parts == sorted(parts)
    shown = batchrun("results trial --doc docs/long.txt").out
    named = f"(part {parts[0]})" if len(parts) == 1 else f"(parts {', '.join(map(str, parts))})"
    assert named in shown
    assert "(part" not in batchrun("results trial --doc docs/short.txt").out
