"""Submits of PDFs and images as the model sees them, against the simulated API: what is sent, and what it costs."""

from datetime import date
from typing import Any

import pytest
from native_samples import agreement, png, scan
from test_submit_caching import FAST, RULES, price_of_books, simulated, submitted
from trial_project import TrialProject

from batchrun.catalog.price_table import load_prices
from batchrun.outcome import Outcome

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-5-5"
RATES = load_prices(today=date(2026, 11, 20)).model(MODEL).rates


def native(
    project: TrialProject, pdf: str = "native", *, route: str = "stream", cache: str = "off", **more: str
) -> None:
    project.job(
        source=f'type = "files"\ninclude = ["docs/*"]\npdf = "{pdf}"',
        model=f'name = "{MODEL}"\nmax_tokens = 400\neffort = "low"',
        prompt=f'cache = "{cache}"\nuser = """{RULES}\n<document>\n{{{{ doc.text }}}}\n</document>"""',
        output_fields='title = "string"\nlaw = { type = "string?", description = "Governing law" }',
        run=f'max_concurrency = 8\nroute = "{route}"',
        batch=FAST,
        budget="max_cost_usd = 5.0",
        **more,
    )


def fill(project: TrialProject, pdfs: int = 3, scans: int = 3) -> None:
    docs = project.root / "docs"
    for number in range(pdfs):
        (docs / f"a{number}.pdf").write_bytes(agreement(2, title=f"Agreement {number}"))
    for number in range(scans):
        (docs / f"s{number}.pdf").write_bytes(scan(4, of=number))
    (docs / "photo.png").write_bytes(png(4000, 3000))
    (docs / "text.txt").write_text("Minutes of a meeting, which nobody attended.")


@pytest.mark.parametrize("route", ["stream", "batch"])
def test_files_are_answered_and_never_sent_again(project: TrialProject, route: str) -> None:
    fill(project)
    native(project, route=route)
    with simulated() as (server, factory):
        first = submitted(project, factory)
        books = server.books.summary()
        second = submitted(project, factory)
        assert server.books.summary() == books

    assert first.outcomes == {Outcome.SUCCEEDED: 8}
    assert second.plan.to_send == 0
    assert first.totals is not None
    assert first.totals.cost_nusd == price_of_books(books, batch=route == "batch")
    titles = dict(project.rows("select doc_id, title from trial"))
    assert titles["docs/a1.pdf"] == "Agreement 1, page 1."
    assert len(titles) == 8


def test_the_bill_is_within_the_estimate_and_the_worst_case(project: TrialProject) -> None:
    fill(project)
    native(project)
    with simulated() as (server, factory):
        plan = submitted(project, factory).plan
        books = server.books.summary()

    assert plan.estimate.input.low <= books["input_tokens"] <= plan.estimate.input.high
    billed = project.ask("select input_tokens + output_tokens, cost_nusd, reserved_nusd from attempts")
    assert max(tokens for tokens, _, _ in billed) <= plan.worst_tokens
    assert all(cost is not None and cost <= plan.worst_nusd for _, cost, _ in billed)


def test_a_small_file_with_many_tokens_is_believed(project: TrialProject) -> None:
    (project.root / "docs" / "a.pdf").write_bytes(scan(90))
    native(project)
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books = server.books.summary()

    body = len((project.root / "docs" / "a.pdf").read_bytes()) * 4 // 3 + len(RULES)
    assert books["input_tokens"] > body, "the sample has more tokens than bytes"
    assert summary.totals is not None
    assert summary.totals.cost_nusd == price_of_books(books)


@pytest.mark.parametrize("route", ["stream", "batch"])
def test_the_rules_before_the_file_are_read_from_the_cache(project: TrialProject, route: str) -> None:
    fill(project, pdfs=10)
    native(project, cache="1h", route=route)
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books = server.books.summary()

    name = "batch_" if route == "batch" else ""
    assert books[f"{name}cache_read_tokens"] > 5 * 1_000
    assert summary.outcomes == {Outcome.SUCCEEDED: 15}
    assert summary.totals is not None
    assert summary.totals.cost_nusd == price_of_books(books, batch=route == "batch")


def test_auto_sends_files_of_scans_alone(project: TrialProject) -> None:
    fill(project)
    native(project, "text", cache="off")
    with simulated() as (_, factory):
        as_text = submitted(project, factory)
        native(project, "auto", cache="off")
        auto = submitted(project, factory)

    assert as_text.outcomes == {Outcome.SUCCEEDED: 4, Outcome.UNREADABLE: 4}
    assert auto.plan.to_send == 4, "the texts have their answers"
    assert auto.outcomes == {Outcome.SUCCEEDED: 8}
    kinds: dict[str, Any] = dict(project.ask("select text_class, count(*) from requests group by text_class"))
    assert kinds == {"prose": 4, "pages": 3, "image": 1}
    assert project.ask("select doc_id, pages, note from documents where pages = 4 and note like 'sent as it is%'")


def test_a_changed_file_alone_is_sent_again(project: TrialProject) -> None:
    fill(project)
    native(project)
    with simulated() as (_, factory):
        submitted(project, factory)
        (project.root / "docs" / "s1.pdf").write_bytes(scan(4, of=77))
        plan = submitted(project, factory).plan

    assert plan.to_send == 1


def test_a_batch_is_cut_where_its_bytes_end_if_nothing_can_be_uploaded(project: TrialProject) -> None:
    fill(project, pdfs=0, scans=6)
    native(project, route="batch")
    job = project.root / "jobs" / "trial.toml"
    job.write_text(job.read_text().replace(FAST, f'{FAST}\nmax_bytes = "30KB"'))
    with simulated(script=["batch_upload_denied"]) as (_, factory):
        summary = submitted(project, factory)

    assert summary.outcomes == {Outcome.SUCCEEDED: 8}
    assert project.ask("select count(*) from batches")[0][0] > 2
