"""Publishing of answers of any size: what is written at once is bounded, and no answer keeps the others out."""

from typing import Any

import pytest
from output_desk import Desk

from batchrun.job.fields import Column
from batchrun.store.output import publish as output_module
from batchrun.store.output.output_table import OutputTable
from batchrun.store.output.publish import Output

pytestmark = pytest.mark.slow


def rebuilt(desk: Desk, output: Output) -> int:
    """Delete the file and publish again; returns how many rows came."""
    desk.database.unlink()
    return output.publish(wait_s=0)


def words(number: int, characters: int) -> str:
    """Text of so many characters that no two documents have in common."""
    return (f"{number} " * characters)[:characters]


@pytest.mark.parametrize(("count", "size"), [(600, 16_000), (700, 50_000), (2, 6_000_000), (1, 30_000_000)])
def test_large_answers_are_published_and_rebuilt(desk: Desk, count: int, size: int) -> None:
    for number in range(count):
        desk.settle(f"d{number}", {"title": words(number, size)})

    assert desk.publish() == count
    assert rebuilt(desk, desk.output()) == count

    assert desk.ask("select count(*), min(length(title)), max(length(title)) from trial") == [(count, size, size)]


def test_documents_that_share_a_large_answer_are_not_written_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share one sequence number, whatever their count."""
    desk.settle("first", {"title": words(1, 1_000_000)})
    with desk.ledger.transaction():
        desk.ledger.connection.execute(
            "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 90)"
            " insert into documents (job, doc_id, source, content_sha, request_no, row_request_no, run_no, seq,"
            " row_seq) select job, 'copy ' || n, source, content_sha, request_no, row_request_no, run_no, seq, row_seq"
            " from documents, numbers"
        )
    sizes: list[int] = []
    apply = Output._apply

    def measured(self: Output, connection: Any, some: Any) -> None:
        sizes.append(sum(len(str(value)) for row in some.rows for value in row))
        apply(self, connection, some)

    monkeypatch.setattr(Output, "_apply", measured)

    assert desk.publish() == 91

    assert max(sizes) < 6_000_000
    assert desk.ask("select count(*), count(distinct title) from trial") == [(91, 1)]


def test_a_list_of_a_million_numbers_is_a_row(desk: Desk) -> None:
    desk.settle("a", {"title": "x", "counts": list(range(1_000_000))})
    desk.settle("b", {"title": "y", "counts": [1]})
    columns = (Column("title", "VARCHAR", "VARCHAR"), Column("counts", "BIGINT[]", ["BIGINT"]))

    assert Output(desk.ledger, desk.job, OutputTable(desk.database, "trial", columns)).publish(wait_s=0) == 2

    assert desk.ask("select doc_id, len(counts), counts[-1] from trial order by 1") == [
        ("a", 1_000_000, 999_999),
        ("b", 1, 1),
    ]


def test_an_answer_that_is_deeply_nested_keeps_no_other_out(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    with desk.ledger.transaction():
        deep = '{"title": ' + "[" * 50_000 + "]" * 50_000 + "}"
        desk.ledger.connection.execute("update requests set output = ?", (deep,))
    desk.settle("b", {"title": "y"})

    desk.publish()

    assert ("b", "y") in desk.ask()


def test_long_messages_of_attempts_and_reasons_arrive(desk: Desk) -> None:
    for number in range(300):
        desk.settle(f"d{number}", {"title": "x"})
    desk.ledger.connection.execute("update attempts set message = printf('%.100000c', 'm')")
    desk.ledger.connection.execute("update documents set outcome = 'unreadable', reason = printf('%.100000c', 'r')")

    desk.publish()

    assert desk.ask("select count(*), max(length(message)) from _batchrun.attempts") == [(300, 100_000)]
    assert desk.ask("select count(*), max(length(reason)) from _batchrun.documents") == [(300, 100_000)]


def test_more_memory_is_given_when_duckdb_needs_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "LEAST_MEMORY_MB", 8)
    for number in range(4):
        desk.settle(f"d{number}", {"title": words(number, 4_000_000)})

    assert desk.publish() == 4


def test_a_machine_without_the_memory_is_told_in_words(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "LEAST_MEMORY_MB", 8)
    monkeypatch.setattr(output_module, "memory_of_machine_mb", lambda: 8)
    desk.settle("a", {"title": words(1, 6_000_000)})

    with pytest.raises(output_module.EnvironmentProblem, match="memory") as problem:
        desk.publish()

    assert "batchrun sync" in str(problem.value.hint)
