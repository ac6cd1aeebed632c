"""A plan says the same whoever reads the documents, and in whatever order what was read arrives."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun import documents
from batchrun.cli.interrupts import run_async
from batchrun.errors import Refused
from batchrun.outcome import Outcome
from batchrun.planning.quick_rows import QuickRows
from batchrun.planning.selection import Selection
from batchrun.strategy.plan import Plan
from batchrun.workers import open_pool, workers
from batchrun.workers.children import Children
from batchrun.workers.workers import Workers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]
SELECTIONS = {
    "all": Selection(),
    "limit": Selection(limit=37),
    "next": Selection(next=11),
    "where": Selection(where="tokens > 20"),
    "sources": Selection(sources=("docs/0*1*",)),
    "ids": Selection(ids=frozenset({"docs/0007.txt", "docs/0100.txt"})),
}
Facts = dict[str, tuple[Plan, list[Any]]]


@pytest.fixture
def many(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """Documents of many sizes in many shards: some identical, some answered, failed, empty, unreadable or changed."""
    monkeypatch.setattr(documents, "MAX_SHARD_DOCUMENTS", 7)
    project.job(source='type = "files"\ninclude = ["docs/*"]\non_empty = "skip"')
    for number in range(120):
        project.document(f"{number:04}.txt", f"text {number % 90} " + "word " * (number * 13 % 200))
    for number in range(5):
        project.document(f"page {number}.html", f"<p>page {number % 2}</p>")
    project.document("empty.txt", " ")
    (project.root / "docs/broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    project.submit(ScriptedProvider({"text 5 " + "word " * 65: [answer("no")]}), Selection(limit=30))
    project.document("0003.txt", "changed")
    return project


def facts(project: TrialProject) -> Facts:
    found = {}
    for name, selection in SELECTIONS.items():
        with project.opened() as opened:
            planner = opened.planner()
            plan = run_async(planner.plan(selection))
            rows = opened.ledger.connection.execute("select * from planned order by planned_no").fetchall()
            found[name] = plan, rows
    return found


def shuffled(seed: int) -> Any:
    real, numbers = Workers.weigh, random.Random(seed)

    def weigh(self: Any, shards: Any) -> Iterator[Any]:
        pages = list(real(self, shards))
        numbers.shuffle(pages)
        yield from pages

    return weigh


def test_any_order_of_pages_gives_the_same_plan(many: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = facts(many)
    assert len({len(rows) for _, rows in expected.values()}) > 2
    assert expected["limit"][0].documents == 37
    monkeypatch.setattr(Workers, "weigh", shuffled(0))
    assert facts(many) == expected


def test_any_number_of_children_gives_the_same_plan(many: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = facts(many)
    monkeypatch.setattr(workers, "WORTH_CHILDREN", 0)
    for number in (1, 4):
        with monkeypatch.context() as patch:
            patch.setattr(open_pool, "Children", partial(Children, number))
            assert facts(many) == expected


def test_what_is_sent_first_and_which_of_identical_documents(
    many: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.job(source='type = "files"\ninclude = ["docs/*"]\non_empty = "skip"', run="max_concurrency = 1")
    monkeypatch.setattr(Workers, "weigh", shuffled(1))
    monkeypatch.setattr(workers, "WORTH_CHILDREN", 0)
    provider = ScriptedProvider()

    many.submit(provider)

    texts = [(many.root / "docs" / f"{number:04}.txt").read_text() for number in (3, *range(30, 120))]
    before = {(many.root / "docs" / f"{number:04}.txt").read_text() for number in range(30)} - {"changed"}
    expected = [text for text in dict.fromkeys(texts) if text not in before]
    assert [text for text in provider.sent if not text.startswith("page")] == expected


def test_ids_that_occur_twice_are_named_in_order(many: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    many.job(source='type = "files"\ninclude = ["docs/**"]\nid = "stem"')
    (many.root / "docs/deep").mkdir()
    for number in range(30):
        many.document(f"deep/{number:04}.txt", "text")
    said = set()
    for seed in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(Workers, "weigh", shuffled(seed))
            with pytest.raises(Refused) as refused:
                many.plan()
        said.add(str(refused.value))
    (message,) = said
    assert "30 ids stand for more than one document: 0000, 0001, 0002" in message


def test_the_quick_way_to_rows_gives_the_same_plan(many: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SELECTIONS, "again", Selection(again=frozenset(Outcome)))
    expected = facts(many)
    monkeypatch.setattr(QuickRows, "rows", lambda _, numbers, __: ([], list(range(len(numbers)))))
    assert facts(many) == expected
