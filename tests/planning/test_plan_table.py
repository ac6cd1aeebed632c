"""A plan's documents in the ledger: choosing among them, and making them work of a run."""

import contextlib
import sqlite3
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from run_caps import run_caps

from batchrun.budget.caps import Amount
from batchrun.errors import UsageProblem
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.estimate_sum import Group
from batchrun.estimation.sampling import DocumentSize, Ratio
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.planning.ledger_lookups import known_requests
from batchrun.planning.plan_rows import Planned
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.plan_tokens import Subset
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.strategy.plan import Kind

RUN = RunPlan(
    job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1, cap_nusd=10**9,
    estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
)  # fmt: skip


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_missing(connection)
    with contextlib.closing(connection):
        opened = Ledger(connection, None)
        Runs(opened).begin_run(RUN, run_id="r")
        yield opened


def row(doc_id: str, **changes: Any) -> Planned:
    """A new document of ten tokens whose request is named after it."""
    parts: dict[str, Any] = {
        "planned_no": 0,
        "doc_id": doc_id,
        "source": f"{doc_id}.txt",
        "place": "",
        "content_sha": f"sha of {doc_id}",
        "kind": Kind.NEW,
        "request_id": f"request of {doc_id}",
        "model": "m",
        "tokens": RequestTokens(10, TextClass.PROSE),
        "size": None,
    }
    parts |= changes
    tokens, size = parts.pop("tokens"), parts.pop("size")
    if tokens:
        parts |= {"counted_tokens": tokens.counted, "guessed": tokens.guessed, "text_class": tokens.text_class}
    if size:
        parts |= {"bytes": size.bytes, "text_class": size.text_class}
    return Planned(**parts)


def unsent(doc_id: str, kind: Kind, outcome: Outcome | None, reason: str = "why") -> Planned:
    return row(doc_id, kind=kind, outcome=outcome, reason=reason, request_id=None, model=None, tokens=None)


def planned(ledger: Ledger, *rows: Planned) -> PlannedDocuments:
    documents = PlannedDocuments(ledger, "trial")
    documents.add([one._replace(planned_no=number) for number, one in enumerate(rows, 1)])
    assert documents.finish() == []
    return documents


def admit(ledger: Ledger, *rows: Planned) -> int:
    with contextlib.closing(ledger.connection.cursor()):
        return planned(ledger, *rows).admission.admit(run_no=1)


def settle(ledger: Ledger, doc_id: str, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    (work,) = [one for one in ledger.pending(1, since=0, after=0, limit=100) if one.ref.doc_id == doc_id]
    attempt_no = ledger.reserve(work, Amount(1), run_no=1, job="trial", model="m", caps=run_caps(ledger, 1))
    assert isinstance(attempt_no, int)
    ledger.settle(Settlement(attempt_no=attempt_no, state="answered", cost_nusd=1, outcome=outcome, output="{}"))


def pending(ledger: Ledger, since: int = 0) -> list[str]:
    return [one.ref.doc_id for one in ledger.pending(1, since=since, after=0, limit=100)]


def has_row(ledger: Ledger, doc_id: str) -> str | None:
    """The request whose answer is the document's row."""
    return ledger.connection.execute(
        "select r.request_id from documents d left join requests r on r.request_no = d.row_request_no where doc_id = ?",
        (doc_id,),
    ).fetchone()[0]


# --- filling


def test_an_id_that_stands_twice_is_found_within_a_page_and_across_pages(ledger: Ledger) -> None:
    documents = PlannedDocuments(ledger, "trial")

    def add(*rows: Planned) -> None:
        documents.add([one._replace(planned_no=next(numbers)) for one in rows])

    numbers = count(1)
    add(row("a"), row("b"), row("a", source="other/a.txt"))
    add(row("c"), row("b", source="other/b.txt"))
    add(row("d"))
    assert documents.finish() == ["a", "b"]


def test_a_new_plan_forgets_the_one_before(ledger: Ledger) -> None:
    planned(ledger, row("a"))

    assert planned(ledger, row("b")).counts() == {Kind.NEW: 1}


# --- choosing

CHOICES: dict[str, tuple[str, list[str]]] = {
    "by tokens": ("tokens > 15", ["b"]),
    "by id": ("id = 'a'", ["a"]),
    "by source": ("source like '%.txt'", ["a", "b", "c"]),
    "by kind": ("kind = 'empty'", ["c"]),
    "by status": ("status = 'skipped'", ["c"]),
    "by a status yet to come": ("status = 'pending'", ["a", "b"]),
    "by reason": ("reason is not null", ["c"]),
    "or": ("id = 'a' or id = 'b'", ["a", "b"]),
    "with a comment": ("id = 'a' -- the first", ["a"]),
    "with a semicolon in a string": ("id <> ';'", ["a", "b", "c"]),
    "none": ("1 = 0", []),
    "null is not true": ("tokens > 0", ["a", "b"]),
    "a question to another table": ("id in (select doc_id from documents)", []),
}


@pytest.mark.parametrize("case", CHOICES)
def test_where_chooses(ledger: Ledger, case: str) -> None:
    condition, expected = CHOICES[case]
    documents = planned(
        ledger, row("a"), row("b", tokens=RequestTokens(20, TextClass.PROSE)), unsent("c", Kind.EMPTY, Outcome.SKIPPED)
    )

    documents.choose(condition)

    rows = ledger.connection.execute("select doc_id from planned where chosen order by 1").fetchall()
    assert [doc_id for (doc_id,) in rows] == expected


@pytest.mark.parametrize(
    "condition",
    [
        "1) ; drop table runs --",
        "1)) ; drop table runs ; --",
        "1; drop table runs",
        "id = 'a",
        "nosuch = 1",
        "id = ?",
        "",
        "count(*) > 1",
        "id = '\0'",
        "(delete from runs)",
        "(",
    ],
)
def test_where_that_is_no_condition_is_told_and_harms_nothing(ledger: Ledger, condition: str) -> None:
    documents = planned(ledger, row("a"))

    with pytest.raises(UsageProblem, match="--where is not a condition") as problem:
        documents.choose(condition)

    assert "columns: id" in str(problem.value.hint)
    assert Runs(ledger).knows_run("r")


def test_the_next_ones_are_only_those_that_are_sent(ledger: Ledger) -> None:
    documents = planned(
        ledger, row("a", kind=Kind.REUSABLE), row("b"), unsent("c", Kind.EMPTY, Outcome.SKIPPED), row("d"), row("e")
    )

    documents.next(2)

    assert documents.counts() == {Kind.NEW: 2}


def test_the_next_ones_of_fewer_are_all(ledger: Ledger) -> None:
    documents = planned(ledger, row("a"), row("b"))

    documents.next(2)

    assert documents.counts() == {Kind.NEW: 2}


def test_of_identical_documents_the_first_chosen_one_is_sent(ledger: Ledger) -> None:
    documents = planned(ledger, *(row(name, request_id="same") for name in "abc"), row("d"))
    documents.choose("id <> 'a'")

    documents.mark_identical()

    assert documents.counts() == {Kind.NEW: 2, Kind.IDENTICAL: 1}
    assert documents.tokens.groups(dict.fromkeys(TextClass, 100)) == [Group(TextClass.PROSE, 2, 20, 200.0)]


def test_problems_are_few_and_begin_with_those_too_large(ledger: Ledger) -> None:
    empty = [unsent(f"e{number}", Kind.EMPTY, Outcome.SKIPPED) for number in range(9)]
    documents = planned(ledger, *empty, unsent("large", Kind.TOO_LARGE, None))

    assert [problem.doc_id for problem in documents.problems(limit=3)] == ["large", "e0", "e1"]


# --- admitting


def test_admitted_documents_are_pending_in_the_order_of_the_source(ledger: Ledger) -> None:
    admit(ledger, row("z"), row("a"), unsent("skipped", Kind.EMPTY, Outcome.SKIPPED))

    assert pending(ledger) == ["z", "a"]
    assert ledger.connection.execute("select status, reason from document_status order by status").fetchall() == [
        ("pending", None),
        ("pending", None),
        ("skipped", "why"),
    ]


def test_what_would_make_the_plan_be_refused_is_never_admitted(ledger: Ledger) -> None:
    documents = planned(ledger, unsent("large", Kind.TOO_LARGE, None))

    assert not documents.admission.anything()
    documents.admission.admit(run_no=1)
    assert ledger.connection.execute("select count(*) from documents").fetchone() == (0,)


def test_admitting_again_is_safe_and_what_is_answered_is_not_touched(ledger: Ledger) -> None:
    rows = row("a"), row("b"), unsent("c", Kind.UNREADABLE, Outcome.UNREADABLE)
    first = admit(ledger, *rows)
    settle(ledger, "a")
    before = ledger.connection.execute("select * from documents where doc_id <> 'b'").fetchall()

    second = admit(ledger, *rows)

    assert ledger.connection.execute("select * from documents where doc_id <> 'b'").fetchall() == before
    assert pending(ledger, since=second) == ["b"]
    assert second > first


def test_there_is_nothing_to_admit_when_all_is_as_it_was(ledger: Ledger) -> None:
    rows = row("a"), unsent("c", Kind.UNREADABLE, Outcome.UNREADABLE)
    admit(ledger, *rows)
    assert planned(ledger, *rows).admission.anything(), "a is pending"
    settle(ledger, "a")

    assert not planned(ledger, *rows).admission.anything()
    assert planned(ledger, rows[0], unsent("c", Kind.UNREADABLE, Outcome.UNREADABLE, "why else")).admission.anything()


def test_only_the_chosen_are_admitted(ledger: Ledger) -> None:
    documents = planned(ledger, row("a"), row("b"))
    documents.choose("id = 'b'")

    documents.admission.admit(run_no=1)

    assert pending(ledger) == ["b"]


def test_work_is_told_from_what_was_left_pending_before(ledger: Ledger) -> None:
    admit(ledger, row("a"), row("b"))

    since = admit(ledger, row("b"), row("c"))

    assert pending(ledger) == ["a", "b", "c"]
    assert pending(ledger, since=since) == ["b", "c"]


def test_a_retried_request_is_pending_again_and_keeps_its_attempts(ledger: Ledger) -> None:
    admit(ledger, row("a"), row("b", request_id="request of a"))
    settle(ledger, "a", Outcome.INVALID)
    assert not planned(ledger, row("a", kind=Kind.FAILED)).admission.anything()

    documents = planned(ledger, row("a", kind=Kind.RETRY))

    assert documents.admission.anything()
    documents.admission.admit(run_no=1)
    assert pending(ledger) == ["a", "b"]
    assert ledger.connection.execute("select state, outcome from attempts").fetchall() == [("answered", "invalid")]


# --- which answer is a document's row


def test_the_row_of_the_old_text_stays_until_the_new_one_is_answered(ledger: Ledger) -> None:
    admit(ledger, row("a"))
    settle(ledger, "a")
    changed = row("a", kind=Kind.CHANGED, request_id="of the new text", content_sha="new")

    admit(ledger, changed)
    assert has_row(ledger, "a") == "request of a"
    settle(ledger, "a")

    assert has_row(ledger, "a") == "of the new text"


def test_a_failure_of_the_new_text_takes_the_row_away(ledger: Ledger) -> None:
    admit(ledger, row("a"))
    settle(ledger, "a")
    admit(ledger, row("a", kind=Kind.CHANGED, request_id="of the new text", content_sha="new"))

    settle(ledger, "a", Outcome.REFUSED)

    assert has_row(ledger, "a") is None


def test_an_unreadable_document_loses_its_row(ledger: Ledger) -> None:
    admit(ledger, row("a"))
    settle(ledger, "a")

    admit(ledger, unsent("a", Kind.UNREADABLE, Outcome.UNREADABLE))

    assert has_row(ledger, "a") is None


def test_an_answer_of_before_is_the_row_at_once(ledger: Ledger) -> None:
    admit(ledger, row("a"))
    settle(ledger, "a")

    admit(ledger, row("twin", kind=Kind.REUSABLE, request_id="request of a"))

    assert has_row(ledger, "twin") == "request of a"


def test_a_failure_of_before_is_the_outcome_at_once(ledger: Ledger) -> None:
    admit(ledger, row("a"))
    settle(ledger, "a")
    admit(ledger, row("bad"))
    settle(ledger, "bad", Outcome.INVALID)

    admit(ledger, row("a", kind=Kind.FAILED, request_id="request of bad", content_sha="as bad"))

    assert has_row(ledger, "a") is None
    assert planned(ledger, row("a")).admission.outcomes() == {Outcome.INVALID: 1}


# --- what has left the source


def test_pending_documents_that_are_gone_are_set_aside(ledger: Ledger) -> None:
    admit(ledger, row("answered"), row("gone"), row("here"))
    settle(ledger, "answered")
    documents = planned(ledger, row("here"))

    documents.admission.set_aside_gone(run_no=1)

    assert pending(ledger) == ["here"]
    rows = ledger.connection.execute("select doc_id, status from document_status order by 1").fetchall()
    assert rows == [("answered", "succeeded"), ("gone", "unreadable"), ("here", "pending")]


# --- what is only weighed at first


def weighed(doc_id: str, size: int, kind: TextClass = TextClass.PROSE, **changes: Any) -> Planned:
    return row(doc_id, size=DocumentSize(size, kind), tokens=None, **changes)


def tokens_of(ledger: Ledger) -> dict[str, tuple[int | None, int]]:
    rows = ledger.connection.execute("select doc_id, counted_tokens, guessed from planned order by 1")
    return {doc_id: (counted, guessed) for doc_id, counted, guessed in rows}


RATIOS = {kind: Ratio(0.25, 0.01) for kind in TextClass} | {TextClass.CODE: Ratio(0.5, 0.02)}


def test_uncounted_documents_come_by_class_and_size(ledger: Ledger) -> None:
    documents = planned(
        ledger,
        weighed("large", 900),
        weighed("code", 5, TextClass.CODE),
        weighed("small", 30),
        row("counted"),
        unsent("empty", Kind.EMPTY, Outcome.SKIPPED),
    )

    assert list(documents.tokens.uncounted()) == [
        (2, 5),
        (3, 30),
        (1, 900),
    ]
    assert documents.tokens.sizes([2, 1]) == {
        2: DocumentSize(5, TextClass.CODE),
        1: DocumentSize(900, TextClass.PROSE),
    }


def test_only_chosen_documents_that_are_sent_once_are_uncounted(ledger: Ledger) -> None:
    documents = planned(
        ledger, weighed("a", 100), weighed("b", 100, request_id="request of a"), weighed("c", 100), weighed("d", 100)
    )
    documents.choose("id <> 'd'")
    documents.mark_identical()
    documents.next(1)

    assert [number for number, _ in documents.tokens.uncounted()] == [1]
    assert documents.tokens.uncounted_bytes() == {TextClass.PROSE: (1, 100, 10_000)}
    documents.tokens.guess(RATIOS)
    assert documents.sums().guessed == 1


def test_what_is_not_counted_is_guessed_from_its_size(ledger: Ledger) -> None:
    documents = planned(
        ledger, weighed("a", 101), weighed("b", 102), weighed("c", 100, TextClass.CODE), weighed("d", 0), row("counted")
    )
    documents.tokens.set_counted(2, RequestTokens(33, TextClass.PROSE), Amount(7, 9))

    left = documents.tokens.uncounted_bytes()
    documents.tokens.guess(RATIOS)

    assert left == {TextClass.PROSE: (2, 101, 10_201), TextClass.CODE: (1, 100, 10_000)}
    assert tokens_of(ledger) == {"a": (25, 1), "b": (33, 0), "c": (50, 1), "counted": (10, 0), "d": (0, 1)}
    assert documents.sums().guessed == 3
    assert documents.sums()[-2:] == (7, 9), "of a guess there is none"


def test_where_all_is_counted_nothing_is_guessed(ledger: Ledger) -> None:
    documents = planned(ledger, row("a"), unsent("b", Kind.EMPTY, Outcome.SKIPPED))

    assert list(documents.tokens.uncounted()) == []
    assert documents.tokens.uncounted_bytes() == {}
    documents.tokens.guess(RATIOS)
    assert documents.sums().guessed == 0
    assert tokens_of(ledger) == {"a": (10, 0), "b": (None, 0)}


def test_documents_are_read_again_in_the_order_of_the_plan(ledger: Ledger) -> None:
    documents = planned(ledger, row("a"), row("b", max_tokens=77), row("c"))

    found = documents.tokens.documents(number for number in (3, 2))

    assert [(one.planned_no, one.ref.doc_id, one.ref.source, one.content_sha, one.max_tokens) for one in found] == [
        (2, "b", "b.txt", "sha of b", 77),
        (3, "c", "c.txt", "sha of c", None),
    ]


def test_tokens_come_by_class_and_number(ledger: Ledger) -> None:
    documents = planned(
        ledger,
        row("a", tokens=RequestTokens(30, TextClass.PROSE)),
        row("b", tokens=RequestTokens(20, TextClass.PROSE)),
        row("c", tokens=RequestTokens(90, TextClass.CODE)),
        row("d", kind=Kind.REUSABLE),
    )

    assert list(documents.tokens.by_tokens()) == [(3, 90), (2, 20), (1, 30)]


def test_groups_have_the_short_and_the_long_come_one_by_one(ledger: Ledger) -> None:
    documents = planned(
        ledger,
        row("a", tokens=RequestTokens(3, TextClass.PROSE)),
        row("b", tokens=RequestTokens(4, TextClass.PROSE)),
        row("c", tokens=RequestTokens(10, TextClass.PROSE)),
        row("d", tokens=RequestTokens(9, TextClass.CODE)),
        row("e", tokens=RequestTokens(5, TextClass.CODE), kind=Kind.IN_BATCH),
    )
    bounds = dict.fromkeys(TextClass, 10)

    code, prose = Group(TextClass.CODE, 1, 9, 81), Group(TextClass.PROSE, 2, 7, 25)
    assert documents.tokens.groups(bounds) == [code, prose]
    assert list(documents.tokens.longer(bounds)) == [RequestTokens(10, TextClass.PROSE)]
    assert documents.tokens.groups(bounds, Subset(first=1)) == [Group(TextClass.PROSE, 1, 3, 9)]
    assert list(documents.tokens.longer(bounds, Subset(first=2))) == []


def test_squares_of_the_largest_documents_do_not_overflow(ledger: Ledger) -> None:
    huge = RequestTokens(2**33, TextClass.PROSE)
    documents = planned(ledger, row("a", tokens=huge), row("b", tokens=huge))

    (group,) = documents.tokens.groups(dict.fromkeys(TextClass, 2**62))

    assert group.squares == 2.0**67


def test_a_guess_is_kept_as_one_until_the_document_is_read(ledger: Ledger) -> None:
    documents = planned(ledger, weighed("a", 100), row("b"))
    documents.tokens.guess(RATIOS)

    documents.admission.admit(run_no=1)

    found = ledger.pending(1, since=0, after=0, limit=10)
    assert [(one.ref.doc_id, one.counted_tokens, one.guessed) for one in found] == [("a", 25, True), ("b", 10, False)]
    known = known_requests(ledger, ["request of a", "request of b"])
    assert known["request of a"].tokens == RequestTokens(25, TextClass.PROSE, guessed=True)
    assert known["request of b"].tokens == RequestTokens(10, TextClass.PROSE)
