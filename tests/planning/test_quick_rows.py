"""The quick way to the rows of a plan and the slow one give the same rows, whatever the page and the ledger have."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_project import TrialProject

from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.planning.classification import PageClassifier
from batchrun.planning.plan_rows import columns_of
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.selection import Selection
from batchrun.planning.weighing import EMPTY, Asked, Page, Weighed
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.plan import Kind

CHAINS = {
    "one model": 'name = "claude-haiku-4-5"\nmax_tokens = 100',
    "a chain": (
        'name = "claude-haiku-4-5"\nmax_tokens = 100\nfallbacks = ["claude-sonnet-5"]\nfallback_on = ["refused"]'
    ),
}
TEXTS, IDS = st.sampled_from("abc"), st.sampled_from([*"123456", 'the "ü"'])
OUTCOMES = st.sampled_from([None, None, Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.TRUNCATED])
SELECTIONS = st.sampled_from([Selection(), Selection(), Selection(again=frozenset({Outcome.REFUSED}))])


@dataclass(frozen=True)
class KnownDocument:
    """A document of the ledger, and its request."""

    doc_id: str
    text: str
    request_of: str
    outcome: Outcome | None
    own_outcome: Outcome | None
    job: str
    in_batch: bool


KNOWN = st.builds(
    KnownDocument,
    doc_id=IDS,
    text=TEXTS,
    request_of=TEXTS,
    outcome=OUTCOMES,
    own_outcome=st.sampled_from([None, None, None, Outcome.SKIPPED, Outcome.UNREADABLE]),
    job=st.sampled_from(["trial", "trial", "other"]),
    in_batch=st.booleans(),
)


@st.composite
def weighed(draw: Any, models: int) -> Weighed:
    """A document as a weigher finds one."""
    doc_id, text = draw(IDS), draw(TEXTS)
    found = Weighed(doc_id, f"{doc_id}.txt", draw(st.sampled_from(["", "7"])), f"sha of {text}", None, size=9)
    if problem := draw(st.sampled_from([None, None, None, EMPTY, "it is broken"])):
        return found._replace(problem=problem, content_sha="" if problem != EMPTY else found.content_sha)
    allowed = draw(st.sampled_from([(100,), (100,), (100, 200)]))
    return found._replace(
        asked=tuple(asked(text, max_tokens, models) for max_tokens in allowed),
        counted=draw(st.sampled_from([None, None, 7, 10**7])),
        text_class=draw(st.sampled_from([TextClass.PROSE, TextClass.CODE])),
        note=draw(st.sampled_from([None, "a note"])),
        bytes_sha=draw(st.sampled_from(["", f"bytes of {text}"])),
        whole=draw(st.sampled_from([None, None, "a whole"])),
        markup=draw(st.sampled_from([0.0, 0.7])),
    )


def asked(text: str, max_tokens: int, models: int) -> Asked:
    return tuple((f"{text} to {number}, {max_tokens}", max_tokens, 900) for number in range(models))


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_missing(connection)
        yield Ledger(connection, None)


def fill(ledger: Ledger, known: list[KnownDocument]) -> None:
    for name in ("attempts", "documents", "requests", "runs"):
        ledger.connection.execute(f"delete from {name}")
    ledger.connection.execute(
        "insert into runs (run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send, cap_nusd,"
        " estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
        " values ('r', 'trial', 'j', 'f', 'm', 0, 'finished', 0, 0, 0, 0, 0, 0, 0, '', 0)"
    )
    for one in known:
        request_id = f"{one.request_of} to 0, 100"
        ledger.connection.execute(
            "insert or ignore into requests (request_id, model, counted_tokens, text_class, outcome, output,"
            " max_tokens) values (?, 'claude-haiku-4-5', 11, 'digits', ?, '{\"title\": \"T\"}', 100)",
            (request_id, one.outcome),
        )
        ledger.connection.execute(
            "insert or ignore into documents (job, doc_id, source, content_sha, request_no, outcome, run_no, seq)"
            " select ?, ?, 's', ?, request_no, ?, 1, 1 from requests where request_id = ?",
            (one.job, one.doc_id, f"sha of {one.text}", one.own_outcome, request_id),
        )
        if one.in_batch:
            ledger.connection.execute(
                "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at, batch_no)"
                " select request_no, 1, ?, ?, 'open', 1, 0, 1 from requests where request_id = ?",
                (one.job, one.doc_id, request_id),
            )


def table(ledger: Ledger, pages: list[Any]) -> list[Any]:
    documents = PlannedDocuments(ledger, "trial")
    for page in pages:
        documents.add_columns(page)
    return ledger.connection.execute("select * from planned order by planned_no").fetchall()


@pytest.fixture(scope="module", params=CHAINS.values(), ids=CHAINS)
def classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageClassifier]:
    project = TrialProject(tmp_path_factory.mktemp("quick") / "project")
    project.job(model=request.param)
    project.documents(1)
    with project.opened() as opened:
        yield opened.planner()._classifier


@given(data=st.data(), known=st.lists(KNOWN, max_size=5), selection=SELECTIONS)
@settings(max_examples=40)
def test_both_ways_give_the_same_rows(
    classifier: PageClassifier, ledger: Ledger, data: Any, known: list[KnownDocument], selection: Selection
) -> None:
    page = data.draw(st.lists(weighed(len(classifier.chain.models)), min_size=1, max_size=5))
    fill(ledger, known)
    both = replace(classifier, ledger=ledger, earlier=replace(classifier.earlier, ledger=ledger))
    numbers = range(10, 10 + len(page))
    quick = table(ledger, list(both.columns(numbers, Page(len(page), tuple(zip(*page, strict=True))), selection)))

    slow = table(ledger, [columns_of(both.rows(list(zip(numbers, page, strict=True)), selection))])

    assert quick == slow


def test_a_new_and_an_answered_document_are_planned_the_quick_way(classifier: PageClassifier, ledger: Ledger) -> None:
    requests = [asked(text, 100, len(classifier.chain.models)) for text in "ab"]
    page = [
        Weighed(text, "s", "", f"sha of {text}", None, asked=(one,)) for text, one in zip("ab", requests, strict=True)
    ]
    fill(ledger, [KnownDocument("a", "a", "a", Outcome.SUCCEEDED, None, "trial", in_batch=False)])

    quick, left = replace(classifier, ledger=ledger)._quick.rows([1, 2], Page(2, tuple(zip(*page, strict=True))))

    planned = [(columns["doc_id"], columns["kind"]) for columns in quick]
    assert planned == [(["b"], [Kind.NEW]), (["a"], [Kind.REUSABLE])]
    assert left == []
