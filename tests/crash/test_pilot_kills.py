"""A submit with a pilot is killed again and again: the pilot keeps its documents, no answer is paid twice."""

import random
import signal

import pytest
from command_line import serving, talking_to
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

DOCUMENTS, PILOT, KILLS = 60, 20, 10
BRISK = Latency(first_token_s=0.006, tokens_per_s=500)


def test_kill_at_random_moments(project: TrialProject, submits: SubmitServer) -> None:
    project.job(run="max_concurrency = 4", pilot=f"documents = {PILOT}\nmax_failure_rate = 0.5")
    project.documents(DOCUMENTS)
    rng = random.Random(20261127)
    members: list[tuple[str]] = []
    with serving(latency=BRISK) as api:
        in_flight = 0
        for _ in range(KILLS):
            submit = submits.submit(project.root, talking_to(api))
            submit.wait_for_requests(api, len(api.books.entries) + rng.choice([1, 2, 3, 4, 6]))
            submit.signal(signal.SIGKILL)
            assert submit.end()[0] == -signal.SIGKILL
            ((open_attempts,),) = project.ask("select count(*) from attempts where state = 'open'")
            in_flight += open_attempts
            chosen = project.ask("select doc_id from pilot_documents order by 1")
            assert members in ([], chosen), "it keeps its documents"
            members = chosen
        code, _, err = submits.submit(project.root, talking_to(api)).end()
        assert (code, "Traceback" in err) == (ExitCode.OK, False), err
        assert len(api.books.entries) <= DOCUMENTS + in_flight
        assert api.books.summary()["billed_twice"] <= in_flight
    assert len(members) == PILOT
    assert set(project.statuses().values()) == {"succeeded"}
    assert len(project.rows()) == DOCUMENTS
    assert project.ask("select state, documents, to_send from runs") == [("finished", DOCUMENTS, DOCUMENTS)]
    first = {doc_id for (doc_id,) in project.ask(
        "select doc_id from attempts where state = 'answered' order by attempt_no limit ?", PILOT
    )}  # fmt: skip
    assert first == {doc_id for (doc_id,) in members}, "no other document was sent before they all had their answers"
