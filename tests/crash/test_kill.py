"""A run that is killed again and again loses nothing, pays for nothing twice that was not in flight, and ends."""

import contextlib
import random
import signal
import sqlite3
import time
from collections import Counter

import duckdb
import pytest
from command_line import serving, talking_to
from submits import Submit, SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import Latency
from batchrun.simulator.usage.books import Entry
from batchrun.store.ledger.chain import Chain

pytestmark = pytest.mark.slow

DOCUMENTS = 120
CONCURRENCY = 6
KILLS = 12
FALLBACK = "claude-sonnet-4-6"
NUSD = {"claude-haiku-4-5-20251001": (1_000, 5_000), FALLBACK: (3_000, 15_000)}
"""An input and an output token of the trial's model, by its name in the API's books, and of the one after it."""
BRISK = Latency(first_token_s=0.006, tokens_per_s=500)


def test_kill_at_random_moments(project: TrialProject, submits: SubmitServer) -> None:
    project.job(run=f"max_concurrency = {CONCURRENCY}")
    project.documents(DOCUMENTS)
    rng = random.Random(20261121)
    with serving(latency=BRISK) as api:
        in_flight = set().union(*(killed(project, submits, api, rng) for _ in range(KILLS)))
        code, out, err = submits.submit(project.root, talking_to(api)).end()
        assert (code, "Traceback" in err) == (ExitCode.OK, False), err
        assert f"succeeded       {DOCUMENTS}  100.0%" in out
    assert set(project.statuses().values()) == {"succeeded"}
    assert len(project.rows()) == DOCUMENTS
    assert project.ask("select state, count(*) from runs group by state") == [("finished", 1)], "it is one run"
    assert_accounts_agree(project, api.books.entries, in_flight=len(in_flight))


def test_kill_between_a_refusal_and_the_next_model(project: TrialProject, submits: SubmitServer) -> None:
    project.job(
        model=f'name = "claude-haiku-4-5"\nmax_tokens = 100\nfallbacks = ["{FALLBACK}"]\nfallback_on = ["refused"]',
        run=f"max_concurrency = {CONCURRENCY}",
    )
    project.documents(DOCUMENTS)
    rng = random.Random(20261126)
    with serving("ok", *["refused", "refused", "ok"] * DOCUMENTS, latency=BRISK) as api:
        in_flight = set().union(*(killed(project, submits, api, rng) for _ in range(KILLS)))
        code, _, err = submits.submit(project.root, talking_to(api)).end()
    assert (code, "Traceback" in err) == (ExitCode.SOME_FAILED, False), err
    by_model = Counter(
        project.ask("select requests.model, status from document_status join requests using (request_no)")
    )
    assert by_model.total() == DOCUMENTS
    assert by_model["claude-haiku-4-5", "refused"] == 0, "who is refused is asked for at the next model"
    assert by_model[FALLBACK, "succeeded"] > 0 < by_model[FALLBACK, "refused"]
    assert len(project.rows()) == by_model["claude-haiku-4-5", "succeeded"] + by_model[FALLBACK, "succeeded"]
    assert_accounts_agree(project, api.books.entries, in_flight=len(in_flight))


def test_kill_a_run_whose_budget_is_not_enough(project: TrialProject, submits: SubmitServer) -> None:
    project.documents(DOCUMENTS)
    whole = project.plan()
    cap_nusd = int(0.4 * whole.estimate.cost_nusd.mean)
    project.job(run=f"max_concurrency = {CONCURRENCY}", budget=f"max_cost_usd = {cap_nusd / 1e9:.9f}\npartial = true")
    rng = random.Random(20261127)
    with serving(latency=BRISK) as api:
        in_flight = [killed(project, submits, api, rng) for _ in range(4)]
        code, out, err = submits.submit(project.root, talking_to(api)).end()
    assert (code, "Traceback" in err) == (ExitCode.STOPPED, False), err
    assert "the budget is reached" in err
    assert "to finish: raise budget.max_cost_usd" in out
    assert max(map(len, in_flight)) <= 1, "one at its worst is more than what may be wasted"
    assert_accounts_agree(project, api.books.entries, in_flight=len(frozenset().union(*in_flight)))
    ((committed,),) = project.ask("select committed_nusd from runs")
    assert cap_nusd - whole.worst_nusd < committed <= cap_nusd


def test_kill_between_the_models_of_a_cascade(project: TrialProject, submits: SubmitServer) -> None:
    project.job(
        model="max_tokens = 100",
        output_fields='title = "string"\nday = "date?"',
        cascade=f'models = ["claude-haiku-4-5", "{FALLBACK}"]\nnull_in = ["day"]',
        run=f"max_concurrency = {CONCURRENCY}",
    )
    for number in range(DOCUMENTS):
        project.document(f"{number:04}.txt", f"text {number}" + (", signed on 2026-03-05" if number % 2 else ""))
    rng = random.Random(20261127)
    with serving(latency=BRISK) as api:
        in_flight = set().union(*(killed(project, submits, api, rng) for _ in range(KILLS)))
        code, out, err = submits.submit(project.root, talking_to(api)).end()
    assert (code, "Traceback" in err) == (ExitCode.OK, False), err
    passed, answers = DOCUMENTS // 2, DOCUMENTS
    assert f"cascade  {passed} of {answers} answers (50.0%) passed to the next model: {passed} null in day" in out
    by_model = project.ask(
        "select requests.model, status, count(*) from document_status join requests using (request_no) group by 1"
    )
    assert by_model == [("claude-haiku-4-5", "succeeded", passed), (FALLBACK, "succeeded", passed)]
    assert len(project.rows()) == DOCUMENTS
    assert project.rows("select day is null, count(*) from trial group by 1 order by 1") == [(False, 60), (True, 60)]
    assert_accounts_agree(project, api.books.entries, in_flight=len(in_flight))


def killed(project: TrialProject, submits: SubmitServer, api: SimulatorServer, rng: random.Random) -> frozenset[int]:
    """Submit and kill it; returns which attempts were in flight: the same again, if it had not come to its ledger."""
    submit = submits.submit(project.root, talking_to(api))
    wait_for_a_moment(rng, api, submit)
    submit.signal(signal.SIGKILL)
    assert submit.end()[0] == -signal.SIGKILL, "it was still running"
    return open_attempts_of_a_whole_store(project)


def wait_for_a_moment(rng: random.Random, api: SimulatorServer, submit: Submit) -> None:
    """Somewhere between before the plan and after some answers."""
    requests = rng.choice([0, 0, 1, 2, 3, 4, 5, 6, 8])
    submit.wait_for_requests(api, len(api.books.entries) + requests)
    time.sleep(rng.uniform(0, 0.02 if requests else 0.3))


def open_attempts_of_a_whole_store(project: TrialProject) -> frozenset[int]:
    """Check what a kill left; returns which attempts were in flight."""
    if project.database.exists():
        with contextlib.closing(duckdb.connect(str(project.database), read_only=True)) as output:
            output.execute("select * from duckdb_tables()").fetchall()
    if not project.ledger_path.exists():
        return frozenset()
    with contextlib.closing(sqlite3.connect(f"{project.ledger_path.as_uri()}?mode=ro", uri=True)) as ledger:
        assert ledger.execute("pragma integrity_check").fetchone() == ("ok",)
        if not ledger.execute("select 1 from sqlite_master where name = 'attempts'").fetchone():
            return frozenset()
        assert ledger.execute("select count(*) from runs where committed_nusd > cap_nusd").fetchone() == (0,)
        assert Chain(ledger, project.ledger_path).walk().broken is None
        flying = ledger.execute("select attempt_no from attempts where state = 'open'").fetchall()
    assert len(flying) <= CONCURRENCY
    return frozenset(attempt_no for (attempt_no,) in flying)


def assert_accounts_agree(project: TrialProject, entries: list[Entry], *, in_flight: int) -> None:
    """Hold the ledger against the API's own books."""
    attempts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for request_id, state in project.ask("select request_id, state from attempts join requests using (request_no)"):
        attempts[request_id] += 1
        unknown[request_id] += state == "unknown"
    asked = Counter(entry.sha256[:32] for entry in entries)
    billed = Counter(entry.sha256[:32] for entry in entries if entry.billed)
    assert asked <= attempts, "every request was in the ledger before it was sent"
    repeated = Counter({request_id: count - 1 for request_id, count in billed.items() if count > 1})
    assert repeated <= unknown, "every bill that bought nothing is one of the lost answers"
    assert repeated.total() <= unknown.total() == in_flight
    bill = sum(price(entry) for entry in entries if entry.billed)
    ((booked, committed, cap),) = project.ask(
        "select (select sum(coalesce(cost_nusd, reserved_nusd)) from attempts), committed_nusd, cap_nusd from runs"
    )
    assert bill <= booked == committed <= cap


def price(entry: Entry) -> int:
    """The cost of one answer, in nano-dollars."""
    assert entry.model is not None
    input_nusd, output_nusd = NUSD[entry.model]
    return input_nusd * entry.input_tokens + output_nusd * entry.output_tokens
