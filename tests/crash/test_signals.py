"""Ctrl-C and SIGTERM: what is in flight is finished and saved, and the same command continues."""

import math
import signal

import pytest
from command_line import serving, talking_to
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

DOCUMENTS = 60
SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@pytest.mark.parametrize(("number", "code"), SIGNALS.items(), ids=[number.name for number in SIGNALS])
def test_nothing_is_billed_twice(
    project: TrialProject, submits: SubmitServer, number: signal.Signals, code: ExitCode
) -> None:
    project.documents(DOCUMENTS)
    with serving(latency=Latency(first_token_s=0.03, tokens_per_s=math.inf)) as api:
        interrupted = submits.submit(project.root, talking_to(api))
        interrupted.wait_for_requests(api, 20)
        interrupted.signal(number)
        ended, out, err = interrupted.end()
        assert ended == code, err
        assert "stopping: " in err
        assert f"{number.name} received" in err
        answered = len(api.books.entries)
        assert 20 <= answered < DOCUMENTS
        assert f"   # continues with {DOCUMENTS - answered} documents\n" in out
        assert (out + err).count("next") == 1, "what to type is said once"
        assert len(project.rows()) == answered, "everything answered is saved, and in the output"
        assert project.ask("select state, exit_code from runs") == [("interrupted", code)]
        ended, out, _ = submits.submit(project.root, talking_to(api)).end()
    assert ended == ExitCode.OK
    assert f"succeeded        {DOCUMENTS}  100.0%" in out
    assert len(project.rows()) == DOCUMENTS
    assert len(api.books.entries) == DOCUMENTS
    assert api.books.summary()["billed_twice"] == 0
    assert project.ask("select state, count(*) from attempts group by state") == [("answered", DOCUMENTS)]


def test_a_second_signal_waits_no_longer(project: TrialProject, submits: SubmitServer) -> None:
    project.documents(DOCUMENTS)
    with serving(latency=Latency(first_token_s=60.0)) as api:
        submit = submits.submit(project.root, talking_to(api))
        submit.wait_for_requests(api, 1)
        submit.signal(signal.SIGINT)
        submit.wait_until_it_says("stopping: 1 request in flight")
        submit.signal(signal.SIGINT)
        code, out, _ = submit.end()
    assert code == ExitCode.INTERRUPTED
    assert "1 answer never arrived and may have been billed" in out
    ((state, cost, reserved),) = project.ask("select state, cost_nusd, reserved_nusd from attempts")
    assert (state, cost) == ("unknown", None)
    assert reserved > 0, "its worst case counts against the budget"
