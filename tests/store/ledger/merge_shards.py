"""Ledgers of several heads merged into a new one: a script for the tests, and a model for whoever needs it.

Numbers such as `request_no` mean something in their own ledger alone: 1 is another request in each of them. So what is
merged is not rows but facts, each by the key that names the fact in every ledger, as `KEYS` has them: a request by its
id, a run by its id and its start, an attempt by its run, its request and its start. Rows get new numbers, and every
reference to a number is looked up. Rows come in the order in which they are worth keeping, and the first one stays:
`INSERT … ON CONFLICT DO NOTHING`. So nothing is there twice, not even if ledgers are copies of each other in part.

Sums of money are not copied: the triggers of the ledger add them up again, attempt by attempt. The chain over settled
attempts is written anew, because its links have the old numbers: the old ledgers remain what proves the past.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from batchrun.store.ledger.ledger import Ledger

MOST = 10
"""How many files SQLite attaches at once. What was merged can be merged again with others."""
KEYS = {
    "runs": "run_id, started_at",
    "run_tags": "",
    "answer_forms": "sha, prompt_sha",
    "prices": "model, table_date, valid_from, source, above_tokens, divisor, input_nusd, output_nusd,"
    " cache_write_5m_nusd, cache_write_1h_nusd, cache_read_nusd",
    "requests": "request_id",
    "batches": "nonce",
    "foreign_batches": "",
    "attempts": "run_no, request_no, started_at",
    "replies": "",
    "documents": "job, doc_id",
    "run_answers": "",
    "wholes": "job, doc_id",
    "former_merges": "",
    "adopted": "",
    "pilots": "",
    "pilot_documents": "",
    "run_plans": "",
    "minutes": "",
    "waits": "",
    "learnt_limits": "",
    "read_files": "",
    "uploads": "",
    "audits": "audit_id",
    "audit_documents": "",
    "reviews": "audit_no, doc_id, field, request_id, reviewer, at",
    "tunes": "job, digest, started_at",
    "cascade_calibrations": "job, settings, drawn_at",
}
"""The tables in the order in which they refer to each other, with what names a row besides the number of the row. The
primary key of the other tables names their rows."""
LEFT_OUT = {"meta", "chain", "chain_end", "spending", "tag_spending", "lease_holder", "leases"}
"""What every ledger has of its own, and what follows from the attempts."""
BEST_FIRST = {
    "runs": "started_at, state != 'finished'",
    "requests": "outcome is not 'succeeded', outcome is null, partial is null",
    "attempts": "started_at, state = 'open', cost_nusd is null",
    "documents": "row_request_no is null, seq desc",
    "wholes": "output is null, row_seq desc",
    "batches": "state in ('prepared', 'submitted'), state = 'ended'",
    "learnt_limits": "learnt_at desc",
}
"""Which of two rows about the same is kept: the first. Runs and attempts are numbered in the order of their time."""
REFERS = {
    "run_no": "runs", "request_no": "requests", "row_request_no": "requests", "attempt_no": "attempts",
    "after_attempt": "attempts", "batch_no": "batches", "price_no": "prices", "form_no": "answer_forms",
    "audit_no": "audits",
}  # fmt: skip
"""The columns that are numbers of rows, and the tables of the rows."""
SUMS = {"committed_nusd", "expected_nusd", "tokens"}
"""Columns of runs that triggers add up."""
SETTLED_BY = """
insert into settled_by select request_id, shard, attempt_no from (ALL) where true order by BEST, shard
on conflict do nothing
"""
SETTLING = """
update requests set attempt_no = (
    select new from settled_by s join numbers n on of = 'attempts' and n.shard = s.shard and old = s.attempt_no
    where s.request_id = requests.request_id)
"""
"""Attempts come after the requests that they settle, so a request gets its attempt late, from the row that was kept."""
ROWS = """
update documents set row_request_no = request_no, row_seq = seq
where outcome is null and request_no in (select request_no from requests where outcome = 'succeeded')
"""
"""A document whose request was answered in another ledger has its row from there."""


def merge(shards: Sequence[Path], into: Path) -> None:
    """Write what the ledgers know into a new one. Nobody may write to them meanwhile.

    Raises sqlite3.IntegrityError, with nothing merged, if two different runs have the same id.
    """
    assert len(shards) <= MOST
    assert not into.exists()
    for shard in shards:
        Ledger.open(shard).close()  # brings an older ledger up to date
    with closing(Ledger.open(into)) as ledger:
        run = ledger.connection.execute
        for number, shard in enumerate(shards):
            run(f"attach ? as s{number}", (str(shard),))
        run("create temp table numbers (of, shard, old, new, primary key (of, shard, old)) without rowid")
        with ledger.transaction():
            for table in KEYS:
                merge_table(ledger.connection, table, len(shards))
            run("create temp table settled_by (request_id primary key, shard, attempt_no) without rowid")
            run(SETTLED_BY.replace("ALL", of_all("requests", len(shards))).replace("BEST", BEST_FIRST["requests"]))
            run(SETTLING)
            run(ROWS)
            heads = " union all ".join(
                f"select value from s{number}.meta where key = 'sequence'" for number in range(len(shards))
            )
            run(f"update meta set value = (select max(value) from ({heads})) where key = 'sequence'")
            settled = run("select attempt_no from attempts where state != 'open' order by attempt_no").fetchall()
            ledger.chain.append(attempt_no for (attempt_no,) in settled)


def merge_table(connection: sqlite3.Connection, table: str, shards: int) -> None:
    """Insert the rows of one table from every shard, and remember the new numbers of the rows."""
    number, columns = number_of(connection, table), list(columns_of(connection, table))
    kept = [column for column in columns if column != number]
    rows = of_all(table, shards)
    key = ", ".join(map(merged, KEYS[table].split(", ")))
    if number:
        connection.execute(f"create unique index one_row on {table} (json_array({KEYS[table]}))")  # null is a value too
    connection.execute(
        f"insert into main.{table} ({', '.join(kept)}) select {', '.join(of(table, column) for column in kept)}"
        f" from ({rows}) t where true order by {BEST_FIRST.get(table, 'true')}, shard on conflict do nothing"
    )
    if number:
        connection.execute(
            f"insert into numbers select '{table}', t.shard, t.old,"
            f" (select {number} from main.{table} indexed by one_row where json_array({KEYS[table]}) = t.same)"
            f" from (select shard, {number} as old, json_array({key}) as same from ({rows}) t limit -1) t"
        )
        connection.execute("drop index one_row")


def of_all(table: str, shards: int) -> str:
    """The query for the rows of a table in every shard, each with the number of its shard."""
    return " union all ".join(f"select {shard} as shard, * from s{shard}.{table}" for shard in range(shards))


def of(table: str, column: str) -> str:
    """The expression for a column of a merged row."""
    if table == "runs" and column in SUMS:
        return "0"
    return "null" if (table, column) == ("requests", "attempt_no") else merged(column)


def merged(column: str) -> str:
    """The expression for a column, with the new number where the column refers to a row."""
    if column not in REFERS:
        return f"t.{column}"
    found = f"(select new from numbers where of = '{REFERS[column]}' and shard = t.shard and old = t.{column})"
    return f"coalesce({found}, 0)" if column == "after_attempt" else found


def number_of(connection: sqlite3.Connection, table: str) -> str | None:
    """The column that numbers the rows of a table whose rows have another key. Returns None for other tables."""
    names = [row[1] for row in connection.execute(f"pragma table_info({table})") if row[5] == 1]
    return names[0] if KEYS[table] else None


def columns_of(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """The columns of a table that are written, in their order."""
    return (row[1] for row in connection.execute(f"pragma main.table_info({table})"))
