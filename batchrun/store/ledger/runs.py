"""Runs in the ledger: begun, continued, ended, and recovered after their process died."""

import socket
import time
from os import getpid

from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Run, RunPlan

SELECT_RUN = """
select run_no, run_id, job_path, state, fingerprint, route, started_at, to_send, cap_nusd, committed_nusd,
    (select coalesce(sum(reserved_nusd), 0) from attempts
        where attempts.run_no = runs.run_no and cost_nusd is null and state != 'open'),
    (select coalesce(sum(reserved_nusd), 0) from attempts where attempts.run_no = runs.run_no and state = 'open'),
    cap_tokens, tokens,
    (select coalesce(sum(counted_tokens), 0) from attempts
        where attempts.run_no = runs.run_no and cost_nusd is null and state != 'open'),
    (select coalesce(sum(counted_tokens), 0) from attempts where attempts.run_no = runs.run_no and state = 'open'),
    (select coalesce(sum(reserved_nusd), 0) from attempts
        where attempts.run_no = runs.run_no and state = 'open' and batch_no is null)
from runs
"""
"""The columns of a `Run`."""


class Runs:
    """The runs of a ledger; methods that write belong inside `ledger.transaction()`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection = ledger.connection

    def recover(self, job: str) -> int:
        """Record what a dead process of the job left: its open attempts may have been billed. Returns how many.

        Members of batches stay open: the API still has their results. A batch that was prepared and never sent as a
        whole does not exist.
        """
        batches = Batches(self._ledger)
        for batch in batches.unsent(job):
            batches.abandon(batch, "not sent: the process ended first")
        lost = self._connection.execute(
            "update attempts set state = 'unknown', ended_at = ?, cause = 'process died', seq = ?"
            " where state = 'open' and batch_no is null and run_no in (select run_no from runs where job = ?)"
            " returning attempt_no",
            (time.time(), self._ledger.next_seq(), job),
        ).fetchall()
        self._ledger.chain.append([attempt_no for (attempt_no,) in lost])
        self._connection.execute("update runs set state = 'interrupted' where state = 'running' and job = ?", (job,))
        return len(lost)

    def was_killed(self, run_no: int) -> bool:
        """Return whether a process of the run died while streamed requests were in flight."""
        query = (
            "select exists (select 1 from attempts indexed by attempts_run"
            " where run_no = ? and state = 'unknown' and cause = 'process died')"
        )
        return bool(self._connection.execute(query, (run_no,)).fetchone()[0])

    def one(self, run_no: int) -> Run:
        """A run by its number."""
        return Run(*self._connection.execute(f"{SELECT_RUN} where run_no = ?", (run_no,)).fetchone())

    def tags(self, run_no: int) -> dict[str, str]:
        """Read the tags of a run."""
        return dict(self._connection.execute("select tag, value from run_tags where run_no = ?", (run_no,)).fetchall())

    def last_run(self, job: str) -> Run | None:
        """The latest run of a job, whatever its state."""
        row = self._connection.execute(f"{SELECT_RUN} where job = ? order by run_no desc limit 1", (job,)).fetchone()
        return Run(*row) if row else None

    def finished_before(self, job: str, run_no: int) -> Run | None:
        """The last run of a job that had finished before another run of the job began. None if there is none."""
        query = f"{SELECT_RUN} where job = ? and state = 'finished' and run_no < ? order by run_no desc limit 1"
        row = self._connection.execute(query, (job, run_no)).fetchone()
        return Run(*row) if row else None

    def open_run(self, job: str, fingerprint: str) -> Run | None:
        """The last run of the job, if it has not finished and its job file still makes the same requests."""
        run = self.last_run(job)
        return run if run and run.state != "finished" and run.fingerprint == fingerprint else None

    def begin_run(self, plan: RunPlan, *, run_id: str) -> int:
        """Begin a new run. Returns the run's number."""
        now = time.time()
        cursor = self._connection.execute(
            "insert into runs (run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
            " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, estimate_input_tokens,"
            " estimate_output_tokens, route, pid, host, started_at, deadline_at, cap_tokens)"
            " values (?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id, plan.job, plan.job_path, plan.fingerprint, plan.model, plan.simulated, plan.documents,
                plan.to_send, plan.cap_nusd, plan.estimate_nusd, plan.estimate_low_nusd, plan.estimate_high_nusd,
                plan.estimate_input_tokens, plan.estimate_output_tokens, plan.route, getpid(),
                socket.gethostname(), now, plan.deadline_s and now + plan.deadline_s, plan.cap_tokens,
            ),
        )  # fmt: skip
        run_no = int(cursor.lastrowid or 0)
        tags = [(run_no, tag, value) for tag, value in plan.tags.items()]
        self._connection.executemany("insert into run_tags values (?, ?, ?)", tags)
        return run_no

    def continue_run(self, run_no: int, plan: RunPlan) -> None:
        """Continue a run that was cut short: what the run has spent stays on the run's account, and its tags stay."""
        self._connection.execute(
            "update runs set state = 'running', exit_code = null, note = null, ended_at = null, pid = ?, host = ?,"
            " documents = max(documents, ?), to_send = max(to_send, ?), cap_nusd = ?, cap_tokens = ?,"
            " route = ?, deadline_at = started_at + ? where run_no = ?",
            (
                getpid(), socket.gethostname(), plan.documents, plan.to_send, plan.cap_nusd, plan.cap_tokens,
                plan.route, plan.deadline_s, run_no,
            ),
        )  # fmt: skip

    def note(self, run_no: int, note: str | None) -> None:
        """Note what a run waits for while it goes on."""
        self._connection.execute("update runs set note = ? where run_no = ?", (note, run_no))

    def end_run(self, run_no: int, *, state: str, exit_code: int, note: str | None) -> None:
        """Record how a run ended; the run may be continued later."""
        self._connection.execute(
            "update runs set state = ?, exit_code = ?, note = ?, ended_at = ? where run_no = ?",
            (state, exit_code, note, time.time(), run_no),
        )

    def knows_run(self, run_id: str) -> bool:
        """Whether the id is in use."""
        return self._connection.execute("select 1 from runs where run_id = ?", (run_id,)).fetchone() is not None

    def unsettled(self, run_no: int) -> int:
        """How many documents of the run have no outcome, those in batches included."""
        row = self._connection.execute(
            "select count(*) from documents d join requests r using (request_no)"
            " where d.run_no = ? and d.outcome is null and r.outcome is null",
            (run_no,),
        ).fetchone()
        return int(row[0])

    def running_jobs(self) -> list[str]:
        """The jobs that run, or whose process died while they ran."""
        return [job for (job,) in self._connection.execute("select distinct job from runs where state = 'running'")]
