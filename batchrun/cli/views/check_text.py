"""What came of the checks of a job, for people, for programs, and as JUnit XML."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree as ET

from batchrun.cli.views.format import count, cut
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, shown_path
from batchrun.quality.checks.result import CheckResult, CheckStatus, any_fails

SHOWN_WIDTH = 40
"""How many columns of a value in a failing row are shown."""
MOST_CHECKS, MOST_ROWS = 8, 3
"""How many failed checks a summary shows, and how many failing rows of each."""


def checks_as_text(checks: Sequence[CheckResult], job: str, terminal: Terminal, *, simulated: bool) -> str:
    """All checks, with all failing rows that were read."""
    every, labels = count(len(checks), "check"), Counter(map(label, checks))
    told = [f"{labels[word]:,} of {every} {word}" for word in ("failed", "warned") if labels[word]]
    lines = [f"{terminal.simulated_stamp(simulated)}{job}: {', '.join(told) or f'{every} passed'}", ""]
    lines += [line for check in checks for line in check_lines(check)]
    return "\n".join([*lines, "exit 1"] if any_fails(checks) else lines)


def failing_lines(checks: Sequence[CheckResult]) -> Iterator[str]:
    """The checks that failed, with some failing rows of each, or how many passed; no line if there are no checks."""
    failed = [check for check in checks if check.status is not CheckStatus.PASSED]
    for check in failed[:MOST_CHECKS]:
        yield from check_lines(check, most_rows=MOST_ROWS)
    if len(failed) > MOST_CHECKS:
        yield f"  failed   and {count(len(failed) - MOST_CHECKS, 'more check')}"
    elif checks and not failed:
        yield f"  checks   {count(len(checks), 'check')} passed"


def check_lines(check: CheckResult, *, most_rows: int | None = None) -> Iterator[str]:
    """One check, with its failing rows."""
    yield f"  {label(check):<8} {escape_control(check.name)}: {escape_control(check.sentence)}"
    yield from (f"           {row_words(row)}" for row in check.rows[:most_rows])


def label(check: CheckResult) -> str:
    """`passed`, `failed` or `warned`."""
    if check.status is CheckStatus.PASSED:
        return "passed"
    return "failed" if check.fails else "warned"


def row_words(row: Mapping[str, str | None]) -> str:
    """`docs/a.txt  term: 999`."""

    def shown(name: str, value: str | None) -> str:
        if name == "doc_id" and value is not None:
            return shown_path(value)
        return f"{escape_control(name)}: {'null' if value is None else cut(escape_control(value), SHOWN_WIDTH)}"

    return "  ".join(shown(name, value) for name, value in row.items())


def junit_xml(checks: Sequence[CheckResult], *, job: str) -> str:
    """The same as JUnit XML. A check that only warns is a test that passed, with its words as output.

    XML cannot hold control characters: the text of others has them as escapes.
    """
    broken = [check for check in checks if check.fails and check.status is CheckStatus.COULD_NOT_RUN]
    counts = {
        "tests": len(checks),
        "failures": sum(check.fails for check in checks) - len(broken),
        "errors": len(broken),
    }
    suite = ET.Element("testsuite", {"name": job, **{name: str(number) for name, number in counts.items()}})
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=job, name=escape_control(check.name))
        words = escape_control(check.sentence)
        if check.fails:
            kind = "error" if check in broken else "failure"
            told = ET.SubElement(case, kind, message=words, type=str(check.status))
        else:
            told = ET.SubElement(case, "system-out")
        told.text = "\n".join([f"{label(check)}: {words}", *map(row_words, check.rows)])
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
