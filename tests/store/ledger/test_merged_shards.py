"""Ledgers of several heads, merged: nothing is lost, nothing is there twice, and sums of money agree."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from merge_shards import KEYS, LEFT_OUT, REFERS, merge, number_of
from simulated_provider import SimulatedProvider
from trial_project import TrialProject

from batchrun.budget.caps import Cap, Of, Origin, Per
from batchrun.cli.interrupts import run_async
from batchrun.execution import ledger_writer
from batchrun.planning.selection import Selection
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator
from batchrun.store.ledger.cap_usage import shared_cap_usages
from batchrun.store.ledger.ledger import Ledger
from batchrun.workflow.open_job import open_job

MODEL = "claude-haiku-4-5"
DOCUMENTS = 12
ANSWERS = "select request_id, output from requests where outcome = 'succeeded'"
ATTEMPTS = """
select run_id, request_id, doc_id, a.state, cost_nusd, reserved_nusd, a.outcome, a.started_at, raw, divisor, table_date
from attempts a join runs using (run_no) join requests using (request_no)
left join replies p on p.attempt_no = a.attempt_no left join prices using (price_no)
"""
"""What there is to know of an attempt, numbers apart."""
SPENT = "select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0), sum(cost_nusd), sum(counted_tokens) from attempts"
BY_DAY = "select day, model, sum(committed_nusd), sum(tokens) from spending group by 1, 2"
BY_TAG = "select tag, value, day, sum(committed_nusd), sum(tokens) from tag_spending group by 1, 2, 3"


@dataclass(frozen=True)
class Heads:
    """A project, what its heads have left in ledgers of their own, and the ledger merged of them."""

    project: TrialProject
    shards: list[Path]
    merged: Path

    def asked(self, query: str) -> list[Any]:
        """What all shards answer, as one sorted list."""
        return sorted((row for shard in self.shards for row in ask(shard, query)), key=repr)

    def of_merged(self, query: str) -> list[Any]:
        """What the merged ledger answers, sorted."""
        return sorted(ask(self.merged, query), key=repr)


def ask(ledger: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(query).fetchall()


def request_ids(project: TrialProject) -> dict[str, str]:
    """The request of each document, as every head plans it."""
    with open_job(project.root / "jobs" / "trial.toml", simulated=False, to_run=False) as opened:
        planner = opened.planner()
        run_async(planner.plan(Selection()))
        return dict(opened.ledger.connection.execute("select doc_id, request_id from planned").fetchall())


def head(project: TrialProject, number: int, doc_ids: set[str], *script: str) -> Path:
    """A submit of some documents with a ledger and an output that no other head has. Returns the ledger."""
    simulator = Simulator(PROFILES["calm"], latency=INSTANT, script=script)
    project.submit(SimulatedProvider(simulator), Selection(ids=frozenset(doc_ids)))  # type: ignore[arg-type]
    kept = project.root / f"shard_{number}.sqlite3"
    project.ledger_path.rename(kept)
    project.database.unlink()
    return kept


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heads]:
    """Two heads that share all documents by request id, and a third one that asks again, and what the first had not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_writer, "BALLAST_BYTES", 4096)
        project = TrialProject(tmp_path_factory.mktemp("heads") / "project")
        project.job(job_tags='team = "legal"', retry='max_attempts = 2\ninitial_delay = "0.001s"')
        project.documents(DOCUMENTS)
        project.document("same.txt", "text 3")
        wanted = request_ids(project)
        parts = [{doc for doc, request in wanted.items() if int(request, 16) % 2 == part} for part in (0, 1)]
        shards = [
            head(project, 0, parts[0], "ok", "invalid_request", "reset_after", "overloaded"),
            head(project, 1, parts[1], "overloaded"),
        ]
        unanswered = {doc for doc, outcome in ask(shards[0], "select doc_id, status from document_status")
                      if outcome != "succeeded"}  # fmt: skip
        shards.append(head(project, 2, unanswered | set(sorted(parts[1])[:3])))
        merge(shards, project.ledger_path)
        yield Heads(project, shards, project.ledger_path)


def test_the_heads_have_what_makes_merging_hard(heads: Heads) -> None:
    assert [ask(shard, "select count(*), min(request_no) from requests")[0][1] for shard in heads.shards] == [1, 1, 1]
    states = {state for (state,) in heads.asked("select state from attempts")}
    assert states == {"answered", "failed", "unknown"}
    answered = [request for request, _ in heads.asked(ANSWERS)]
    assert len(answered) > len(set(answered)), "no request was answered by two heads"
    failed = heads.asked("select request_id from requests where outcome != 'succeeded'")
    assert failed
    assert {request for (request,) in failed} <= set(answered), "none of the failed was answered by another head"


def test_every_request_is_there_once_and_no_answer_is_lost(heads: Heads) -> None:
    assert heads.of_merged("select request_id from requests") == sorted(
        set(heads.asked("select request_id from requests"))
    )
    answers = dict(heads.of_merged(ANSWERS))
    assert len(answers) == DOCUMENTS
    assert answers.items() <= set(heads.asked(ANSWERS))


def test_every_attempt_and_its_reply_are_there_once(heads: Heads) -> None:
    assert heads.of_merged(ATTEMPTS) == heads.asked(ATTEMPTS)


def test_a_request_has_the_attempt_that_settled_it(heads: Heads) -> None:
    settled_by = (
        "select r.request_no = a.request_no, a.outcome = r.outcome from requests r join attempts a using (attempt_no)"
    )
    assert heads.of_merged(settled_by) == [(1, 1)] * DOCUMENTS


def test_every_document_is_there_once_with_its_row(heads: Heads) -> None:
    wanted = "select job, doc_id, content_sha from documents"
    assert heads.of_merged(wanted) == sorted(set(heads.asked(wanted)))
    rows = (
        "select count(*) from documents d join requests r on r.request_no = d.row_request_no where output is not null"
    )
    assert heads.of_merged(rows) == [(DOCUMENTS + 1,)]


def test_sums_of_money_agree(heads: Heads) -> None:
    spent = [sum(column) for column in zip(*heads.asked(SPENT), strict=True)]
    assert heads.of_merged(SPENT) == [tuple(spent)]
    runs = "select run_id, committed_nusd, expected_nusd, tokens, cap_nusd from runs"
    assert heads.of_merged(runs) == heads.asked(runs)
    assert heads.of_merged(runs) == heads.of_merged(
        "select run_id, sum(coalesce(cost_nusd, reserved_nusd)), sum(coalesce(cost_nusd, reserved_nusd)),"
        " sum(a.counted_tokens), cap_nusd from attempts a join runs using (run_no) group by run_no"
    )


@pytest.mark.parametrize("query", [BY_DAY, BY_TAG])
def test_caps_by_day_agree(heads: Heads, query: str) -> None:
    together: dict[tuple[object, ...], list[int]] = {}
    for *group, nusd, tokens in heads.asked(query):
        sums = together.setdefault(tuple(group), [0, 0])
        sums[0], sums[1] = sums[0] + nusd, sums[1] + tokens
    assert together
    assert heads.of_merged(query) == sorted((*group, *sums) for group, sums in together.items())


def test_a_cap_of_the_day_is_used_as_by_all_heads_together(heads: Heads) -> None:
    ((now,),) = ask(heads.merged, "select min(started_at) from attempts")
    cap = Cap(Per.DAY, 10**12, "day", Origin.PROJECT, of=Of.COST, tag="team=legal")
    used = []
    for path in [*heads.shards, heads.merged]:
        with Ledger.read(path) as ledger:
            (usage,) = shared_cap_usages(ledger.connection, [cap], model=MODEL, now=now)
            used.append(usage.used)
    assert sum(used[:-1]) == used[-1] > 0


def test_the_merged_ledger_is_sound(heads: Heads) -> None:
    assert ask(heads.merged, "pragma foreign_key_check") == []
    assert ask(heads.merged, "pragma integrity_check") == [("ok",)]
    with Ledger.read(heads.merged) as ledger:
        found = ledger.chain.walk()
    assert found.broken is None
    assert found.head.link_no == len(heads.asked(ATTEMPTS))


def test_nothing_is_left_to_send_and_the_commands_know_everything(
    heads: Heads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(heads.project.root)
    batchrun = CommandLine(capsys)
    assert heads.project.plan().to_send == 0
    assert batchrun("sync jobs/trial.toml").code == 0
    assert len(heads.project.rows()) == DOCUMENTS + 1
    assert batchrun("results jobs/trial.toml").out.count("docs/") == DOCUMENTS + 1
    last = heads.of_merged("select run_id from runs order by started_at desc limit 1")[0][0]
    assert batchrun("status jobs/trial.toml --json").json["run"] == last
    cost = batchrun("cost --by run --json")
    assert cost.code == 0
    (spent,) = heads.of_merged("select sum(cost_nusd) from attempts")
    assert cost.json["total"]["cost_usd"] == spent[0] / 1e9
    assert cost.json["total"]["documents"] == DOCUMENTS


def test_ledgers_that_are_copies_in_part_merge_to_the_same(heads: Heads, tmp_path: Path) -> None:
    again = Heads(heads.project, heads.shards, tmp_path / "again.sqlite3")
    copied = Path(shutil.copyfile(heads.shards[0], tmp_path / "copied.sqlite3"))
    merge([heads.shards[2], heads.merged, copied, heads.shards[0]], again.merged)
    for query in (ATTEMPTS, ANSWERS, SPENT, BY_DAY, BY_TAG, "select run_id, committed_nusd from runs order by run_no"):
        assert again.of_merged(query) == heads.of_merged(query)


def test_two_runs_of_one_name_are_refused(heads: Heads, tmp_path: Path) -> None:
    (tmp_path / "other.sqlite3").write_bytes(heads.shards[1].read_bytes())
    with closing(sqlite3.connect(tmp_path / "other.sqlite3")) as other:
        other.execute("update runs set run_id = ?", ask(heads.shards[0], "select run_id from runs")[0])
        other.commit()
    with pytest.raises(sqlite3.IntegrityError):
        merge([heads.shards[0], tmp_path / "other.sqlite3"], tmp_path / "merged.sqlite3")
    assert ask(tmp_path / "merged.sqlite3", "select count(*) from runs") == [(0,)]


def test_rows_that_keep_their_numbers_would_lose_answers(heads: Heads, tmp_path: Path) -> None:
    (tmp_path / "plain.sqlite3").write_bytes(heads.shards[0].read_bytes())
    with closing(sqlite3.connect(tmp_path / "plain.sqlite3")) as plain:
        plain.execute("attach ? as other", (str(heads.shards[1]),))
        plain.execute("insert into requests select * from other.requests where true on conflict do nothing")
        (kept,) = plain.execute("select count(*) from requests").fetchone()
    assert kept < DOCUMENTS


def test_every_table_is_merged_or_left_out_for_a_reason(heads: Heads) -> None:
    with closing(sqlite3.connect(heads.merged)) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        assert KEYS.keys() <= tables <= KEYS.keys() | LEFT_OUT
        for table in KEYS:
            own = number_of(connection, table)
            for _, column, *_ in connection.execute(f"pragma table_info({table})"):
                assert column in {own, *REFERS} or not column.endswith("_no"), (table, column)
