"""A retry sends the documents that ended badly, and only those that it is asked for."""

import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, Step, answer, status
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.strategy.plan import Kind


def again(*outcomes: Outcome, **more: int) -> Selection:
    return Selection(again=frozenset(outcomes), **more)


@pytest.mark.slow
def test_a_failed_document_is_left_alone_until_retry(project: TrialProject) -> None:
    project.documents(3)
    first = project.submit(ScriptedProvider({"text 1": [answer("nonsense")]}))
    provider = ScriptedProvider()

    second = project.submit(provider)

    assert first.exit_code == second.exit_code == ExitCode.SOME_FAILED
    assert provider.sent == []
    assert project.plans[-1].counts[Kind.FAILED] == 1
    assert project.rows("select count(*) from trial") == [(2,)]
    assert project.rows("select status, count(*) from _batchrun.documents group by 1 order by 1") == [
        ("invalid", 1),
        ("succeeded", 2),
    ]


@pytest.mark.slow
def test_truncated_then_retried_with_more_tokens_then_submitted_sends_nothing(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({"text 1": [answer("{", stop_reason="max_tokens")]}))
    retrying = ScriptedProvider()

    project.submit(retrying, again(Outcome.TRUNCATED))
    submitting = ScriptedProvider()
    summary = project.submit(submitting)

    assert (retrying.sent, retrying.max_tokens) == (["text 1"], [200])
    assert submitting.sent == []
    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert project.rows("select count(*) from trial") == [(2,)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_truncated_document_may_be_given_a_number_of_tokens(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider(default=answer("{", stop_reason="max_tokens")))
    provider = ScriptedProvider()

    project.submit(provider, again(Outcome.TRUNCATED, max_tokens=1_234))

    assert provider.max_tokens == [1_234]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_each_retry_of_a_truncated_document_doubles_its_tokens_up_to_the_models(project: TrialProject) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 30_000')
    project.documents(1)
    provider = ScriptedProvider(default=answer("{", stop_reason="max_tokens"))
    project.submit(provider)

    for _ in range(3):
        project.submit(provider, again(Outcome.TRUNCATED))

    assert provider.max_tokens[:3] == [30_000, 60_000, 64_000]


@pytest.mark.slow
@pytest.mark.parametrize("first", [answer("nonsense"), answer("", stop_reason="refusal"), status(400), status(500)])
def test_retry_sends_what_ended_badly_and_keeps_the_old_attempts(project: TrialProject, first: Step) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [first]}))
    attempts = len(project.ask("select 1 from attempts"))
    provider = ScriptedProvider()

    summary = project.submit(
        provider, again(Outcome.INVALID, Outcome.REFUSED, Outcome.REJECTED, Outcome.ERRORED, Outcome.TRUNCATED)
    )

    assert provider.sent == ["text 1"]
    assert project.plans[-1].counts[Kind.RETRY] == 1
    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert len(project.ask("select 1 from attempts")) == attempts + 1
    assert project.rows("select count(*) from trial") == [(3,)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_retry_takes_only_the_asked_outcomes(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [answer("nonsense")], "text 2": [status(400)]}))
    provider = ScriptedProvider()

    project.submit(provider, again(Outcome.REJECTED))

    assert provider.sent == ["text 2"]
    assert project.statuses()["0001.txt"] == "invalid"


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_retry_that_is_cut_short_is_continued_by_a_submit(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider(default=answer("nonsense")))
    project.submit(ScriptedProvider(default=BAD_KEY), again(Outcome.INVALID))
    provider = ScriptedProvider()

    project.submit(provider)

    assert sorted(provider.sent) == ["text 0", "text 1"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_retry_of_a_truncated_document_is_not_a_changed_job(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider(default=answer("{", stop_reason="max_tokens")))

    project.submit(ScriptedProvider(), again(Outcome.TRUNCATED))

    assert (project.plans[-1].same_text, project.plans[-1].counts[Kind.RETRY]) == (0, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_retry_may_be_limited(project: TrialProject) -> None:
    project.documents(4)
    project.submit(ScriptedProvider(default=answer("nonsense")))
    provider = ScriptedProvider()

    project.submit(provider, Selection(again=frozenset({Outcome.INVALID}), limit=2))

    assert sorted(provider.sent) == ["text 0", "text 1"]
    assert sorted(project.statuses().values()) == ["invalid", "invalid", "succeeded", "succeeded"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_an_unreadable_document_is_retried_when_it_can_be_read(project: TrialProject) -> None:
    project.documents(1)
    (project.root / "docs/x.txt").symlink_to(project.root / "nowhere")
    project.submit(ScriptedProvider())
    (project.root / "docs/x.txt").unlink()
    project.document("x.txt", "good now")
    provider = ScriptedProvider()

    project.submit(provider, again(Outcome.UNREADABLE))

    assert provider.sent == ["good now"]
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_retry_of_one_twin_answers_both(project: TrialProject) -> None:
    project.document("a.txt", "same")
    project.document("b.txt", "same")
    project.submit(ScriptedProvider(default=answer("nonsense")))
    provider = ScriptedProvider()

    project.submit(provider, Selection(again=frozenset({Outcome.INVALID}), ids=frozenset({"docs/b.txt"})))

    assert provider.sent == ["same"]
    assert project.statuses() == {"a.txt": "succeeded", "b.txt": "succeeded"}
