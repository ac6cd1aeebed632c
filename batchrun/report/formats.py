"""The report of a run in each of its formats, part by part: html and md for people, json and junit for programs."""

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal, assert_never

from batchrun.errors import BatchrunError, UsageProblem
from batchrun.job.report_section import ReportSection
from batchrun.report.collect import collect
from batchrun.report.documents import ReportDocuments, Wanted, report_documents
from batchrun.report.facts import RunReport
from batchrun.report.junit import junit
from batchrun.report.markdown import markdown
from batchrun.report.page import html_page
from batchrun.report.results_section import results_section
from batchrun.report.texts import without_texts
from batchrun.report.words import title_of, verdict
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger

ReportFormat = Literal["html", "md", "json", "junit"]
ENDINGS: Mapping[str, ReportFormat] = {
    "": "html", ".html": "html", ".htm": "html", ".md": "md", ".json": "json", ".xml": "junit",
}  # fmt: skip
"""The format that each ending of a file's name means."""
JSON_VERSION = 1
"""The version of the JSON. Keys may come without another version; none goes or means something else without one."""


def format_of(path: Path) -> ReportFormat:
    """Return the format that the name of a file means. Raises UsageProblem for an ending that means none."""
    if found := ENDINGS.get(path.suffix.lower()):
        return found
    known = ", ".join(ending for ending in ENDINGS if ending)
    raise UsageProblem(f"no report has a name such as {path.name}.", hint=f"endings: {known}; or say --format")


def section_of(job_path: Path) -> ReportSection:
    """Read [report] of a job file. Where no file can be read, nobody knows whether texts may be shown: none may."""
    try:
        return read_job(job_path).spec.report
    except BatchrunError:
        return ReportSection(include_source=False)


def wanted_of(
    section: ReportSection, job_path: Path, *, sample: int | None = None, no_source: bool = False, reads: bool = True
) -> Wanted:
    """Return what is wanted of a run: what [report] says, where `sample` and `no_source` say nothing else.

    Without `reads` no document is read again.
    """
    has_texts = section.include_source and not no_source
    wanted = section.sample if sample is None else sample
    return Wanted(sample=wanted, has_texts=has_texts, job_path=job_path if has_texts and reads else None)


def report_parts(
    ledger: Ledger, run_no: int, kind: ReportFormat, wanted: Wanted, *, root: Path, refresh_s: int | None = None
) -> Iterator[str]:
    """Yield the report of a run; `root` is the project's folder. A page reloads itself every `refresh_s` seconds."""
    report = collect(ledger, run_no, root=root)
    report = report if wanted.has_texts else without_texts(report)
    match kind:
        case "html":
            results = results_section(report_documents(ledger, report, wanted), report.story.run_id)
            yield html_page(report, results, refresh_s=refresh_s)
        case "md":
            yield markdown(report)
        case "json":
            yield as_json(report, report_documents(ledger, report, wanted))
        case "junit":
            yield from junit(ledger, report, has_texts=wanted.has_texts)
        case other:
            assert_never(other)


def framed(ledger: Ledger, run_no: int, section: ReportSection, *, root: Path) -> str:
    """Return the page of a run, without its documents, in a frame within another page, such as a notebook."""
    report = collect(ledger, run_no, root=root)
    report = report if section.include_source else without_texts(report)
    page = html.escape(html_page(report))
    style = "width:100%;height:40em;border:0"
    return f'<iframe title="{html.escape(title_of(report))}" sandbox="" style="{style}" srcdoc="{page}"></iframe>'


def as_json(report: RunReport, documents: ReportDocuments) -> str:
    """Return a report as JSON: the fields of `RunReport`, and the same documents as a page, without pictures.

    Money is in nano-USD, times are in seconds since 1970, and durations are in seconds, as their names say.
    """
    shown = [
        {
            **asdict(one.found), "source": one.source, "values": one.values, "unread": one.unread,
            "evidence": [evidence.as_json for evidence in one.evidence],
        }
        for one in documents.shown
    ]  # fmt: skip
    counted = {"total": documents.total, "problems": documents.problems, "has_texts": documents.has_texts}
    found = verdict(report)
    told = {"batchrun_report": JSON_VERSION, "verdict": f"{found.head} {found.sentence}", **asdict(report)}
    return json.dumps({**told, "documents": {**counted, "shown": shown}}, indent=2, default=_plain) + "\n"


def _plain(value: date | Decimal) -> str | float:
    return value.isoformat() if isinstance(value, date) else float(value)
