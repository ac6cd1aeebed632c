"""A run that is killed between the groups of fields of its documents goes on with the groups that are missing."""

import signal
from collections import Counter

import pytest
from command_line import serving, talking_to
from grouped_jobs import contract, grouped, mixed_fields
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

DOCUMENTS, GROUPS, CONCURRENCY, KILLS = 6, 10, 2, 4
BRISK = Latency(first_token_s=0.02, tokens_per_s=50_000)


@pytest.mark.parametrize("mode", ["json_schema", "xml"])
def test_no_group_is_paid_twice_that_was_not_in_flight(project: TrialProject, submits: SubmitServer, mode: str) -> None:
    run = f'max_concurrency = {CONCURRENCY}\nroute = "stream"'
    grouped(project, mode, fields=mixed_fields(40), groups=GROUPS, run=run)  # type: ignore[arg-type]
    for number in range(DOCUMENTS):
        project.document(f"{number}.txt", contract(f"Street {number}", clauses=20))
    with serving(latency=BRISK) as api:
        for kill in range(KILLS):
            submit = submits.submit(project.root, talking_to(api))
            submit.wait_for_requests(api, (kill + 1) * DOCUMENTS * GROUPS // (KILLS + 2))
            submit.signal(signal.SIGKILL)
            submit.end()
        code, _, err = submits.submit(project.root, talking_to(api)).end()
        asked = len(api.books.entries)

    assert (code, "Traceback" in err) == (ExitCode.OK, False), err
    assert len(project.rows()) == DOCUMENTS
    states = Counter(dict(project.ask("select state, count(*) from attempts group by state")))
    assert states["answered"] == DOCUMENTS * GROUPS, "each group is answered once"
    assert asked - states["answered"] <= KILLS * CONCURRENCY, "what was in flight may be asked again"
