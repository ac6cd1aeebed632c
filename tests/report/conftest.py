"""The runs that the tests of reports look at: three runs of one job."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from scripted_provider import ScriptedProvider, answer, lost, status
from trial_project import TrialProject, Unpublished

from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.report.collect import collect
from batchrun.report.facts import RunReport
from batchrun.store.ledger.ledger import Ledger
from batchrun.workflow.open_job import OpenJob, OpenStore

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\u202e"
JOB = {
    "output_fields": 'title = "string"\nnote = "string?"',
    "retry": 'max_attempts = 2\ninitial_delay = "0.001s"\nmax_delay = "0.002s"',
}


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> TrialProject:
    """A run with problems, a retry that mends one of them, and a run after a change of the prompt."""
    project = TrialProject(tmp_path_factory.mktemp("reported") / "project")
    texts = project.documents(8)
    project.job(**JOB)
    row, full = answer({"title": "t", "note": None}), answer({"title": "t", "note": "n"})
    script = {
        texts[0]: [status(500), row],
        texts[2]: [answer({"title": None, "note": HOSTILE})],
        texts[3]: [answer(HOSTILE, stop_reason="refusal", refusal=HOSTILE)],
        texts[4]: [status(400, HOSTILE, error_type="invalid_request_error")],
        texts[5]: [lost(), row],
    }
    with pytest.MonkeyPatch.context() as patch:  # the report reads the ledger alone
        for opened in (OpenJob, OpenStore):
            patch.setattr(opened, "output", lambda *_: Unpublished())
        project.submit(ScriptedProvider(script, default=full))
        project.submit(ScriptedProvider(default=full), Selection(again=frozenset({Outcome.INVALID})))
        project.job(prompt='user = "Read: {{ doc.text }}"', **JOB)
        project.submit(ScriptedProvider(default=full))
    return project


@pytest.fixture(scope="session")
def report_of(ran: TrialProject) -> Callable[[int], RunReport]:
    """The report of a run of this project, by the number of the run."""

    def read(run_no: int) -> RunReport:
        with Ledger.read(ran.ledger_path) as ledger:
            return collect(ledger, run_no, root=ran.root)

    return read


@pytest.fixture(scope="session")
def first(report_of: Callable[[int], RunReport]) -> RunReport:
    """The report of the run with problems."""
    return report_of(1)


@pytest.fixture(scope="session")
def hostile(first: RunReport) -> RunReport:
    """A report in which whatever others write tries to be markup."""
    return replace(
        first,
        story=replace(first.story, job=HOSTILE, job_path=HOSTILE, tags={HOSTILE: HOSTILE}),
        model=HOSTILE,
        halted=HOSTILE,
        hint=HOSTILE,
        gaps=[HOSTILE],
        fields=[replace(one, field=HOSTILE) for one in first.fields],
        attention=[replace(one, reason=HOSTILE, command=f"batchrun {HOSTILE}") for one in first.attention],
    )
