"""What `plan`, `submit` and `results` say of how documents were read, and of rows that documents have left."""

import random
import re
from base64 import encodebytes

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

GERMAN = "Vergütung für Müller, gemäß § 5, zuzüglich Spesen"
PLAN, SUBMIT = "plan jobs/trial.toml", "submit jobs/trial.toml"


def in_latin(project: TrialProject, count: int) -> None:
    for number in range(count):
        (project.root / "docs" / f"latin{number}.txt").write_bytes(f"{GERMAN} {number}".encode("cp1252"))


def test_guessed_encodings(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(1)
    in_latin(project, 3)

    assert "         guessed encodings: windows-1252 (3); plan -v names the documents\n" in batchrun(PLAN).out
    named = re.findall(r"^new +(\S+) .*read as windows-1252 \(guessed\)$", batchrun(f"{PLAN} -v").out, re.MULTILINE)
    assert named == ["docs/latin0.txt", "docs/latin1.txt", "docs/latin2.txt"]
    plan = batchrun(f"{PLAN} --json").json
    assert plan["guessed_encodings"][0] == {
        **dict.fromkeys(["doc_id", "id"], "docs/latin0.txt"),
        "encoding": "windows-1252",
    }
    assert len(plan["guessed_encodings"]) == 3
    assert "3 documents in a guessed encoding; batchrun plan -v names them\n" in batchrun(SUBMIT).err
    shown = batchrun("results trial --doc docs/latin1.txt").out
    assert "note     read as windows-1252 (guessed)\n" in shown
    assert batchrun("results trial --doc docs/latin1.txt --json").json["note"] == "read as windows-1252 (guessed)"


def test_any_number_of_notes_is_a_few_lines(project: TrialProject, batchrun: CommandLine) -> None:
    for number in range(30):
        project.document(f"{number}.txt", "text" + "\0" * (number % 7 + 2) + str(number))

    said = [line for line in batchrun(PLAN).out.splitlines() if "NUL" in line]

    assert said == ["         2 NUL bytes removed, and the like: 30 documents"]


def test_removed_documents(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    batchrun(SUBMIT)
    (project.root / "docs" / "0000.txt").unlink()
    said = '1 row belongs to a document that is no longer in the source: [source] on_removed = "drop" removes it\n'

    assert said in batchrun(PLAN).out
    assert batchrun(f"{PLAN} --json").json["documents"]["gone_rows"] == 1
    assert f"  gone     {said}" in batchrun(SUBMIT).out
    assert said in batchrun("results trial").err
    project.job(source='type = "files"\ninclude = ["docs/*.txt"]\non_removed = "drop"')
    assert "no longer in the source: submit removes it\n" in batchrun(PLAN).out
    assert "  dropped  1 row of a document that is no longer in the source\n" in batchrun(SUBMIT).out
    assert "source" not in batchrun("results trial").err
    assert "dropped" not in batchrun(SUBMIT).out


def test_mostly_markup(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(budget="max_cost_usd = 0.000001")
    project.document("a.txt", encodebytes(random.Random(1).randbytes(60_000)).decode())
    said = r"1 document is mostly markup or base64 \((9\d|100)% of docs/a\.txt\): its text costs about \$0\.0\d+"

    assert re.search(f"^warning  {said}$", batchrun(PLAN).out, re.MULTILINE)
    ran = batchrun(SUBMIT)
    assert re.search(f"^warning: {said}$", ran.err, re.MULTILINE)
    assert ran.code == ExitCode.REFUSED


def test_tables(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(source='type = "files"\ninclude = ["docs/*"]')
    project.document("a.csv", "id,text\n1,a\n")
    one = '         1 file looks like a table and is one document; for a document a row: type = "table"\n'
    assert one in batchrun(PLAN).out
    project.document("b.tsv", "id\ttext\n1\ta\n")
    two = '         2 files look like tables and are one document each; for a document a row: type = "table"\n'
    assert two in batchrun(PLAN).out
    assert batchrun(f"{PLAN} --json").json["table_files"] == 2


def test_no_line_is_longer_than_a_person_can_use(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(source='type = "files"\ninclude = ["docs/**"]')
    deep = "/".join(["a folder with a long name"] * 20)
    (project.root / "docs" / deep).mkdir(parents=True)
    project.document(f"{deep}/empty.txt", "")
    project.document(f"{deep}/full.txt", "text")

    assert max(map(len, batchrun(PLAN).out.splitlines())) < 180
    assert max(map(len, batchrun(f"{PLAN} -v").out.splitlines())) < 300


def test_what_was_typed_about_reading_stays(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)

    said = batchrun(f"{PLAN} --rescan --reread -o plan.json").out

    assert said.splitlines()[-1].endswith("batchrun submit --plan=plan.json")
    assert (
        batchrun(f"{PLAN} --rescan --reread")
        .out.splitlines()[-1]
        .endswith("batchrun submit jobs/trial.toml --rescan --reread")
    )
    assert batchrun("submit --plan plan.json").code == ExitCode.OK
    again = batchrun(f"{SUBMIT} --rescan --reread --max-cost 0.0000001")
    assert again.code == ExitCode.OK
