"""A job file that allows longer answers than before pays only for the answers that had no room."""

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.strategy.plan import Kind

pytestmark = pytest.mark.slow

CUT = answer("{", stop_reason="max_tokens")
MODEL = 'name = "claude-haiku-4-5"\nmax_tokens = {}'


def test_only_the_truncated_are_sent_again(project: TrialProject) -> None:
    project.documents(5)
    endings = {
        "text 1": [CUT],
        "text 2": [answer("nonsense")],
        "text 3": [answer("", stop_reason="refusal")],
    }
    project.submit(ScriptedProvider(endings))
    project.job(model=MODEL.format(200))
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert (provider.sent, provider.max_tokens) == (["text 1"], [200])
    plan = project.plans[-1]
    assert (plan.counts[Kind.REUSABLE], plan.counts[Kind.FAILED], plan.to_send) == (2, 2, 1)
    assert summary.outcomes == {Outcome.SUCCEEDED: 3, Outcome.INVALID: 1, Outcome.REFUSED: 1}
    assert project.rows() == [("docs/0000.txt",), ("docs/0001.txt",), ("docs/0004.txt",)]
    project.submit(nothing := ScriptedProvider())
    assert nothing.sent == []


def test_raised_twice_and_lowered_again(project: TrialProject) -> None:
    project.documents(2)
    provider = ScriptedProvider({"text 1": [CUT, CUT, answer()]})
    for max_tokens in (100, 200, 300):
        project.job(model=MODEL.format(max_tokens))
        project.submit(provider)
    assert provider.max_tokens == [100, 100, 200, 300]
    project.job(model=MODEL.format(100))
    assert project.plan().to_send == 0, "the request of then, whose answer was cut"
    assert project.plan().counts[Kind.FAILED] == 1


def test_another_prompt_is_another_request(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider())
    project.job(model=MODEL.format(200), prompt='user = "Read: {{ doc.text }}"')
    provider = ScriptedProvider()
    project.submit(provider)
    assert provider.max_tokens == [200, 200]


def test_a_changed_document_is_asked_about_with_the_new_length(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider())
    project.document("0001.txt", "new text")
    project.job(model=MODEL.format(200))
    provider = ScriptedProvider()
    project.submit(provider)
    assert (provider.sent, provider.max_tokens) == (["new text"], [200])


def test_a_ledger_that_does_not_know_the_length_pays_again_and_says_so(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider())
    project.ask("update requests set max_tokens = null", commit=True)
    project.job(model=MODEL.format(200))
    provider = ScriptedProvider()
    assert project.submit(provider).exit_code == ExitCode.OK
    assert len(provider.sent) == project.plans[-1].same_text == 2
