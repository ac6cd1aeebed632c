"""A run of a job: how it went, and the rows that came of it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.api.results import results
from batchrun.api.shown import Summary, shown_as
from batchrun.errors import BatchrunError, ExitCode, UsageProblem
from batchrun.file_system import replace_file
from batchrun.job.load import JobFile
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.paths import store_paths
from batchrun.store.reports.runs import RunStory
from batchrun.workflow import summary as workflow

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation


class Run:
    """A run of a job, as the ledger has it. After a submit that had nothing to send, the last run of the job."""

    def __init__(self, file: JobFile, story: RunStory | None, summary: workflow.Summary | None = None) -> None:
        self._file, self._story, self._summary = file, story, summary

    @property
    def id(self) -> str | None:
        """The id of the run, which begins with `sim-` if the run is simulated. None if the job never had to run."""
        return self._story.run_id if self._story else None

    @property
    def simulated(self) -> bool:
        """Whether a simulator has answered."""
        return self._story.simulated if self._story else self.summary.simulated

    @cached_property
    def summary(self) -> Summary:
        """How the run went. Raises UsageProblem for the run of an earlier version, and BrokenRecord."""
        found = self._summary
        if found is None and self._story:
            with self._ledger() as (ledger, run_no):
                found = workflow.summary_of(ledger, run_no, root=self._file.root)
        if found is None:
            raise UsageProblem(f"nothing is remembered of how the run {self.id} went: an earlier version made the run.")
        return shown_as(Summary, found)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command that does the same: 0 if every document has what it should have."""
        return self.summary.exit_code

    @property
    def halted(self) -> BatchrunError | None:
        """Why the run stopped before its end; None if it did not."""
        return self.summary.halted

    def raise_for_status(self) -> None:
        """Raise what kept the run or its rows from their end, or a BatchrunError for any exit code but 0."""
        if problem := self.halted or self.summary.unpublished:
            raise problem
        if self.exit_code != ExitCode.OK:
            facts = dict(self.summary.facts)
            error = BatchrunError(f"the run {self.id} has the exit code {facts['exit code']}: {facts['documents']}.")
            error.exit_code = self.exit_code
            raise error

    def results(self, status: str | Iterable[str] = "succeeded") -> "DuckDBPyRelation":
        """Return a row for each document of the run with one of these outcomes, `failed` or `all`.

        The relation is a copy, which keeps nobody from the output. Its columns are `doc_id`, the fields, what became of
        the document, and then batchrun's own columns. `.arrow()`, `.df()` and `.pl()` need pyarrow, pandas and polars.
        Raises UsageProblem for a word that is no outcome.
        """
        return results(self._file, status, simulated=self.simulated, run_id=self.id)

    def report(self, path: str | Path | None = None) -> str:
        """Return the report of the run, as `batchrun report` writes it, and write it to the file `path`, if given.

        The report is an HTML page, unless the path ends in `.md`, `.json` or `.xml`, which is JUnit. [report] of the
        job says what is shown of the documents. Raises UsageProblem without a run, and EnvironmentProblem.
        """
        from batchrun.report.formats import format_of, report_parts, wanted_of

        kind = format_of(Path(path)) if path else "html"
        wanted = wanted_of(self._file.spec.report, self._file.path)
        with self._ledger() as (ledger, run_no):
            text = "".join(report_parts(ledger, run_no, kind, wanted, root=self._file.root))
        if path:
            replace_file(Path(path), [text])
        return text

    def __str__(self) -> str:
        return self._shown(str)

    def __repr__(self) -> str:
        return self._shown(repr)

    def _shown(self, shown: Callable[[Summary], str]) -> str:
        try:
            return shown(self.summary)
        except BatchrunError as error:
            return f"<run {self.id}; {error.word} {error}>"

    def _repr_html_(self) -> str:
        """Return the report without its documents, in a frame of its own: its styles and ids are not the notebook's."""
        if self._story is None:
            return self.summary._repr_html_()
        from batchrun.report.formats import framed

        with self._ledger() as (ledger, run_no):
            return framed(ledger, run_no, self._file.spec.report, root=self._file.root)

    @contextmanager
    def _ledger(self) -> Iterator[tuple[Ledger, int]]:
        """Open the ledger that has the run, with the number of the run. Raises UsageProblem if there is no run."""
        if self._story is None:
            raise UsageProblem(f"the job {self._file.spec.job.name} has no run yet.")
        with Ledger.read(store_paths(self._file, simulated=self.simulated).ledger) as ledger:
            yield ledger, self._story.run_no
