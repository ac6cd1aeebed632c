"""Submits with a prompt cache at the other side: what is marked, what it costs, and that it names nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.catalog.price_table import load_prices
from batchrun.cli.views.summary_text import cache_words
from batchrun.planning.selection import Selection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Reply, ReportedLimit, ReportedLimits
from batchrun.report.summary_json import cache_fields
from batchrun.request import Request
from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator
from batchrun.store.reports.cache_use import CacheUse
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.submit import cache_breakpoints
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-5-5"
RATES = load_prices(today=date(2026, 11, 20)).model(MODEL).rates
RULES = "Quote the clause that fixes the rent and say whether it is paid in advance. " * 60
FAST = 'max_requests = 1_000\npoll_interval = "10s"\nmax_poll_interval = "20s"\nreconcile_wait = "60s"'
SPEED = 100.0


def caching(project: TrialProject, cache: str = "auto", *, route: str = "stream", opening: str = RULES) -> None:
    """A job whose prompt begins with more than a thousand tokens of rules."""
    project.job(
        model=f'name = "{MODEL}"\nmax_tokens = 400\neffort = "low"',
        prompt=f'cache = "{cache}"\nuser = """{opening}\n<document>\n{{{{ doc.text }}}}\n</document>"""',
        run=f'max_concurrency = 8\nroute = "{route}"',
        batch=FAST,
        budget="max_cost_usd = 5.0",
    )


@contextmanager
def simulated(**options: Any) -> Iterator[tuple[SimulatorServer, AnthropicFactory]]:
    terms = ServiceTerms(median_s=30.0, per_request_s=0.0)
    simulator = Simulator(PROFILES["calm"], latency=INSTANT, speed=SPEED, terms=terms, **options)
    server = SimulatorServer(simulator)
    factory = AnthropicFactory(base_url=server.start_in_thread(), api_key="x")
    try:
        yield server, AnthropicFactory(base_url=server.base_url, api_key=factory.api_key)
    finally:
        server.stop()


def submitted(project: TrialProject, factory: AnthropicFactory) -> Summary:
    return project.submit(factory, options=SubmitOptions(speed=SPEED))  # type: ignore[arg-type]


def price_of_books(books: dict[str, Any], *, batch: bool = False) -> int:
    """What the API would write on its bill, in nano-USD; batches are half."""
    name = "batch_" if batch else ""
    whole = (
        books[f"{name}input_tokens"] * RATES.input
        + books[f"{name}output_tokens"] * RATES.output
        + books[f"{name}cache_read_tokens"] * RATES.cache_read
        + books[f"{name}cache_write_5m_tokens"] * RATES.cache_write_5m
        + books[f"{name}cache_write_1h_tokens"] * RATES.cache_write_1h
    )
    return whole // 2 if batch else whole


# --- streaming


def test_one_request_writes_what_all_others_read_and_the_bill_says_so(project: TrialProject) -> None:
    project.documents(40)
    caching(project)
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books = server.books.summary()

    written = books["cache_write_5m_tokens"]
    assert written > 1_000
    assert books["cache_read_tokens"] == 39 * written
    assert books["cache_write_1h_tokens"] == 0
    assert summary.totals is not None
    assert summary.totals.cost_nusd == price_of_books(books)
    saved = 39 * written * (RATES.input - RATES.cache_read) - written * (RATES.cache_write_5m - RATES.input)
    assert summary.cache_use == CacheUse(read_tokens=39 * written, written_tokens=written, saved_nusd=saved)
    assert len(project.rows()) == 40


def test_the_cache_changes_the_price_and_not_the_rows(project: TrialProject, tmp_path_factory: Any) -> None:
    other = TrialProject(tmp_path_factory.mktemp("other"))
    rows, prompts = [], []
    for one, cache in ((project, "5m"), (other, "off")):
        one.documents(20)
        caching(one, cache)
        with simulated() as (server, factory):
            summary = submitted(one, factory)
            assert (server.books.summary()["cache_read_tokens"] > 0) == (cache == "5m")
        assert summary.totals is not None
        rows.append(one.rows("select doc_id, title from trial order by doc_id"))
        prompts.append(summary.totals.input_tokens)
    assert rows[0] == rows[1]
    # Blocks of text are counted one by one, which may round a token up or down.
    assert prompts[0] == pytest.approx(prompts[1], abs=20)


def test_a_long_answer_that_is_streamed_over_the_wire_is_marked_too(project: TrialProject) -> None:
    project.documents(3)
    caching(project)
    job = project.root / "jobs" / "trial.toml"
    job.write_text(job.read_text().replace("max_tokens = 400", "max_tokens = 30_000"))
    with simulated() as (server, factory):
        submitted(project, factory)
        books = server.books.summary()
    assert books["cache_read_tokens"] == 2 * books["cache_write_5m_tokens"] > 0


def test_a_prompt_with_little_in_it_is_sent_as_it_is(project: TrialProject) -> None:
    project.documents(10)
    caching(project, opening="Read this:")
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books = server.books.summary()
    assert (books["cache_read_tokens"], books["cache_write_5m_tokens"]) == (0, 0)
    assert summary.cache_use is None
    assert "caches 512 or more" in summary.plan.caching[Route.STREAM].reason


def test_a_changed_wish_is_no_new_work(project: TrialProject) -> None:
    project.documents(10)
    caching(project, "off")
    with simulated() as (server, factory):
        submitted(project, factory)
        for cache in ("auto", "5m", "1h", "off"):
            caching(project, cache)
            assert submitted(project, factory).plan.to_send == 0
        assert server.books.summary()["requests"] == 10


def test_a_run_that_was_cut_short_goes_on_with_another_wish(project: TrialProject) -> None:
    project.documents(30)
    caching(project, "5m")
    with simulated(script=[*["ok"] * 12, "billing"]) as (server, factory):
        first = submitted(project, factory)
        assert first.halted is not None
        caching(project, "off")
        second = submitted(project, factory)
        books = server.books.summary()
    assert first.totals is not None
    assert second.totals is not None
    assert second.totals.run_id == first.totals.run_id
    assert books["billed"] == 30
    assert books["billed_twice"] == 0
    assert second.totals.cost_nusd == price_of_books(books)


def test_what_is_reserved_is_never_less_than_what_it_cost(project: TrialProject) -> None:
    project.documents(10)
    caching(project, "1h")
    with simulated() as (_, factory):
        submitted(project, factory)
    assert project.ask("select count(*) from attempts where cost_nusd > reserved_nusd") == [(0,)]
    assert project.ask("select count(*) from attempts where cache_write_1h_tokens > 0") == [(1,)]


def test_the_next_plan_knows_how_often_the_cache_was_hit(project: TrialProject) -> None:
    project.documents(20)
    caching(project)
    with simulated() as (_, factory):
        submitted(project, factory)
    for number in range(20, 120):
        project.document(f"{number:04}.txt", f"text {number}")
    expected = project.plan().caching[Route.STREAM].hit_rate
    assert expected.mean == pytest.approx(0.95)  # 19 of 20, which is less than 99 of 100


def test_the_model_that_answers_for_the_first_reads_a_cache_of_its_own(project: TrialProject) -> None:
    project.documents(12)
    caching(project)
    job = project.root / "jobs" / "trial.toml"
    job.write_text(job.read_text().replace("max_tokens", 'fallbacks = ["claude-opus-5-5"]\nmax_tokens'))
    with simulated(script=["ok", *["refused"] * 5]) as (server, factory):
        summary = submitted(project, factory)
        used = server.books.summary()["model_usage"]["claude-opus-5-5"]
    assert summary.exit_code == 0
    assert used["requests"] == 5
    assert used["cache_read_tokens"] == 4 * used["cache_write_5m_tokens"] > 0
    assert project.ask("select count(*) from attempts where cost_nusd > reserved_nusd") == [(0,)]


# --- batches


def test_what_batches_leave_near_a_deadline_is_streamed_with_the_mark_of_streams(project: TrialProject) -> None:
    project.documents(200)
    caching(project, route="batch")
    with project.opened() as opened:
        planner = opened.planner()
        found = cache_breakpoints(planner, asyncio.run(planner.plan(Selection())))
    assert {route: mark.ttl for route, mark in found.items()} == {Route.BATCH: "1h", Route.STREAM: "5m"}
    assert found[Route.BATCH].opening == found[Route.STREAM].opening == f"{RULES}\n<document>\n"


def test_batches_are_marked_for_an_hour_and_the_bill_is_half(project: TrialProject) -> None:
    project.documents(60)
    caching(project, route="batch")
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books = server.books.summary()

    assert summary.exit_code == 0
    assert books["batch_billed"] == 60
    assert books["batch_cache_write_5m_tokens"] == 0
    assert books["batch_cache_read_tokens"] > 0.4 * 60 * 1_000
    assert books["batch_cache_write_1h_tokens"] > 0
    assert summary.totals is not None
    assert summary.totals.cost_nusd == pytest.approx(price_of_books(books, batch=True), abs=60)
    assert summary.cache_use is not None
    assert summary.cache_use.read_tokens == books["batch_cache_read_tokens"]
    assert project.ask("select count(*) from attempts where cost_nusd > reserved_nusd") == [(0,)]


def test_the_size_of_a_batch_is_that_of_the_marked_bytes(project: TrialProject) -> None:
    sizes = {}
    project.documents(4)
    for cache in ("off", "1h"):
        caching(project, cache, route="batch")
        project.ledger_path.unlink(missing_ok=True)
        project.database.unlink(missing_ok=True)
        with simulated() as (_, factory):
            submitted(project, factory)
        ((sizes[cache],),) = project.ask("select bytes from batches")
    blocks = '[{"type":"text","text":"","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":""}]'
    assert sizes["1h"] - sizes["off"] == 4 * (len(blocks) - len('""'))


# --- who goes alone


AMPLE = ReportedLimits(requests=ReportedLimit(4_000, 3_900))
"""Limits that are told, so that the answers of 429 teach no rate: a learnt rate lets requests go one by one."""


def arrivals_after(project: TrialProject, cache: str, *, pause_s: float) -> list[int]:
    """How many requests were under way when each was sent that came after a pause a 429 asked for."""
    project.documents(60)
    caching(project, cache)
    under_way: list[int] = []

    async def step(_: Request) -> Reply:
        now = asyncio.get_running_loop().time() - 1.0  # when it was sent
        if 3.0 < now < 10.0:
            raise AttemptError(status(429, "later", error_type="rate_limit_error", retry_after_s=pause_s, limits=AMPLE))
        return answer(model=MODEL)

    class Watched(ScriptedProvider):
        async def send(self, request: Request) -> Reply:
            if asyncio.get_running_loop().time() > pause_s:
                under_way.append(self.in_flight + 1)
            return await super().send(request)

    assert project.execute(Watched(default=step, latency_s=1.0)) is None
    assert set(project.statuses().values()) == {"succeeded"}
    return under_way


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("cache", "pause_s", "alone"),
    [("5m", 400, True), ("5m", 50, False), ("1h", 50, False), ("off", 50, False), ("off", 400, True)],
)
def test_after_a_pause_longer_than_the_cache_remembers_or_than_a_minute_one_request_goes_alone(
    project: TrialProject, cache: str, pause_s: float, alone: bool
) -> None:
    """A pause of more than a minute is an outage, and the first request after an outage is a probe."""
    first, second, *rest = arrivals_after(project, cache, pause_s=pause_s)
    assert first == 1
    assert (second == 1) == alone
    assert max(rest) > 3


def test_words_for_the_summary() -> None:
    paid = CacheUse(read_tokens=2_700_000, written_tokens=12_000, saved_nusd=1_230_000_000)
    assert cache_words(paid) == "read 2.70M (99%) · written 12.0k · saved $1.23 against no cache"
    lost = CacheUse(read_tokens=0, written_tokens=60_000, saved_nusd=-120_000_000)
    assert cache_words(lost) == (
        'read 0 (0%) · written 60.0k · cost $0.1200 more than without: set prompt.cache = "off"'
    )
    assert cache_fields(paid) == {
        "cache_read_tokens": 2_700_000,
        "cache_write_tokens": 12_000,
        "cache_hit_rate": 0.9956,
        "cache_saved_usd": 1.23,
    }
    assert cache_fields(None)["cache_hit_rate"] is None
