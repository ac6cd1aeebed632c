"""From the results of an ended batch to outcomes: judged, priced, in groups, whatever order or state they come in."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest
from collect_bench import ABC, CANCELED, COST, CREATED_AT, EXPIRED, NONCE, PENDING, WORST, Bench, Fate, line, ours
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_provider import BAD_KEY, OVERLOADED, TURNED_AWAY, answer, lost, status

from batchrun.batch import BatchResult, BatchState
from batchrun.events import BatchCollected, DocumentSettled, UsageDoubted
from batchrun.execution.batch import collect
from batchrun.reply import Cause, Failure, Usage

WRONG = status(400, "messages: wrong", error_type="invalid_request_error")

BROKE = status(500, "Internal server error", error_type="api_error")


# --- judged, and priced


def test_every_answer_is_judged_priced_at_half_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(ABC, map(ours, ABC))

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.committed == 3 * COST
    assert bench.open == 0
    assert bench.told == ABC
    assert bench.collected == BatchCollected("msgbatch_1", again=0, odd=0)
    replies = bench.ledger.connection.execute("select count(*) from replies").fetchone()
    assert replies == (3,)
    attempt = bench.attempt("a")
    assert (attempt["state"], attempt["status"], attempt["stop_reason"]) == ("answered", 200, "end_turn")
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (100, 10)
    (output,) = bench.ledger.connection.execute("select output from requests where request_id = 'request-a'").fetchone()
    assert json.loads(output) == {"title": "a title"}


@pytest.mark.parametrize("usage", [Usage(input_tokens=1_001), Usage(output_tokens=1_001), Usage(500, 500, 0, 0, 1)])
def test_usage_beyond_what_was_reserved_is_not_told_costs_no_answer_and_is_said_once(usage: Usage) -> None:
    bench = Bench("ab", [ours("a", answer(usage=usage)), ours("b", answer(usage=usage))])
    bench.ledger.connection.execute("update attempts set reserved_tokens = 1000")

    bench.visit()

    assert bench.statuses == dict.fromkeys("ab", "succeeded")
    assert bench.committed == 2 * WORST
    assert bench.attempt("a")["output_tokens"] is None
    assert [event.usage for event in bench.events if isinstance(event, UsageDoubted)] == [usage]


def test_usage_up_to_what_was_reserved_is_believed() -> None:
    bench = Bench("a", [ours("a", answer(usage=Usage(input_tokens=990, output_tokens=10)))])
    bench.ledger.connection.execute("update attempts set reserved_tokens = 1000")

    bench.visit()

    assert bench.attempt("a")["output_tokens"] == 10


@pytest.mark.parametrize(
    ("usage", "cost_nusd"),
    [
        (Usage(input_tokens=1, output_tokens=0), 500),
        (Usage(input_tokens=0, output_tokens=1), 2_500),
        (Usage(cache_write_5m_tokens=1), 625),
        (Usage(cache_write_1h_tokens=1), 1_000),
        (Usage(cache_read_tokens=1), 50),
        (Usage(input_tokens=3, cache_read_tokens=3, output_tokens=7), 1_500 + 150 + 17_500),
        (Usage(), 0),
    ],
)
def test_every_class_of_token_costs_half(usage: Usage, cost_nusd: int) -> None:
    bench = Bench(["a"], [ours("a", answer(usage=usage))])
    bench.visit()

    assert bench.attempt("a")["cost_nusd"] == bench.committed == cost_nusd


def test_an_answer_that_does_not_tell_its_usage_is_booked_at_its_worst() -> None:
    bench = Bench(ABC, [ours("a", answer(usage=None)), ours("b"), ours("c")])
    bench.visit()

    assert bench.attempt("a")["cost_nusd"] is None
    assert bench.committed == WORST + 2 * COST


def test_it_is_priced_by_the_model_of_the_batch() -> None:
    bench = Bench(["a"], [ours("a")], model="claude-opus-4-5")
    bench.visit()

    assert bench.committed == (100 * 5_000 + 10 * 25_000) // 2


def test_without_a_price_the_worst_case_is_booked_and_the_answers_are_kept() -> None:
    bench = Bench(ABC, [ours("a"), ours("b", WRONG), ours("c", EXPIRED)], model="claude-of-old")

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == {"a": "succeeded", "b": "rejected", "c": PENDING}
    assert (bench.attempt("a")["state"], bench.attempt("a")["cost_nusd"]) == ("answered", None)
    assert bench.committed == WORST
    assert bench.ledger.connection.execute("select count(*) from replies").fetchone() == (1,)


def test_it_is_judged_by_the_schema_of_the_batch() -> None:
    other = {"type": "object", "properties": {"other": {"type": "integer"}}, "required": ["other"]}
    bench = Bench(["a", "b"], [ours("a", answer({"other": 1})), ours("b")], schema=other)
    bench.visit()

    assert bench.statuses == {"a": "succeeded", "b": "invalid"}


FATES: dict[str, tuple[Fate, str, str, int]] = {
    "an answer": (answer(), "succeeded", "answered", COST),
    "an answer of another form": (answer({"heading": "x"}), "invalid", "answered", COST),
    "no JSON": (answer("I cannot"), "invalid", "answered", COST),
    "a refusal": (answer("", stop_reason="refusal"), "refused", "answered", COST),
    "max_tokens": (answer('{"tit', stop_reason="max_tokens"), "truncated", "answered", COST),
    "a message that cannot be read": (lost(Cause.MALFORMED), "errored", "unknown", WORST),
    "invalid_request": (WRONG, "rejected", "failed", 0),
    "request_too_large": (status(413, error_type="request_too_large"), "rejected", "failed", 0),
    "api_error": (BROKE, PENDING, "failed", 0),
    "overloaded": (OVERLOADED, PENDING, "failed", 0),
    "timeout_error": (status(504, error_type="timeout_error"), PENDING, "failed", 0),
    "rate_limit_error": (TURNED_AWAY, PENDING, "failed", 0),
    "authentication_error": (BAD_KEY, PENDING, "failed", 0),
    "billing_error": (status(402, error_type="billing_error"), PENDING, "failed", 0),
    "no credit, told as invalid_request": (
        status(400, "Your credit balance is too low", error_type="invalid_request_error"), PENDING, "failed", 0,
    ),
    "an error of a kind nobody knows": (
        Failure(cause=Cause.STATUS, message="?", error_type="new_error"), PENDING, "failed", 0,
    ),
    "an error without anything": (Failure(cause=Cause.STATUS, message="no message"), PENDING, "failed", 0),
    "expired": (EXPIRED, PENDING, "failed", 0),
    "canceled": (CANCELED, PENDING, "failed", 0),
}  # fmt: skip


@pytest.mark.parametrize(("fate", "becomes", "state", "cost_nusd"), FATES.values(), ids=FATES)
def test_what_a_result_means(fate: Fate, becomes: str, state: str, cost_nusd: int) -> None:
    bench = Bench(ABC, [ours("a"), ours("b", fate), ours("c")])

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == {"a": "succeeded", "b": becomes, "c": "succeeded"}
    assert bench.attempt("b")["state"] == state
    assert bench.committed == 2 * COST + cost_nusd
    assert bench.collected.again == (becomes == PENDING)
    assert ("b" in bench.told) == (becomes != PENDING)


LAST: dict[str, tuple[Fate, str]] = {
    "api_error": (BROKE, "errored"),
    "overloaded": (OVERLOADED, "errored"),
    "expired": (EXPIRED, "expired"),
    "canceled by somebody else": (CANCELED, "canceled"),
}


@pytest.mark.parametrize("max_attempts", [1, 2, 4])
@pytest.mark.parametrize(("fate", "becomes"), LAST.values(), ids=LAST)
def test_the_last_attempt_is_the_outcome(fate: Fate, becomes: str, max_attempts: int) -> None:
    bench = Bench(["a"], [ours("a", fate)], max_attempts=max_attempts)
    for number in range(1, max_attempts):
        bench.visit()
        assert bench.statuses == {"a": PENDING}
        bench.nonce = f"{number:012x}"
        bench.batch_no = bench.another(nonce=bench.nonce, batch_id=f"msgbatch_{number + 1}")
        bench.downloads = [[ours("a", fate, nonce=bench.nonce)]]
    bench.visit()

    assert bench.statuses == {"a": becomes}
    assert bench.committed == 0
    (reason,) = bench.ledger.connection.execute("select reason from requests").fetchone()
    assert reason


NOT_THE_DOCUMENTS: dict[str, Failure] = {
    "authentication_error": BAD_KEY,
    "billing_error": status(402, error_type="billing_error"),
    "permission_error": status(403, error_type="permission_error"),
    "not_found_error": status(404, error_type="not_found_error"),
    "rate_limit_error": TURNED_AWAY,
    "no credit, told as invalid_request": status(
        400, "Your credit balance is too low", error_type="invalid_request_error"
    ),
}


@pytest.mark.parametrize("failure", NOT_THE_DOCUMENTS.values(), ids=NOT_THE_DOCUMENTS)
def test_what_would_meet_every_other_request_is_no_outcome_of_one(failure: Failure) -> None:
    bench = Bench(["a"], [ours("a", failure)], max_attempts=1)

    bench.visit()

    assert bench.statuses == {"a": PENDING}
    assert bench.collected.again == 1
    assert bench.committed == 0


def test_what_we_canceled_is_pending_however_often() -> None:
    bench = Bench(["a"], [ours("a", CANCELED)], max_attempts=1)
    bench.batches.ask_to_cancel(bench.batch, now=CREATED_AT + 1)

    bench.visit()

    assert bench.statuses == {"a": PENDING}
    assert bench.collected.again == 1


def test_what_expired_in_a_batch_that_we_canceled_counts() -> None:
    bench = Bench(["a"], [ours("a", EXPIRED)], max_attempts=1)
    bench.batches.ask_to_cancel(bench.batch, now=CREATED_AT + 1)
    bench.visit()

    assert bench.statuses == {"a": "expired"}


def test_identical_documents_have_one_outcome() -> None:
    bench = Bench(["a", "b"], [ours("a"), ours("b")])
    bench.document("twin", request="a")
    bench.visit()

    assert bench.statuses["twin"] == "succeeded"
    assert sorted(bench.told) == ["a", "b", "twin"]
    assert bench.committed == 2 * COST


# --- in groups, in any order


@pytest.mark.slow
@pytest.mark.parametrize(("count", "groups"), [(1, [1]), (200, [200]), (201, [200, 1]), (450, [200, 200, 50])], ids=str)
def test_results_are_settled_in_groups_of_one_transaction_each(count: int, groups: list[int]) -> None:
    names = [f"d{number}" for number in range(count)]
    bench = Bench(names, [ours(name) for name in names])
    bench.visit()

    assert bench.writes == groups
    assert Counter(bench.statuses.values()) == {"succeeded": count}


@pytest.mark.slow
def test_results_are_never_all_in_memory() -> None:
    names = [f"d{number}" for number in range(1_000)]
    ahead: list[int] = []
    bench = Bench(names, [])
    settled = 0

    def lines() -> Iterable[BatchResult]:
        nonlocal settled
        for number, name in enumerate(names):
            ahead.append(number - (1_000 - bench.open))
            yield ours(name)

    bench.downloads = [lines()]
    bench.visit()

    assert max(ahead) <= collect.GROUP


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.permutations(["a", "b", "c", "d", "e"]), st.lists(st.sampled_from("abcde"), max_size=5), st.integers(0, 10))
def test_order_and_repetition_do_not_matter(order: list[str], repeated: list[str], at: int) -> None:
    results = [ours(name) for name in order]
    results[at:at] = [ours(name) for name in repeated]
    bench = Bench("abcde", results)
    bench.visit()

    assert bench.batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys("abcde", "succeeded")
    assert bench.committed == 5 * COST
    assert sorted(bench.told) == list("abcde")


# --- custom_ids that are not as they should be


def test_of_a_repeated_result_the_first_counts() -> None:
    bench = Bench(["a"], [ours("a", answer({"title": "first"})), ours("a", answer({"title": "second"}))])
    bench.visit()

    (output,) = bench.ledger.connection.execute("select output from requests").fetchone()
    assert json.loads(output) == {"title": "first"}
    assert bench.collected.odd == 1
    assert bench.committed == COST


def test_a_repetition_in_another_group_counts_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "GROUP", 2)
    bench = Bench(ABC, [ours("a"), ours("b"), ours("a", BROKE), ours("c"), ours("b")])
    bench.visit()

    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.committed == 3 * COST
    assert bench.collected.odd == 2


STRANGERS: dict[str, BatchResult] = {
    "somebody else's": line("row-17", answer()),
    "of another batch of ours": ours("a", nonce="ba9876543210"),
    "of no document": ours("nobody"),
    "without a custom_id": line("", answer()),
    "a line that is no result": BatchResult(type=None),
    "with SQL in it": line(f"{NONCE}-'; drop table attempts; --", answer()),
    "with the nonce alone": line(NONCE, answer()),
    "with the nonce and nothing else": line(f"{NONCE}-", answer()),
    "with the nonce at the end": line(f"request-a-{NONCE}", answer()),
    "of another case": line(f"{NONCE}-REQUEST-A", answer()),
    "very long": line("x" * 100_000, answer()),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("position", [0, 1, 3])
def test_an_unknown_custom_id_is_counted_and_does_no_harm(stranger: BatchResult, position: int) -> None:
    results = [ours(name) for name in ABC]
    results.insert(position, stranger)
    bench = Bench(ABC, results)

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.collected.odd == 1
    assert bench.committed == 3 * COST


def test_a_result_of_a_batch_for_a_request_that_is_settled_by_now_changes_nothing() -> None:
    """Its member was settled in an earlier download."""
    bench = Bench(ABC, [ours("a"), lost()], [ours("a", BROKE), ours("b"), ours("c")])
    bench.visit()

    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.committed == 3 * COST


def test_our_custom_id_with_a_line_that_is_no_result_is_lost_and_not_sent_again() -> None:
    bench = Bench(ABC, [ours("a"), BatchResult(nonce=NONCE, request_id="request-b", type=None), ours("c")])
    bench.visit()

    assert bench.statuses == {"a": "succeeded", "b": "errored", "c": "succeeded"}
    assert bench.committed == 2 * COST + WORST


# --- what concerns all others


@pytest.mark.parametrize("failure", [BAD_KEY, status(403), status(404), status(402)])
def test_an_error_that_would_meet_every_other_is_noted(failure: Failure) -> None:
    bench = Bench(ABC, [ours("a"), ours("b", failure), ours("c")])
    bench.visit()

    assert bench.fatal == failure
    assert bench.statuses["b"] == PENDING


@pytest.mark.parametrize("failure", [BROKE, OVERLOADED, WRONG, TURNED_AWAY])
def test_an_error_of_one_is_not(failure: Failure) -> None:
    bench = Bench(ABC, [ours("a"), ours("b", failure), ours("c")])
    bench.visit()

    assert bench.fatal is None


def test_documents_that_were_all_rejected_alike_stop_the_job_and_stay_pending() -> None:
    bench = Bench("abcde", [ours(name, status(400, f"messages.{n}: wrong")) for n, name in enumerate("abcde")])
    bench.visit()
    assert "the first 5 documents were all rejected" in str(bench.failure_history.problem())
    assert set(bench.statuses.values()) == {PENDING}
    assert bench.batch.state is BatchState.COLLECTED


def test_rejections_that_an_answer_follows_are_the_documents_own() -> None:
    bench = Bench("abcdefghijkl", [*(ours(name, WRONG) for name in "abcdefghijk"), ours("l")])
    bench.visit()
    assert bench.failure_history.problem() is None
    assert bench.statuses == dict.fromkeys("abcdefghijk", "rejected") | {"l": "succeeded"}
    settled = [event for event in bench.events if isinstance(event, DocumentSettled)]
    assert sorted(event.doc_id for event in settled) == list("abcdefghijkl"), "and each is told of once"


def test_the_row_goes_on_in_the_next_batch_but_only_its_last_documents_stay_pending() -> None:
    bench = Bench("abcd", [ours(name, WRONG) for name in "abcd"], [ours(name, WRONG, nonce="2" * 12) for name in "ef"])
    bench.visit()
    assert set(bench.statuses.values()) == {"rejected"}
    for name in "ef":
        bench.document(name)
    bench.nonce = "2" * 12
    bench.batch_no = bench.another(nonce=bench.nonce, batch_id="msgbatch_2")
    bench.visit()
    assert "the first 6 documents" in str(bench.failure_history.problem())
    assert (bench.statuses["a"], bench.statuses["e"]) == ("rejected", PENDING)


def test_answers_of_a_batch_that_all_bring_no_row_stop_the_job() -> None:
    names = [f"{number:02}" for number in range(21)]
    bench = Bench(names, [ours(name, answer(f"Sure! Document {name} says ...")) for name in names])
    bench.visit()
    assert "the first 20 answers" in str(bench.failure_history.problem())
    assert set(bench.statuses.values()) == {"invalid"}
