"""The documents of a run as JUnit XML, in which continuous integration shows what became of each of them."""

from collections import Counter
from collections.abc import Iterator

from batchrun.outcome import Outcome
from batchrun.report.facts import PENDING, RunReport
from batchrun.report.markup import Markup, tag, text
from batchrun.report.texts import plain_reason
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.run_answers import RunDocument, run_documents
from batchrun.store.reports.runs import RunStory

FAILURES = frozenset({Outcome.INVALID, Outcome.TRUNCATED, Outcome.REFUSED})
"""The outcomes of documents that were answered; whatever else keeps a document from its row is an error."""


def junit(ledger: Ledger, report: RunReport, *, has_texts: bool = True) -> Iterator[str]:
    """Yield the file in parts: a test case for each document, which is read only when its turn has come."""
    story, fields = report.story, [one.field for one in report.fields]
    counts = Counter(_kind(one) for one in run_documents(ledger, story.run_no, about=report.documents))
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    yield _head(story, counts)
    for one in run_documents(ledger, story.run_no, about=report.documents):
        reason = one.reason or "" if has_texts else plain_reason(one.reason, one.outcome, fields)
        yield f"{_case(one, story.job, reason)}\n"
    yield "</testsuite>\n</testsuites>\n"


def _head(story: RunStory, counts: Counter[str]) -> str:
    name = f"{story.job} run {story.run_id}" + (" (simulated)" if story.simulated else "")
    numbers = {"tests": counts.total()} | {f"{kind}s": counts[kind] for kind in ("failure", "error")}
    facts = {"run_id": story.run_id, "simulated": str(story.simulated).lower(), "state": story.state}
    properties = tag("properties", *(tag("property", name=name, value=value) for name, value in facts.items()))
    begun = {"name": name, **numbers, "skipped": counts["skipped"]}
    shown = " ".join(f'{key}="{text(str(value))}"' for key, value in begun.items())
    return f"<testsuite {shown}>\n{properties}\n"


def _kind(one: RunDocument) -> str:
    if one.outcome is Outcome.SUCCEEDED:
        return ""
    if not one.failed:
        return "skipped"
    return "failure" if one.outcome in FAILURES else "error"


def _case(one: RunDocument, job: str, reason: str) -> Markup:
    kind, outcome = _kind(one), str(one.outcome or PENDING)
    why = {"message": f"{outcome}: {reason}" if reason else outcome}
    told = [tag(kind, type=None if kind == "skipped" else outcome, **why)] if kind else []
    seconds = None if one.seconds is None else f"{max(one.seconds, 0.0):.3f}"
    return tag("testcase", *told, classname=job, name=one.doc_id, time=seconds)
