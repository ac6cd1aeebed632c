"""What was found out about answers, in words and for programs: only what there is to say."""

from dataclasses import replace

import pytest
from command_line import CommandLine
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.cli.views.findings_text import MOST_FIELDS, findings_lines, percent
from batchrun.cli.views.summary_text import summary_as_text
from batchrun.cli.views.terminal import Terminal
from batchrun.report.summary_json import findings_fields, summary_fields
from batchrun.store.reports.evidence import LOOKED_AT, FieldEvidence, RunFindings

NOTHING = RunFindings(answers=0, fields=[], mended=0, repairs=0, repairs_nusd=0, nulled=0, normalised=0)
TERM = FieldEvidence("term", 200, {"exact": 182, "differs": 12, "none": 6}, 12)
FULL = RunFindings(answers=200, fields=[TERM], mended=14, repairs=17, repairs_nusd=20_000_000, nulled=3, normalised=1)
TEXT = "The initial term of this Agreement is twenty-four (24) months from its date."
SAID = {"term_quote": TEXT, "term": 24}


def test_all_there_is_to_say() -> None:
    assert findings_lines(FULL) == [
        "  evidence term: 200 values, 12 not believed · exact 91% · differs 6% · none 3%",
        "  mended   14 answers were mended, with 17 repairs for $0.0200",
        "  nulled   3 values that failed or had no support",
        "  spelling 1 value was normalised",
    ]
    assert findings_fields(FULL)["evidence"] == {
        "term": {
            "values": 200, "exact": 0.91, "close": 0.0, "differs": 0.06, "missing": 0.0, "none": 0.03, "no_text": 0.0,
            "not_believed": 12,
        }
    }  # fmt: skip


def test_votes_name_the_fields_that_they_disagree_in_most() -> None:
    agreement = {"term": 0.8102, "\x1b[31m": 0.9, "title": 0.991, "day": 1.0}
    voted = replace(NOTHING, voted=1_204, votes=2_528, agreement=agreement)

    (line,) = findings_lines(voted)

    assert line == (
        "  votes    1,204 documents, 2.1 votes each · least agreement: term 81% · \\x1b[31m 90% · title 99%"
    )
    told = findings_fields(voted)
    assert (told["voted"], told["votes"], told["agreement"]) == (1_204, 2_528, agreement)
    assert findings_fields(None)["agreement"] == {}


def test_rates_of_many_answers_are_those_of_the_latest() -> None:
    latest = "           all but repairs in the latest 5,000 answers"

    assert findings_lines(replace(FULL, answers=LOOKED_AT))[-1] == latest
    assert findings_lines(replace(NOTHING, answers=LOOKED_AT)) == []


def test_nothing_to_say() -> None:
    assert findings_lines(NOTHING) == []
    assert findings_fields(None) == findings_fields(NOTHING)


def test_the_worst_fields_have_lines_and_the_others_are_counted() -> None:
    fields = [FieldEvidence(f"field {number}", 1, {"exact": 1}, 0) for number in range(MOST_FIELDS + 2)]
    lines = findings_lines(replace(NOTHING, fields=fields))

    assert len(lines) == MOST_FIELDS + 1
    assert lines[0] == "  evidence field 0: 1 value · exact 100%"
    assert lines[-1] == "  evidence and 2 more fields"


def test_a_name_from_outside_is_harmless() -> None:
    field = FieldEvidence("\x1b[31m" + "x" * 100, 1, {"exact": 1}, 0)

    (line,) = findings_lines(replace(NOTHING, fields=[field]))

    assert "\x1b" not in line
    assert len(line) < 100


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0%"), (0.0001, "1%"), (0.5, "50%"), (0.9999, "99%"), (1.0, "100%")],
    ids=["none", "few", "half", "most", "all"],
)
def test_a_share_is_whole_only_if_it_is(share: float, words: str) -> None:
    assert percent(share) == words


def test_a_summary_and_a_status_tell_the_same(
    project: TrialProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.document("a.txt", TEXT)
    path = project.job(
        output="evidence = true\nmax_repairs = 1",
        output_fields='term = "integer?"',
        prompt='user = "Read: {{ doc.text }}"',
        model='name = "claude-haiku-4-5"\nmax_tokens = 1000',
    )

    summary = project.submit(ScriptedProvider({f"Read: {TEXT}": [answer({"term": "soon"}), answer(SAID)]}))

    lines = ["  evidence term: 1 value · exact 100%", "  mended   1 answer was mended, with 1 repair for $0.00"]
    text = summary_as_text(summary, path, Terminal.of([]))
    assert "\n".join(lines) in text
    monkeypatch.chdir(project.root)
    shown = CommandLine(capsys)("status last")
    assert "\n".join(lines) in shown.out
    told = CommandLine(capsys)("status last --json").json
    assert told["evidence"]["term"]["exact"] == 1.0
    assert told["repairs"] == summary_fields(summary)["repairs"] == 1


def test_a_job_without_evidence_says_nothing_of_it(project: TrialProject) -> None:
    path = project.job()
    project.documents(1)

    summary = project.submit(ScriptedProvider())

    text = summary_as_text(summary, path, Terminal.of([]))
    assert "evidence" not in text
    assert "mended" not in text
