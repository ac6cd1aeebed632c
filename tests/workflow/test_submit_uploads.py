"""Submits of PDFs that one batch has no room for, against the simulated API: they are uploaded, and named in one batch."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from native_samples import agreement
from test_submit_caching import FAST, price_of_books, simulated, submitted
from test_submit_native import native
from trial_project import TrialProject

from batchrun.errors import BatchrunError
from batchrun.events import BatchTrouble
from batchrun.outcome import Outcome
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

MAX_BYTES = f'{FAST}\nmax_bytes = "60KB"'
DOCUMENTS = 4


def large(project: TrialProject, *, cache: str = "off", **more: str) -> None:
    """A batched job of four PDFs, of which a batch has room for two."""
    docs = project.root / "docs"
    for number in range(DOCUMENTS):
        (docs / f"a{number}.pdf").write_bytes(agreement(8, title=f"Agreement {number}"))
    native(project, route="batch", cache=cache, **more)
    job = project.root / "jobs" / "trial.toml"
    job.write_text(job.read_text().replace(FAST, MAX_BYTES))


def sources(server: SimulatorServer) -> list[str]:
    """What each request of each batch has in the place of its file."""
    return [
        json.loads(batch.file.read(member.sent.place))["messages"][0]["content"][1]["source"]["type"]
        for batch in server.simulator.batches.all
        for member in batch.members
    ]


@pytest.mark.parametrize("cache", ["off", "1h"])
def test_one_batch_holds_what_its_bytes_do_not(project: TrialProject, cache: str) -> None:
    large(project, cache=cache)
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books, files = server.books.summary(), server.simulator.files.all
        again = submitted(project, factory)

        assert sources(server) == ["file"] * DOCUMENTS
        assert server.simulator.files.all == files

    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    assert again.plan.to_send == 0
    assert project.ask("select state, requests from batches") == [("collected", DOCUMENTS)]
    assert len(files) == DOCUMENTS
    assert all(file.deleted for file in files)
    assert project.ask("select * from uploads") == []
    assert summary.totals is not None
    assert summary.totals.cost_nusd == price_of_books(books, batch=True)
