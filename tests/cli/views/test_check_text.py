"""What came of checks, as text and as JUnit XML: names, rows and messages may hold anything."""

from xml.etree import ElementTree as ET

from batchrun.cli.views.check_text import failing_lines, junit_xml
from batchrun.errors import ExitCode
from batchrun.job.check_section import Severity
from batchrun.quality.checks.result import CheckResult, CheckStatus
from batchrun.strategy.plan_record import from_json, to_json
from batchrun.workflow.run_end import RunEnd

EVERY = "".join(map(chr, [*range(0x20), 0x7F, 0x85, 0x9B, 0x202E, 0x2028, 0xD800, 0xFFFE, 0xFFFF, 0x1F600]))
EVIL = f"]]></failure>&lt;<!--{EVERY}"


def result(name: str, status: CheckStatus, severity: Severity = "error") -> CheckResult:
    row = {"doc_id": EVIL, EVIL: EVIL, "empty": None}
    return CheckResult(name=name, severity=severity, status=status, sentence=EVIL, number=1, maximum=0, rows=(row,))


ALL = [result(f"{status} {EVIL}", status) for status in CheckStatus] + [result("w", CheckStatus.FAILED, "warn")]


def test_junit_is_well_formed_and_counts() -> None:
    suite = ET.fromstring(junit_xml(ALL, job="trial"))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")
    assert [[child.tag for child in case] for case in suite] == [
        ["system-out"], ["failure"], ["error"], ["system-out"],
    ]  # fmt: skip
    assert (suite[1].get("name") or "").startswith("failed ]]></failure>&lt;<!--\\x00\\x01")
    assert "empty: null" in (suite[1][0].text or "")


def test_text_commands_no_terminal() -> None:
    lines = [*failing_lines(ALL)]
    assert all(line.isprintable() for line in lines)
    assert [line[:9] for line in lines if line[2] != " "] == ["  failed ", "  failed ", "  warned "]


def test_a_summary_stays_short() -> None:
    lines = [*failing_lines([result("name", CheckStatus.FAILED)] * 30)]
    assert lines[-1] == "  failed   and 22 more checks"
    assert [*failing_lines([])] == []


def test_results_are_remembered_and_older_endings_are_read() -> None:
    end = RunEnd(exit_code=ExitCode.OK, seconds=1.0, outcomes={}, pending=0, checks=(ALL[3],))
    written = to_json(end)
    (again,) = from_json(RunEnd, written).checks
    assert (again.name, again.status, again.rows[0]["empty"]) == ("w", CheckStatus.FAILED, None)
    older = written.replace('"checks"', '"unknown"')
    assert from_json(RunEnd, older).checks == ()
