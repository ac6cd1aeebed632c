"""What a process that died has left of its batches."""

from batch_account import EACH, SUBMITTED, Account, run_plan

from batchrun.store.ledger.runs import Runs


def test_recovering_leaves_members_open_and_books_streamed_attempts(account: Account) -> None:
    account.stream(account.pending[0])
    account.batches.doubt(account.batch(account.pending[1:3]), now=1_005.0)
    account.batch(account.pending[3:], state=SUBMITTED)

    assert Runs(account.ledger).recover("trial") == 1

    assert account.members == ["d1", "d2", "d3", "d4"]
    assert account.ask("select doc_id, cause from attempts where state = 'unknown'") == [("d0", "process died")]
    assert account.committed == 5 * EACH
    assert account.ask("select state from runs") == [("interrupted",)]


def test_recovering_gives_up_what_was_never_sent_and_nothing_else(account: Account) -> None:
    """From just before the last bytes of its create call leave, a batch may exist."""
    account.batch(account.pending[:1])
    account.batch(account.pending[1:2], state=SUBMITTED)
    account.batches.doubt(account.batch(account.pending[2:3]), now=1_005.0)
    other = Runs(account.ledger).begin_run(run_plan("other"), run_id="s")
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    Runs(account.ledger).recover("trial")

    states = ["abandoned", "submitted", "prepared", "prepared"]
    assert account.ask("select state from batches order by batch_no") == [(state,) for state in states]
    assert account.members == ["d1", "d2", "o"]
    assert account.ask("select committed_nusd from runs order by run_no") == [(2 * EACH,), (EACH,)]


def test_recovering_twice_does_not_begin_the_wait_again(account: Account) -> None:
    account.batches.doubt(account.batch(), now=1_005.0)

    Runs(account.ledger).recover("trial")

    assert account.batches.one(1).unclear_at == 1_005.0
