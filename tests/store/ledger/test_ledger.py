"""The ledger: money that always adds up, order, and files that are not as they should be."""

import contextlib
import fcntl
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import new_ledgers
import pytest
from forked import popen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from run_caps import run_cap, run_caps

from batchrun.budget.caps import Amount
from batchrun.document import DocumentRef
from batchrun.errors import EnvironmentProblem
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger import connection as ledger_file
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.job_lock import is_locked, job_lock, lock_file
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, KnownPrompt, Move, Pending, RunPlan, Settlement, Taken
from batchrun.store.ledger.runs import Runs

CAP = 1_000


def plan(job: str = "trial", *, cap_nusd: int = CAP, fingerprint: str = "f") -> RunPlan:
    return RunPlan(
        job=job,
        job_path=f"jobs/{job}.toml",
        fingerprint=fingerprint,
        model="m",
        simulated=False,
        documents=3,
        to_send=3,
        cap_nusd=cap_nusd,
        estimate_nusd=10,
        estimate_low_nusd=5,
        estimate_high_nusd=20,
    )


def in_memory() -> Ledger:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("pragma foreign_keys = on")
    create_missing(connection)
    return Ledger(connection, None)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(in_memory()) as opened:
        yield opened


def test_new_ledgers_of_other_tests_are_as_the_program_makes_them() -> None:
    laid_out = []
    for create in (new_ledgers.as_the_program_does, new_ledgers.create_missing):
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            create(connection)
            connection.execute("update meta set value = 'one' where key = 'ledger_id'")
            objects = connection.execute("select type, name, tbl_name, sql from sqlite_master order by name").fetchall()
            laid_out.append((objects, list(connection.iterdump()), ledger_file.version_of(connection)))

    (objects, dump, version), copied = laid_out
    assert copied[0] == objects
    assert sorted(copied[1]) == sorted(dump)
    assert copied[2] == version


def add_document(ledger: Ledger, run_no: int, name: str, *, job: str = "trial", request: str | None = None) -> Pending:
    """A pending document of a run, as `admit` makes it."""
    run = ledger.connection.execute
    request_id = request or f"request of {name}"
    run(
        "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')"
        " on conflict do nothing",
        (request_id,),
    )
    (request_no,) = run("select request_no from requests where request_id = ?", (request_id,)).fetchone()
    seq = ledger.next_seq()
    document_no = run(
        "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
        " values (?, ?, 'source', 'sha', ?, ?, ?)",
        (job, name, request_no, run_no, seq),
    ).lastrowid
    return Pending(
        int(document_no or 0), DocumentRef(name, "source"), request_no, request_id, 10, TextClass.PROSE, None
    )


def reserve(ledger: Ledger, work: Pending, run_no: int, nusd: int, *, job: str = "trial") -> int | CapExceeded | Taken:
    return ledger.reserve(work, Amount(nusd), run_no=run_no, job=job, model="m", caps=run_caps(ledger, run_no))


def answered(attempt_no: int, *, cost_nusd: int | None = 7, outcome: Outcome = Outcome.SUCCEEDED) -> Settlement:
    reply = Reply("{}", "end_turn", Usage(input_tokens=5, output_tokens=2), "m-1", "req_1", "{}")
    return Settlement(
        attempt_no=attempt_no, state="answered", cost_nusd=cost_nusd, outcome=outcome, output="{}", reply=reply
    )


def failed(attempt_no: int) -> Settlement:
    failure = Failure(cause=Cause.STATUS, status=529, message="Overloaded")
    return Settlement(attempt_no=attempt_no, state="failed", cost_nusd=0, failure=failure)


def lost(attempt_no: int) -> Settlement:
    failure = Failure(cause=Cause.TIMEOUT, message="no answer")
    return Settlement(attempt_no=attempt_no, state="unknown", cost_nusd=None, failure=failure)


def committed(ledger: Ledger, run_no: int) -> int:
    return int(ledger.connection.execute("select committed_nusd from runs where run_no = ?", (run_no,)).fetchone()[0])


# --- what is held for lost answers


@pytest.mark.parametrize(("prompt", "held"), [(36, 1_000 - 2 * 100), (136, 1_000), (1_000, 1_000)])
def test_a_lost_answer_is_held_at_less_once_its_prompt_is_known(ledger: Ledger, prompt: int, held: int) -> None:
    """It was set aside with 300 tokens; 50 may be written, and 64 are left for what prompts differ from themselves."""
    run_no = Runs(ledger).begin_run(plan("trial", cap_nusd=10_000), run_id="r")
    lost_one, other = add_document(ledger, run_no, "a"), add_document(ledger, run_no, "b")
    for one in (lost_one, other):
        attempt_no = ledger.reserve(
            one, Amount(1_000, 300), run_no=run_no, job="trial", model="m", caps=run_caps(ledger, run_no)
        )
        assert isinstance(attempt_no, int)
        ledger.settle(lost(attempt_no))
    again = reserve(ledger, lost_one, run_no, 1_000)
    assert isinstance(again, int)

    ledger.settle(replace(answered(again), prompt=KnownPrompt(prompt, max_tokens=100, input_nusd=2)))

    assert committed(ledger, run_no) == held + 1_000 + 7, "of this request only, and never at more"


# --- money: whatever happens in whatever order


class Accounts(RuleBasedStateMachine):
    """Two jobs reserve, settle, crash and go on; what is committed always follows from the attempts."""

    @initialize()
    def begin(self) -> None:
        self.ledger = in_memory()
        self.run_of = {job: Runs(self.ledger).begin_run(plan(job), run_id=f"{job} 1") for job in ("a", "b")}
        self.open: dict[int, str] = {}
        self.caps = dict.fromkeys(self.run_of.values(), CAP)
        self.number = 1

    @rule(job=st.sampled_from("ab"), nusd=st.integers(0, 600))
    def reserve(self, job: str, nusd: int) -> None:
        self.number += 1
        run_no = self.run_of[job]
        work = add_document(self.ledger, run_no, f"d{self.number}", job=job)
        before = committed(self.ledger, run_no)
        result = reserve(self.ledger, work, run_no, nusd, job=job)
        if isinstance(result, int):
            assert before + nusd <= self.caps[run_no]
            self.open[result] = job
        else:
            assert result == CapExceeded(
                before, run_cap(self.caps[run_no]), sum(one == job for one in self.open.values())
            )
            assert before + nusd > self.caps[run_no]

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1), how=st.sampled_from(["answered", "unpriced", "failed", "lost"]))
    def settle(self, data: st.DataObject, share: float, how: str) -> None:
        attempt_no = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[attempt_no]
        (reserved,) = self.ledger.connection.execute(
            "select reserved_nusd from attempts where attempt_no = ?", (attempt_no,)
        ).fetchone()
        ends = {
            "answered": answered(attempt_no, cost_nusd=int(reserved * share)),
            "unpriced": answered(attempt_no, cost_nusd=None),
            "failed": failed(attempt_no),
            "lost": lost(attempt_no),
        }
        self.ledger.settle(ends[how])

    @rule(job=st.sampled_from("ab"))
    def crash_and_recover(self, job: str) -> None:
        before = committed(self.ledger, self.run_of[job])
        ours = [attempt_no for attempt_no, one in self.open.items() if one == job]

        assert Runs(self.ledger).recover(job) == len(ours)

        assert committed(self.ledger, self.run_of[job]) == before, "what was in flight still counts"
        for attempt_no in ours:
            del self.open[attempt_no]

    @rule(job=st.sampled_from("ab"), cap_nusd=st.integers(0, 3 * CAP))
    def continue_under_another_cap(self, job: str, cap_nusd: int) -> None:
        Runs(self.ledger).continue_run(self.run_of[job], plan(job, cap_nusd=cap_nusd))
        self.caps[self.run_of[job]] = cap_nusd

    @rule(job=st.sampled_from("ab"))
    def begin_another_run(self, job: str) -> None:
        self.number += 1
        Runs(self.ledger).recover(job)
        self.open = {attempt_no: one for attempt_no, one in self.open.items() if one != job}
        self.run_of[job] = Runs(self.ledger).begin_run(plan(job), run_id=f"{job} {self.number}")
        self.caps[self.run_of[job]] = CAP

    @invariant()
    def committed_is_the_sum_of_the_attempts(self) -> None:
        rows = self.ledger.connection.execute(
            "select committed_nusd, coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0)"
            " from runs left join attempts using (run_no) group by run_no"
        ).fetchall()
        assert [kept for kept, _ in rows] == [summed for _, summed in rows]

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()


TestAccounts = pytest.mark.slow(Accounts.TestCase)
TestAccounts.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_a_reservation_may_fill_the_cap_and_not_pass_it(ledger: Ledger) -> None:
    run_no = Runs(ledger).begin_run(plan(), run_id="r")
    first, second = add_document(ledger, run_no, "a"), add_document(ledger, run_no, "b")

    assert isinstance(reserve(ledger, first, run_no, CAP), int)
    assert reserve(ledger, second, run_no, 1) == CapExceeded(CAP, run_cap(CAP), open_attempts=1, in_batches=False)
    ledger.settle(answered(1, cost_nusd=CAP - 1))
    assert isinstance(reserve(ledger, second, run_no, 1), int)


def test_a_request_is_taken_while_it_is_sent_and_when_it_is_settled(ledger: Ledger) -> None:
    here, there = Runs(ledger).begin_run(plan(), run_id="r"), Runs(ledger).begin_run(plan("other"), run_id="s")
    work = add_document(ledger, here, "a", request="same")
    other = add_document(ledger, there, "a", job="other", request="same")

    attempt_no = reserve(ledger, work, here, 1)

    assert isinstance(attempt_no, int)
    assert reserve(ledger, other, there, 1, job="other") == Taken(settled=False)
    ledger.settle(failed(attempt_no))
    attempt_no = reserve(ledger, other, there, 1, job="other")
    assert isinstance(attempt_no, int), "a failed attempt leaves the request to whoever comes"
    ledger.settle(answered(attempt_no))
    assert reserve(ledger, work, here, 1) == Taken(settled=True)
    assert committed(ledger, here) == 0


@pytest.mark.parametrize(
    ("outcome", "has_row"), [(Outcome.SUCCEEDED, True), (Outcome.INVALID, False), (Outcome.REFUSED, False)]
)
def test_an_outcome_is_that_of_every_document_with_the_request(ledger: Ledger, outcome: Outcome, has_row: bool) -> None:
    run_no, other = Runs(ledger).begin_run(plan(), run_id="r"), Runs(ledger).begin_run(plan("other"), run_id="s")
    work = add_document(ledger, run_no, "a", request="same")
    add_document(ledger, run_no, "b", request="same")
    add_document(ledger, other, "c", job="other", request="same")
    attempt_no = reserve(ledger, work, run_no, 1)
    assert isinstance(attempt_no, int)

    told = ledger.settle(answered(attempt_no, outcome=outcome))

    assert sorted(told) == ["a", "b"]
    rows = ledger.connection.execute("select status, row_request_no is not null from document_status").fetchall()
    assert rows == [(outcome, has_row)] * 3
    assert ledger.head("trial") == ledger.head("other")


# --- documents that pass to another model


def document_requests(ledger: Ledger) -> dict[str, str]:
    """The request that each document stands for."""
    return dict(
        ledger.connection.execute(
            "select doc_id, request_id from documents join requests using (request_no)"
        ).fetchall()
    )


def test_documents_of_one_request_move_together_and_those_of_another_job_stay(ledger: Ledger) -> None:
    run_no, other = Runs(ledger).begin_run(plan(), run_id="r"), Runs(ledger).begin_run(plan("other"), run_id="s")
    work = add_document(ledger, run_no, "a", request="to m")
    add_document(ledger, run_no, "b", request="to m")
    add_document(ledger, run_no, "c", request="another")
    add_document(ledger, other, "d", job="other", request="to m")
    before = ledger.head("trial"), ledger.head("other")

    moved = ledger.move("trial", Move(work, "to n", "n", max_tokens=300))

    assert document_requests(ledger) == {"a": "to n", "b": "to n", "c": "another", "d": "to m"}
    assert (moved.request_id, moved.document_no, moved.ref) == ("to n", work.document_no, work.ref)
    assert moved.request_no != work.request_no
    (row,) = ledger.connection.execute(
        "select model, counted_tokens, text_class, max_tokens, outcome from requests where request_no = ?",
        (moved.request_no,),
    )
    assert row == ("n", 10, "prose", 300, None)
    assert ledger.head("trial") > before[0], "whoever follows the changes sees it"
    assert ledger.head("other") == before[1]
    assert [one.ref.doc_id for one in ledger.pending(run_no, since=0, after=0, limit=9, model="n")] == ["a", "b"]


def test_who_moves_to_where_it_is_stays(ledger: Ledger) -> None:
    run_no = Runs(ledger).begin_run(plan(), run_id="r")
    work = add_document(ledger, run_no, "a")
    head = ledger.head("trial")
    assert ledger.move("trial", Move(work, work.request_id, "m")) is work
    assert ledger.head("trial") == head


@pytest.mark.parametrize(
    ("outcome", "has_row"), [(Outcome.SUCCEEDED, True), (Outcome.REFUSED, False), (None, False)], ids=str
)
def test_what_the_other_model_has_settled_they_have(ledger: Ledger, outcome: Outcome | None, has_row: bool) -> None:
    run_no, other = Runs(ledger).begin_run(plan(), run_id="r"), Runs(ledger).begin_run(plan("other"), run_id="s")
    theirs = add_document(ledger, other, "z", job="other", request="to n")
    attempt_no = reserve(ledger, theirs, other, 1, job="other")
    assert isinstance(attempt_no, int)
    if outcome:
        ledger.settle(answered(attempt_no, outcome=outcome))
    work = add_document(ledger, run_no, "a", request="to m")

    moved = ledger.move("trial", Move(work, "to n", "n"))

    (row,) = ledger.connection.execute(
        "select status, row_request_no is not null from document_status where job = 'trial'"
    )
    assert row == (outcome or "pending", has_row)
    assert reserve(ledger, moved, run_no, 1) == Taken(settled=outcome is not None), "nobody pays it twice"


def test_a_document_that_was_set_aside_does_not_move(ledger: Ledger) -> None:
    run_no = Runs(ledger).begin_run(plan(), run_id="r")
    work = add_document(ledger, run_no, "a", request="to m")
    aside = add_document(ledger, run_no, "b", request="to m")
    ledger.set_aside(aside.document_no, Outcome.UNREADABLE, "it vanished")
    ledger.move("trial", Move(work, "to n", "n"))
    assert document_requests(ledger) == {"a": "to n", "b": "to m"}


def test_the_reply_is_kept_with_its_usage_and_its_words(ledger: Ledger) -> None:
    run_no = Runs(ledger).begin_run(plan(), run_id="r")
    attempt_no = reserve(ledger, add_document(ledger, run_no, "a"), run_no, 1)
    assert isinstance(attempt_no, int)

    ledger.settle(answered(attempt_no))

    assert ledger.connection.execute("select raw from replies").fetchall() == [("{}",)]
    assert ledger.connection.execute(
        "select status, stop_reason, api_request_id, model, input_tokens, cache_read_tokens, output_tokens"
        " from attempts"
    ).fetchall() == [(200, "end_turn", "req_1", "m-1", 5, 0, 2)]


# --- runs


def test_pending_are_those_of_the_run_since_a_moment_in_the_order_of_the_plan(ledger: Ledger) -> None:
    run_no, other = Runs(ledger).begin_run(plan(), run_id="r"), Runs(ledger).begin_run(plan("other"), run_id="s")
    for name in ("z", "y", "x"):
        add_document(ledger, run_no, name)
    add_document(ledger, other, "o", job="other")
    since = ledger.next_seq()
    late = add_document(ledger, run_no, "late")

    def names(*, since: int, after: int = 0, limit: int = 10) -> list[str]:
        return [one.ref.doc_id for one in ledger.pending(run_no, since=since, after=after, limit=limit)]

    assert names(since=0) == ["z", "y", "x", "late"]
    assert names(since=since) == ["late"]
    assert names(since=0, limit=2) == ["z", "y"]
    assert names(since=0, after=2) == ["x", "late"]
    ledger.set_aside(late.document_no, Outcome.UNREADABLE, "gone")
    assert names(since=since) == []
    assert Runs(ledger).unsettled(run_no)


@pytest.mark.parametrize(
    ("state", "fingerprint", "continues"),
    [
        ("interrupted", "f", True),
        ("stopped", "f", True),
        ("running", "f", True),
        ("finished", "f", False),
        ("interrupted", "another", False),
    ],
)
def test_a_run_is_continued_unless_it_is_finished_or_the_job_changed(
    ledger: Ledger, state: str, fingerprint: str, continues: bool
) -> None:
    run_no = Runs(ledger).begin_run(plan(), run_id="r")
    if state != "running":
        Runs(ledger).end_run(run_no, state=state, exit_code=0, note=None)

    found = Runs(ledger).open_run("trial", fingerprint)

    assert (found is not None) == continues
    assert Runs(ledger).open_run("other", fingerprint) is None


def test_only_the_latest_run_is_continued(ledger: Ledger) -> None:
    Runs(ledger).end_run(Runs(ledger).begin_run(plan(), run_id="r"), state="stopped", exit_code=4, note=None)
    Runs(ledger).end_run(Runs(ledger).begin_run(plan(), run_id="s"), state="finished", exit_code=0, note=None)

    assert Runs(ledger).open_run("trial", "f") is None


def test_recovering_marks_the_runs_of_one_job(ledger: Ledger) -> None:
    ours, theirs = Runs(ledger).begin_run(plan(), run_id="r"), Runs(ledger).begin_run(plan("other"), run_id="s")
    reserve(ledger, add_document(ledger, ours, "a"), ours, 5)
    reserve(ledger, add_document(ledger, theirs, "a", job="other", request="o"), theirs, 5, job="other")

    assert Runs(ledger).recover("trial") == 1

    assert ledger.connection.execute("select state from runs order by run_no").fetchall() == [
        ("interrupted",),
        ("running",),
    ]
    assert ledger.connection.execute("select state, cause, seq > 0 from attempts order by 1 desc").fetchall() == [
        ("unknown", "process died", 1),
        ("open", None, 0),
    ]
    assert Runs(ledger).running_jobs() == ["other"]


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    def begin_and_fail() -> None:
        with ledger.transaction():
            Runs(ledger).begin_run(plan(), run_id="r")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()

    assert not Runs(ledger).knows_run("r")
    with ledger.transaction():
        Runs(ledger).begin_run(plan(), run_id="r")
    assert Runs(ledger).knows_run("r")


# --- files


def test_what_was_committed_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ledger.sqlite3"
    with contextlib.closing(Ledger.open(path)) as ledger, ledger.transaction():
        Runs(ledger).begin_run(plan(), run_id="r")

    with contextlib.closing(Ledger.open(path)) as again, contextlib.closing(Ledger.read(path)) as reading:
        assert Runs(again).knows_run("r")
        assert Runs(reading).knows_run("r")
        assert again.ledger_id == reading.ledger_id == ledger.ledger_id


@pytest.mark.parametrize("made", [None, b""], ids=["missing", "empty"])
def test_a_ledger_that_is_not_there_yet_reads_as_an_empty_one(tmp_path: Path, made: bytes | None) -> None:
    path = tmp_path / "ledger.sqlite3"
    if made is not None:
        path.write_bytes(made)

    with contextlib.closing(Ledger.read(path)) as ledger:
        assert Runs(ledger).last_run("trial") is None
        assert ledger.head("trial") == 0
    assert path.exists() == (made is not None)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger.open(path).close()

    with contextlib.closing(Ledger.read(path)) as ledger, pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger.next_seq()


@pytest.mark.parametrize("open_", [Ledger.open, Ledger.read])
def test_a_ledger_of_another_version_is_refused(tmp_path: Path, open_: object) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 99")

    with pytest.raises(EnvironmentProblem, match="is a ledger of version 99"):
        open_(path)


@pytest.mark.parametrize("open_", [Ledger.open, Ledger.read])
@pytest.mark.parametrize("damage", ["another kind of file", "torn in the middle"])
def test_a_damaged_file_is_told_and_not_touched(tmp_path: Path, open_: object, damage: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger.open(path).close()
    whole = path.read_bytes()
    path.write_bytes(b"id,text\n" * 2_000 if damage == "another kind of file" else b"\0" * 100 + whole[100:])
    before = path.read_bytes()

    with pytest.raises(EnvironmentProblem, match="is damaged or is no ledger"):
        open_(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_the_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="is a folder, not a file"):
        Ledger.open(tmp_path)


def test_a_file_in_the_place_of_its_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")

    with pytest.raises(EnvironmentProblem, match="cannot be used"):
        Ledger.open(tmp_path / "x" / "ledger.sqlite3")


CREATE = """
import sys, time
from pathlib import Path
from batchrun.store.ledger.ledger import Ledger
sys.stdin.readline()
print(Ledger.open(Path(sys.argv[1])).ledger_id)
"""


@pytest.mark.slow
def test_processes_that_create_a_ledger_at_once_share_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    command = [sys.executable, "-c", CREATE, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(popen(command, **pipes)) for _ in range(3)]
        told = [process.communicate("go\n")[0] for process in processes]

    assert len(set(told)) == 1
    assert told[0].strip()


# --- the lock


def test_a_lock_is_free_again_when_its_holder_is_done(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    assert not is_locked(ledger, "trial")
    with job_lock(ledger, "trial"):
        assert is_locked(ledger, "trial")
        assert not is_locked(ledger, "other")
        assert not is_locked(tmp_path / "ledger.simulated.sqlite3", "trial"), "a rehearsal keeps nobody waiting"
    assert not is_locked(ledger, "trial")


def test_who_only_looks_whether_a_job_is_held_makes_nobody_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    looking = contextlib.ExitStack()
    file = looking.enter_context(lock_file(ledger, "trial").open("a+"))
    fcntl.flock(file, fcntl.LOCK_SH)  # as `is_locked` does for an instant
    monkeypatch.setattr(time, "sleep", lambda _: looking.close())

    with job_lock(ledger, "trial"):
        assert is_locked(ledger, "trial")
