"""Opening a job for review: its ledger is written and its rows follow, and no provider and no document is opened."""

import contextlib
import getpass
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.quality.checks.result import CheckStatus
from batchrun.quality.review.standing import Standing, frozen_answers, standing_of
from batchrun.quality.review.typed_value import typed_value
from batchrun.store.ledger.audits import Audit, Audits, Cell, Drawn, Review, Verdict
from batchrun.workflow.open_job import OpenOutput, open_output
from batchrun.workflow.run_quality import checks_of

LONGEST_NAME = 100
"""The most characters of a reviewer's name."""


@dataclass(frozen=True)
class OpenReview:
    """A job whose answers are reviewed."""

    job: OpenOutput
    max_error: float
    """The share of accepted fields that may be wrong, as the job file has it now."""
    simulated: bool

    @property
    def job_path(self) -> Path:
        """The job file."""
        return self.job.job.path

    @cached_property
    def audits(self) -> Audits:
        """The audits of the job."""
        return Audits(self.job.ledger, self.job.name)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that an audit reviews if it opens now."""
        return tuple(self.job.job.spec.output.fields)

    def standing(self) -> Standing | None:
        """Return how the latest audit stands. Returns None if none was opened yet."""
        audit = self.audits.latest()
        return standing_of(audit, self.audits) if audit else None

    def _open_audit(self) -> None:
        """Freeze the answers and their scores, and begin an audit of them.

        Raises UsageProblem without an answer, and LockedByAnother if checks cannot look at the rows.
        """
        if not (frozen := frozen_answers(self.audits, self.fields, self._failed_checks())):
            raise UsageProblem(f"the job {self.job.name} has no answer that could be reviewed.")
        self.audits.open(frozen, max_error=self.max_error, seed=secrets.randbits(32), fields=self.fields)

    def _failed_checks(self) -> Mapping[str, int]:
        """Count by document the failed checks that name a row of the document; a check names its first failing rows."""
        if not self.job.job.spec.check:
            return {}
        self.job.output().publish(wait_s=0)
        failed = [one for one in checks_of(self.job, run_no=None) if one.status is CheckStatus.FAILED]
        return Counter(doc_id for one in failed for row in one.rows if (doc_id := row.get("doc_id")))

    def current(self, *, anew: bool = False) -> Standing:
        """Return the audit that is reviewed now, opened if there is none or a new one is wanted.

        Raises UsageProblem if [review] asks otherwise than when the audit was opened.
        """
        if anew or self.audits.latest() is None:
            self._open_audit()
        standing = self.standing()
        assert standing is not None
        audit, hint = standing.audit, "open a new audit: add --open"
        if audit.max_error != self.max_error:
            told = f"max_error = {audit.max_error:g}, and the job file says {self.max_error:g} now"
            raise UsageProblem(f"the audit was opened with {told}.", hint=hint)
        if set(audit.fields) != set(self.fields):
            raise UsageProblem(f"the audit was opened for other fields: {', '.join(audit.fields)}.", hint=hint)
        return standing

    def review(
        self, audit: Audit, cell: Cell, drawn: Drawn, verdict: Verdict, *, typed: str | None, reviewer: str
    ) -> Review:
        """Return what a person says of a field, not recorded yet.

        Raises UsageProblem for a value that does not fit, and if the document has another answer by now.
        """
        request_id = audit.documents[cell.doc_id].request_id
        if (values := self.audits.output(cell.doc_id, request_id)) is None:
            raise UsageProblem("the document has another answer now, which this audit does not cover.", hint="skip it")
        field = self.job.job.spec.output.fields[cell.field]
        match verdict:
            case "accepted":
                value: str | None = json.dumps(values.get(cell.field), ensure_ascii=False)
            case "corrected":
                value = typed_value(field, typed or "")
            case "rejected":
                value = "null" if field.may_be_null else None
        return Review(audit.audit_no, *cell, request_id, drawn, verdict, value, reviewer, time.time())

    def record(self, standing: Standing, reviews: Sequence[Review]) -> Standing:
        """Record what a person has said. Returns how the audit stands then."""
        self.audits.record(reviews)
        return replace(standing, reviews={**standing.reviews, **{one.cell: one for one in reviews}})

    def publish(self) -> str | None:
        """Bring corrections to the output. Returns why they come later; None if they are there."""
        try:
            self.job.output().publish(wait_s=0)
        except LockedByAnother as locked:
            return str(locked)
        return None


@contextlib.contextmanager
def open_review(path: Path, *, simulated: bool, writes: bool) -> Iterator[OpenReview]:
    """Open a job for review, beside a run if there is one. Raises UsageProblem for a job without [review]."""
    with open_output(path, simulated=simulated, writes=writes) as opened:
        if (section := opened.job.spec.review) is None:
            raise UsageProblem(
                f"the job {opened.name} has no [review] section, which says what a review is to promise.",
                hint=f"add it to {path.name}, such as: [review] max_error = 0.05",
            )
        yield OpenReview(opened, section.max_error, simulated)


def reviewer_name(given: str | None) -> str:
    """Return the name of the reviewer, by default that of the user. Raises UsageProblem for no name of one line."""
    try:
        name = getpass.getuser() if given is None else given
    except (OSError, KeyError):  # a user without a name, as in a container
        name = ""
    if not 0 < len(name.strip()) <= LONGEST_NAME or escape_control(name) != name:
        said = f"a reviewer has a name of 1 to {LONGEST_NAME} characters on one line."
        raise UsageProblem(said, hint="name the reviewer: --reviewer NAME")
    return name
