"""What becomes of a batch in doubt may be decided by hand: adopted, sent again or given up."""

from collections import Counter

import pytest
from batch_submits import (
    COST_NUSD,
    LOST,
    NOTHING_CAME,
    SMALL,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    by_hand,
    committed,
    given_history,
    held_nusd,
    once,
    open_attempts,
    something_happens,
    states,
    until,
)
from scripted_batches_memory import BatchApi
from scripted_provider import OVERLOADED, status
from trial_project import TrialProject

from batchrun.batch import BatchState
from batchrun.errors import Ambiguous, ExitCode, UsageProblem
from batchrun.workflow.batch_recovery import adopt, resend

HOLD = f'{SMALL}\non_ambiguous = "hold"'


@pytest.mark.slow
def test_hold_ends_with_6_when_it_is_nowhere_and_keeps_the_documents(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [NOTHING_CAME]

    codes = again_and_again(project, api)
    summary = once(project, api, after_s=600)

    assert codes[-1] == ExitCode.AMBIGUOUS == 6
    assert summary.exit_code == ExitCode.AMBIGUOUS
    assert isinstance(summary.halted, Ambiguous)
    assert summary.halted.hint is not None
    assert "--resend" in summary.halted.hint
    assert "--adopt" in summary.halted.hint
    assert api.calls["create"] == 1
    assert summary.outcomes == {None: 3}


@pytest.mark.slow
def test_resend_by_hand_puts_it_back(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [NOTHING_CAME]
    again_and_again(project, api)

    with pytest.raises(UsageProblem, match="nothing proves") as refused:
        by_hand(project, lambda opened: resend(opened, provider=api))
    assert "--pay-again" in str(refused.value.hint)
    batch = by_hand(project, lambda opened: resend(opened, provider=api, pay_again=True))
    assert batch.state is BatchState.ABANDONED
    assert open_attempts(project) == 0
    held = held_nusd(project)
    assert committed(project) == held > 0, "it may have been billed"

    assert again_and_again(project, api)[-1] == 0
    assert api.sizes == [3]
    assert committed(project) == held + 3 * COST_NUSD


@pytest.mark.slow
def test_resend_by_hand_of_what_the_list_proves_never_to_have_been_created_holds_nothing(
    project: TrialProject, api: BatchApi
) -> None:
    batched(project, batch=HOLD)
    given_history(project, api)
    project.documents(3)
    api.creating = [NOTHING_CAME]
    once(project, api)
    something_happens(api)
    assert again_and_again(project, api)[-1] == ExitCode.AMBIGUOUS

    by_hand(project, lambda opened: resend(opened, provider=api))
    assert held_nusd(project) == 0

    assert again_and_again(project, api)[-1] == 0
    assert_books_agree_in_the_end(project, api)


@pytest.mark.slow
@pytest.mark.parametrize("pay_again", [False, True])
def test_resend_by_hand_is_no_sooner_than_by_itself(project: TrialProject, api: BatchApi, pay_again: bool) -> None:
    project.documents(3)
    api.creating, api.hidden = [LOST], True
    once(project, api)

    with pytest.raises(UsageProblem, match="may still appear"):
        by_hand(project, lambda opened: resend(opened, provider=api, pay_again=pay_again))
    api.clock.skip(600)
    with pytest.raises(UsageProblem, match="may still appear"):
        by_hand(project, lambda opened: resend(opened, provider=api, pay_again=pay_again))
    api.refused["page"] = OVERLOADED
    with pytest.raises(UsageProblem, match="cannot be retrieved"):
        by_hand(project, lambda opened: resend(opened, provider=api, pay_again=pay_again))
    api.refused.clear()
    api.hidden = False
    with pytest.raises(UsageProblem, match="msgbatch_1 seems to be"):
        by_hand(project, lambda opened: resend(opened, provider=api, pay_again=pay_again))

    assert until(project, api) == [0]
    assert api.calls["create"] == 1
    assert_books_agree(project, api)


@pytest.mark.slow
def test_several_with_hold_are_listed_and_one_is_adopted_by_hand(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    api.hidden = False
    api.somebody_elses(3)

    summary = once(project, api, after_s=10)
    assert summary.exit_code == ExitCode.AMBIGUOUS
    assert "msgbatch_1" in str(summary.halted)
    assert "msgbatch_2" in str(summary.halted)
    by_hand(project, lambda opened: adopt(opened, "msgbatch_1", provider=api))

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1


@pytest.mark.slow
def test_a_wrong_adoption_by_hand_is_undone(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    api.hidden = False
    api.somebody_elses(3)
    once(project, api, after_s=10)
    by_hand(project, lambda opened: adopt(opened, "msgbatch_2", provider=api))

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert project.ask("select batch_id from batches") == [("msgbatch_1",)]
    assert Counter(project.statuses().values()) == {"succeeded": 3}


@pytest.mark.slow
def test_adopting_is_refused_for_another_size_another_batch_and_one_that_is_not_there(
    project: TrialProject, api: BatchApi
) -> None:
    batched(project, batch=HOLD)
    project.documents(13)
    api.creating = [None, NOTHING_CAME]
    once(project, api)
    api.somebody_elses(7)

    with pytest.raises(UsageProblem, match="requests"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_2", provider=api))
    api.counts_told = False
    with pytest.raises(UsageProblem, match="belongs to another"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_1", provider=api))
    with pytest.raises(UsageProblem, match="cannot be retrieved"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_9", provider=api))
    assert states(project) == ["submitted", "prepared"]


@pytest.mark.slow
def test_nothing_in_doubt_nothing_to_decide(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    with pytest.raises(UsageProblem, match="in doubt"):
        by_hand(project, lambda opened: resend(opened, provider=api))


@pytest.mark.slow
def test_a_batch_that_was_deleted_is_given_up_by_hand(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    api.batches.clear()

    summary = once(project, api, after_s=60)
    assert (summary.exit_code, summary.halted) == (ExitCode.UNFINISHED, None)
    with pytest.raises(UsageProblem, match="may still exist"):
        by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1, pay_again=True))
    summary = once(project, api, after_s=60)
    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert summary.halted is not None
    assert "--resend --pay-again --batch 1" in str(summary.halted.hint)
    with pytest.raises(UsageProblem, match="nothing proves"):
        by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1))
    by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1, pay_again=True))

    assert again_and_again(project, api)[-1] == 0
    (spent,) = project.ask("select sum(cost_nusd) from attempts")[0]
    (held,) = project.ask("select sum(reserved_nusd) from attempts where state = 'unknown'")[0]
    assert spent == sum(api.billed.values()) * COST_NUSD
    assert held > 0, "what was deleted had ended, and was probably billed"


@pytest.mark.slow
def test_a_batch_that_exists_is_not_given_up(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    with pytest.raises(UsageProblem, match="msgbatch_1 exists"):
        by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1, pay_again=True))
    api.refused["retrieve"] = status(404, "no such batch")
    with pytest.raises(UsageProblem, match="msgbatch_1 exists"):
        by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1, pay_again=True))
    api.refused.clear()

    assert until(project, api) == [0]
    assert api.calls["create"] == 1
    assert_books_agree_in_the_end(project, api)


@pytest.mark.slow
def test_a_batch_that_has_an_id_is_not_given_another(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    api.somebody_elses(3)

    with pytest.raises(UsageProblem, match="no batch in doubt has the number 1"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_2", provider=api, batch_no=1))

    assert project.ask("select batch_id, adopted from batches") == [("msgbatch_1", 0)]
