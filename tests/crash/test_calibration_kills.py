"""A submit of a calibrated cascade is killed again and again: the drawn documents stay, no answer is paid twice."""

import random
import signal

import pytest
from command_line import serving, talking_to
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

DOCUMENTS, CALIBRATE, KILLS = 50, 25, 3
BRISK = Latency(first_token_s=0.006, tokens_per_s=500)


def test_kill_at_random_moments(project: TrialProject, submits: SubmitServer) -> None:
    project.job(
        model="max_tokens = 100",
        cascade='models = ["claude-haiku-4-5", "claude-sonnet-4-6"]\naccept = "calibrated"\nmax_difference = 0.2\n'
        f"calibrate = {CALIBRATE}",
        run="max_concurrency = 4",
    )
    project.documents(DOCUMENTS)
    rng = random.Random(20261130)
    drawn: list[tuple[str]] = []
    with serving(latency=BRISK) as api:
        in_flight = 0
        for _ in range(KILLS):
            submit = submits.submit(project.root, talking_to(api))
            submit.wait_for_requests(api, len(api.books.entries) + rng.choice([4, 8, 15]))
            submit.signal(signal.SIGKILL)
            assert submit.end()[0] == -signal.SIGKILL
            ((open_attempts,),) = project.ask("select count(*) from attempts where state = 'open'")
            in_flight += open_attempts
            chosen = project.ask("select value from cascade_calibrations, json_each(drawn) order by 1")
            assert drawn in ([], chosen), "it keeps its documents"
            drawn = chosen
        code, out, err = submits.submit(project.root, talking_to(api)).end()
        assert (code, "Traceback" in err) == (ExitCode.OK, False), err
        assert len(api.books.entries) <= DOCUMENTS + CALIBRATE + in_flight
        assert api.books.summary()["billed_twice"] <= in_flight
    assert f"found on {CALIBRATE} documents that both answered: {CALIBRATE} would be taken (100%)" in out
    assert set(project.statuses().values()) == {"succeeded"}
    asked = "select distinct doc_id from attempts join requests using (request_no) where requests.model like '%sonnet%'"
    assert sorted(project.ask(asked)) == drawn
    assert project.ask("select state, documents, to_send from runs") == [("finished", DOCUMENTS, DOCUMENTS)]
