"""A ledger with answers beside an output file, for the tests of publishing."""

import contextlib
import json
from pathlib import Path
from typing import Any

import duckdb
from run_caps import run_caps

from batchrun.budget.caps import Amount
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.job.fields import Column, OutputFields
from batchrun.outcome import Outcome
from batchrun.reply import Reply, Usage
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Pending, RunPlan, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.output.output_table import OutputTable
from batchrun.store.output.publish import Output

STRING = {"title": "VARCHAR"}


class Desk:
    """A ledger that answers come into, and the file they are brought to."""

    def __init__(self, folder: Path, ledger: Ledger, *, job: str = "trial") -> None:
        self.folder = folder
        self.ledger = ledger
        self.job = job
        self.database = folder / "out.duckdb"
        self.number = 0
        with ledger.transaction():
            self.run_no = Runs(ledger).begin_run(
                RunPlan(
                    job=job, job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
                    cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
                ),
                run_id=f"run of {job}",
            )  # fmt: skip

    def settle(
        self, doc_id: str, output: object, *, outcome: Outcome = Outcome.SUCCEEDED, model: str = "m", **times: float
    ) -> None:
        """An answer for a document, new or again."""
        self.number += 1
        run = self.ledger.connection.execute
        with self.ledger.transaction():
            seq = self.ledger.next_seq()
            request_no = run(
                "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 1, 'prose')",
                (f"{self.job} {self.number}",),
            ).lastrowid
            run(
                "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
                " values (?, ?, 's', 'c', ?, ?, ?) on conflict (job, doc_id) do update"
                " set request_no = excluded.request_no, seq = excluded.seq",
                (self.job, doc_id, request_no, self.run_no, seq),
            )
            work = Pending(0, DocumentRef(doc_id, "s"), int(request_no or 0), "", 1, TextClass.PROSE, None)
            attempt_no = self.ledger.reserve(
                work,
                Amount(1),
                run_no=self.run_no,
                job=self.job,
                model="m",
                caps=run_caps(self.ledger, self.run_no),
            )
            assert isinstance(attempt_no, int)
        with self.ledger.transaction():
            self.ledger.settle(
                Settlement(
                    attempt_no=attempt_no,
                    state="answered",
                    cost_nusd=1,
                    outcome=outcome,
                    reason=None if outcome is Outcome.SUCCEEDED else "why",
                    output=json.dumps(output) if outcome is Outcome.SUCCEEDED else None,
                    reply=Reply(
                        "",
                        "end_turn",
                        Usage(1, output_tokens=1),
                        model,
                        None,
                        "{}",
                        first_byte_s=times.get("first_byte_s"),
                    ),
                    latency_s=times.get("latency_s"),
                )
            )

    def output(self, table: str = "trial", /, **columns: str) -> Output:
        """The output with these columns; one string `title` if none are given."""
        made = tuple(Column(name, sql_type, sql_type) for name, sql_type in (columns or STRING).items())
        return Output(self.ledger, self.job, OutputTable(self.database, table, made))

    def output_of(self, fields: OutputFields) -> Output:
        """The output with the columns of a job's fields."""
        return Output(self.ledger, self.job, OutputTable(self.database, "trial", fields.columns))

    def publish(self) -> int:
        return self.output().publish(wait_s=0)

    def ask(self, query: str = "select doc_id, title from trial order by doc_id") -> list[Any]:
        with contextlib.closing(duckdb.connect(str(self.database), read_only=True)) as connection:
            return connection.execute(query).fetchall()

    def change(self, statement: str) -> None:
        with contextlib.closing(duckdb.connect(str(self.database))) as connection:
            connection.execute(statement)


def behind(output: Output) -> bool:
    """Whether the ledger has changes that the file lacks."""
    if not output._table.database.exists():
        return output.head() > 0
    with output._opened(read_only=True, wait_s=0) as connection:
        return output._existing(connection) is None or output._position(connection) < output.head()


def fill(desk: Desk) -> None:
    for number in range(5):
        desk.settle(f"d{number}", {"title": str(number)})
    desk.settle("d3", None, outcome=Outcome.REFUSED)
    desk.publish()
