"""Long documents in parts, when something comes in between: a kill, another rule, other parts, another job."""

from typing import Any

import duckdb
import pytest
from scripted_models import FIRST, SECOND, models
from scripted_provider import ScriptedProvider, answer
from test_submit_splits import FIELDS, pages, reads, rows, source
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning import settled_files
from batchrun.planning.selection import Selection
from batchrun.workflow import merge_parts, summary
from batchrun.workflow.batch_recovery import publish_finally

pytestmark = pytest.mark.slow
SPLITS = {
    "source": source(tokens="split_tokens = 2_000", overlap="split_overlap_tokens = 100"),
    "output_fields": FIELDS,
}


@pytest.fixture
def long(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))
    project.job(**SPLITS)
    project.document("long.txt", pages(20, 100))
    project.document("short.txt", "entry 7: 49.")
    return project


def submit(project: TrialProject, **options: Any) -> int:
    """Submit. Returns how many requests were sent."""
    provider = ScriptedProvider(default=reads)
    project.submit(provider, **options)
    return len(provider.sent)


def names(project: TrialProject) -> list[int]:
    return [int(entry["name"].split()[1]) for entry in rows(project)["docs/long.txt"]]


def test_a_whole_document_is_chosen_by_its_own_id(long: TrialProject) -> None:
    sent = submit(long, selection=Selection(ids=frozenset({"docs/long.txt"})))

    assert sent > 5
    assert rows(long).keys() == {"docs/long.txt"}
    assert submit(long) == 1


def test_the_first_parts_alone_give_no_row(long: TrialProject) -> None:
    assert submit(long, selection=Selection(limit=3)) == 3
    assert rows(long) == {}

    assert submit(long) > 3
    assert names(long) == list(range(100))


def test_a_kill_between_the_last_answer_and_the_merge(long: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(summary, "merge_parts", killed)
        with pytest.raises(KeyboardInterrupt):
            submit(long)
    assert long.ask("select merged_of from wholes") == [(None,)]

    assert submit(long) == 0
    assert names(long) == list(range(100))


def test_an_output_that_was_deleted_is_made_again(long: TrialProject) -> None:
    submit(long)
    before = rows(long)
    long.database.unlink()
    with long.opened() as opened:
        publish_finally(opened)

    assert rows(long) == before


def test_other_parts_replace_the_parts_and_are_the_only_ones_counted(long: TrialProject) -> None:
    submit(long)
    long.document("long.txt", pages(30, 100))

    assert submit(long) > 5
    assert names(long) == list(range(100))
    assert submit(long) == 0
    long.document("long.txt", pages(20, 100))
    assert submit(long) == 0, "these parts were answered before"
    assert names(long) == list(range(100))
    parts = [doc_id for (doc_id,) in long.ask("select doc_id from documents where whole is not null")]
    assert len({part.rpartition(" of ")[2] for part in parts}) == 1, "the ledger has the parts of one text"


def test_a_document_in_parts_and_whole_and_in_parts_again(long: TrialProject) -> None:
    text = pages(20, 100)
    submit(long)
    long.document("long.txt", "entry 1: 7.")
    assert submit(long) == 1
    assert names(long) == [1]
    long.document("long.txt", text)
    assert submit(long) == 0
    assert names(long) == list(range(100))
    assert submit(long) == 0


def test_a_job_that_splits_no_more(long: TrialProject) -> None:
    submit(long)
    long.job(source='type = "files"\ninclude = ["docs/*.txt"]', output_fields=FIELDS)

    assert submit(long) == 1
    assert rows(long).keys() == {"docs/long.txt", "docs/short.txt"}
    assert names(long) == list(range(100))
    long.job(**SPLITS)
    assert submit(long) == 0
    assert names(long) == list(range(100))


def test_two_jobs_over_the_same_file_pay_once_each_part(long: TrialProject) -> None:
    submit(long)
    long.job("other", **SPLITS | {"store": 'database = "results/out.duckdb"'})

    assert submit(long, job="other") == 0
    with duckdb.connect(str(long.database), read_only=True) as connection:
        ((count,),) = connection.execute("select len(entries) from other where doc_id = 'docs/long.txt'").fetchall()
    assert count == 100
    long.job("other", **SPLITS | {"output_fields": FIELDS.replace('title = "string"', 'title = "string?"')})
    assert submit(long, job="other") > 5
    assert submit(long) == 0


def test_parts_pass_to_the_next_model_one_by_one(long: TrialProject) -> None:
    long.job(**SPLITS, model=f'name = "{FIRST}"\nmax_tokens = 100\nfallbacks = ["{SECOND}"]')
    provider = models()
    refused = list[str]()

    async def refuses_one(request: Any) -> Any:
        if not refused and b"entry 50:" in request.body:
            refused.append("")
            return answer("", stop_reason="refusal")
        return await reads(request)

    provider.answering.default = refuses_one
    for one in provider.of.values():
        one.default = reads

    assert long.submit(provider).exit_code is ExitCode.OK
    assert provider.count[SECOND] == 1
    assert names(long) == list(range(100))
    assert submit(long) == 0


def test_a_whole_document_whose_file_is_gone_keeps_its_row(long: TrialProject) -> None:
    submit(long)
    (long.root / "docs/long.txt").rename(long.root / "long.txt")
    assert submit(long) == 0
    assert names(long) == list(range(100))
    (long.root / "long.txt").rename(long.root / "docs/long.txt")
    assert submit(long) == 0
    assert names(long) == list(range(100))


def test_a_retry_of_failed_parts_by_the_id_of_the_whole(long: TrialProject) -> None:
    async def one_fails(request: Any) -> Any:
        return answer("no JSON") if b"entry 50:" in request.body else await reads(request)

    long.submit(ScriptedProvider(default=one_fails))
    again = Selection(again=frozenset({Outcome.INVALID}), ids=frozenset({"docs/long.txt"}))

    assert 1 <= submit(long, selection=again) <= 2
    assert names(long) == list(range(100))


def test_merging_twice_changes_nothing(long: TrialProject) -> None:
    submit(long)
    with long.opened() as opened:
        assert merge_parts.merge_parts(opened.ledger, opened.job) == 0


def test_the_plan_says_the_same_whether_the_file_is_opened_or_not(long: TrialProject) -> None:
    submit(long)
    quick = long.plan()
    assert quick.in_source == 2
    long.ask("delete from read_files", commit=True)

    assert long.plan() == quick
