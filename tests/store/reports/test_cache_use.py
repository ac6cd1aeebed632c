"""What the ledger tells of the prompt cache, added up by hand at the prices of 2026-11-20."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.outcome import Outcome
from batchrun.reply import Reply, Usage
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.cache_use import CacheUse, cache_use, measured_hit_rate

PRICES = load_prices(today=date(2026, 11, 20)).prices
RUN = 1


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_missing(connection)
    with contextlib.closing(Ledger(connection, None)) as opened:
        plan = RunPlan(
            job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
            cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
        )  # fmt: skip
        Runs(opened).begin_run(plan, run_id="r")
        opened.connection.execute(
            "insert into batches (batch_no, nonce, run_no, job, model, schema, state, requests, bytes, prepared_at)"
            " values (1, 'n', 1, 'trial', 'm', '{}', 'submitted', 1, 1, 0.0)"
        )
        yield opened


def answered(ledger: Ledger, usage: Usage | None, *, model: str = "claude-sonnet-5-5", batch: int | None = None):
    (number,) = ledger.connection.execute("select count(*) from attempts").fetchone()
    ledger.connection.execute(
        "insert into requests (request_id, model, counted_tokens, text_class) values (?, ?, 1, 'prose')",
        (f"id {number}", model),
    )
    ledger.connection.execute(
        "insert into attempts (attempt_no, request_no, run_no, job, doc_id, state, reserved_nusd, started_at, batch_no)"
        " values (?, ?, 1, 'trial', 'd', 'open', 1, 0.0, ?)",
        (number + 1, number + 1, batch),
    )
    reply = Reply(text="", stop_reason="end_turn", usage=usage, model=model, api_request_id=None, raw="{}")
    ledger.settle(
        Settlement(attempt_no=number + 1, state="answered", cost_nusd=1, outcome=Outcome.SUCCEEDED, reply=reply)
    )


def used(ledger: Ledger) -> CacheUse | None:
    return cache_use(ledger, RUN, price_of=PRICES.get)


def test_nothing_cached_nothing_to_tell(ledger: Ledger):
    assert used(ledger) is None
    answered(ledger, Usage(input_tokens=100, output_tokens=10))
    answered(ledger, None)
    assert used(ledger) is None


def test_what_one_write_and_two_reads_saved(ledger: Ledger):
    answered(ledger, Usage(50, cache_write_5m_tokens=1_000, output_tokens=9))
    answered(ledger, Usage(50, cache_read_tokens=1_000, output_tokens=9))
    answered(ledger, Usage(50, cache_read_tokens=1_000, output_tokens=9))
    found = used(ledger)
    assert found == CacheUse(read_tokens=2_000, written_tokens=1_000, saved_nusd=2_000 * 1_900 - 1_000 * 500)
    assert found.hit_rate == pytest.approx(2 / 3)


def test_in_batches_it_is_half(ledger: Ledger):
    answered(ledger, Usage(50, cache_write_1h_tokens=1_000), batch=1)
    answered(ledger, Usage(50, cache_read_tokens=1_000), batch=1)
    assert used(ledger).saved_nusd == (1_000 * 1_900 - 1_000 * 2_000) // 2


def test_a_cache_that_was_only_written_has_cost_more(ledger: Ledger):
    answered(ledger, Usage(50, cache_write_1h_tokens=1_000))
    assert used(ledger) == CacheUse(read_tokens=0, written_tokens=1_000, saved_nusd=-1_000 * 2_000)


def test_each_answer_is_priced_in_its_own_band(ledger: Ledger):
    for _ in range(2):  # 120,000 tokens together, and each of them below the dearer band
        answered(ledger, Usage(59_000, cache_read_tokens=1_000), model="claude-haiku-5-5")
    answered(ledger, Usage(100_000, cache_read_tokens=1_000), model="claude-haiku-5-5")
    assert used(ledger).saved_nusd == 2 * 1_000 * 90 + 1_000 * 450


def test_models_are_added_up_and_one_without_a_price_has_saved_nothing(ledger: Ledger):
    answered(ledger, Usage(50, cache_read_tokens=1_000))
    answered(ledger, Usage(50, cache_read_tokens=1_000), model="claude-haiku-4-5-20251001")
    answered(ledger, Usage(50, cache_read_tokens=1_000), model="claude-of-another-house")
    assert used(ledger) == CacheUse(read_tokens=3_000, written_tokens=0, saved_nusd=1_000 * 1_900 + 1_000 * 900)


def test_a_few_answers_tell_nothing_of_the_next_run(ledger: Ledger):
    for _ in range(19):
        answered(ledger, Usage(50, cache_read_tokens=1_000))
    assert measured_hit_rate(ledger, "trial", in_batches=False) is None


def test_each_route_and_each_job_has_a_hit_rate_of_its_own(ledger: Ledger):
    answered(ledger, Usage(50, cache_write_5m_tokens=1_000))
    for _ in range(19):
        answered(ledger, Usage(50, cache_read_tokens=1_000))
    for _ in range(10):
        answered(ledger, Usage(50, cache_write_1h_tokens=1_000), batch=1)
        answered(ledger, Usage(50, cache_read_tokens=1_000), batch=1)
        answered(ledger, Usage(50, output_tokens=1), batch=1)
    assert measured_hit_rate(ledger, "trial", in_batches=False) == pytest.approx(0.95)
    assert measured_hit_rate(ledger, "trial", in_batches=True) == pytest.approx(0.5)
    assert measured_hit_rate(ledger, "another", in_batches=True) is None
