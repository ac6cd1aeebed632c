"""What the Batch API of OpenAI answers, in the words of the port."""

import json
from typing import Any

import pytest

from batchrun.batch import ResultType
from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.providers import AttemptError
from batchrun.providers.openai.batch_parsing import StoredBatch, batch_of, left_out, result_from

NAME = {"custom_id": "n-r1"}
USAGE = {"input_tokens": 3, "output_tokens": 2}
MESSAGE = {"content": [{"type": "text", "text": "4"}], "stop_reason": "end_turn", "usage": USAGE}


def told(status: str = "in_progress", counts: tuple[int, int, int] | None = (4, 1, 1), **more: Any) -> dict[str, Any]:
    return {
        "id": "batch_1",
        "status": status,
        "created_at": 1_000,
        "expires_at": 2_000,
        "input_file_id": "file-in",
        "request_counts": counts and dict(zip(("total", "completed", "failed"), counts, strict=True)),
        "metadata": {"nonce": "n", "requests": "4"},
    } | more


def read(*args: Any, **more: Any) -> StoredBatch:
    return batch_of(told(*args, **more), {})


@pytest.mark.parametrize(
    ("status", "known"),
    [
        ("validating", "validating"),
        ("in_progress", "in_progress"),
        ("finalizing", "in_progress"),
        ("cancelling", "canceling"),
        ("completed", "ended"),
        ("failed", "ended"),
        ("expired", "ended"),
        ("cancelled", "ended"),
        ("of_another_year", "of_another_year"),
    ],
)
def test_statuses(status: str, known: str) -> None:
    batch = read(status, **{f"{status}_at": 1_500})
    assert batch.status == known
    assert batch.ended_at == (1_500 if known == "ended" else None)
    assert (batch.created_at, batch.expires_at, batch.nonce) == (1_000.0, 2_000, "n")


@pytest.mark.parametrize(
    ("status", "counts", "known"),
    [
        ("in_progress", (4, 1, 1), {"succeeded": 1, "errored": 1, "processing": 2}),
        ("validating", (0, 0, 0), {"succeeded": 0, "errored": 0, "processing": 4}),
        ("validating", None, {"succeeded": 0, "errored": 0, "processing": 4}),
        ("completed", (4, 3, 1), {"succeeded": 3, "errored": 1}),
        ("expired", (4, 1, 1), {"succeeded": 1, "errored": 1, "expired": 2}),
        ("cancelled", (4, 1, 1), {"succeeded": 1, "errored": 1, "canceled": 2}),
        ("failed", (0, 0, 0), {"succeeded": 0, "errored": 4}),
    ],
)
def test_counts_are_of_all_requests_at_any_time(
    status: str, counts: tuple[int, int, int] | None, known: dict[str, int]
) -> None:
    batch = read(status, counts)
    assert batch.counts == known
    assert batch.requests == 4


def test_a_batch_of_somebody_else_has_neither_nonce_nor_size() -> None:
    batch = read("validating", None, metadata=None)
    assert (batch.nonce, batch.requests) == (None, 0)


@pytest.mark.parametrize(
    "changes",
    [{"id": "../files"}, {"id": 1}, {"status": None}, {"created_at": "now"}, {"created_at": -1}, {"created_at": 2**39}],
)
def test_what_is_no_batch(changes: dict[str, Any]) -> None:
    with pytest.raises(AttemptError, match="no batch"):
        read(**changes)


def test_numbers_that_are_no_dates_and_no_sizes() -> None:
    batch = read("completed", None, expires_at=2**39, completed_at=2**39, metadata={"requests": "9" * 150})
    assert (batch.expires_at, batch.ended_at, batch.requests) == (None, None, 0)


@pytest.mark.parametrize("value", [None, [], "batch_1", {}])
def test_what_is_no_object(value: Any) -> None:
    with pytest.raises(AttemptError, match="no batch"):
        batch_of(value, {})


def test_files_whose_ids_could_lead_elsewhere_are_not_read() -> None:
    batch = read(output_file_id="file-out", error_file_id="../batches", input_file_id="?x")
    assert (batch.output_files, batch.input_file) == (("file-out",), None)


# --- why a batch was refused


def problem(code: str, line: int | None = None, message: str | None = None) -> dict[str, Any]:
    return {"code": code, "line": line, "message": message or code, "param": None}


def refused(*problems: Any) -> StoredBatch:
    return read("failed", (0, 0, 0), errors={"object": "list", "data": list(problems)})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("token_limit_exceeded", FailureKind.LATER),
        ("model_not_found", FailureKind.NOT_FOUND),
        ("billing_hard_limit_reached", FailureKind.MONEY),
        ("invalid_url", FailureKind.REJECTED),
    ],
)
def test_the_whole_file_is_refused(code: str, kind: FailureKind) -> None:
    batch = refused(problem(code, message="words of the API"))
    failure = left_out(json.dumps(NAME).encode(), 1, batch).failure
    assert failure
    assert (kind_of(failure), failure.message) == (kind, "words of the API")
    assert batch.completed == 0


def test_one_line_is_refused_and_the_others_wait() -> None:
    batch = refused(problem("invalid_json_line", 2), problem("too late", 2))
    kinds = [left_out(json.dumps(NAME).encode(), number, batch).failure for number in (1, 2, 3)]
    assert [kind_of(one) for one in kinds if one] == [FailureKind.LATER, FailureKind.REJECTED, FailureKind.LATER]
    assert kinds[1]
    assert kinds[1].message == "invalid_json_line"


@pytest.mark.parametrize("problems", [[], [None], [problem("x", -1)], "x"])
def test_a_refusal_without_a_reason_is_one_all_the_same(problems: Any) -> None:
    batch = read("failed", None, errors={"data": problems})
    assert kind_of(batch.refusals[0]) is FailureKind.REJECTED


@pytest.mark.parametrize(("status", "kind"), [("expired", ResultType.EXPIRED), ("cancelled", ResultType.CANCELED)])
def test_what_an_early_end_left(status: str, kind: ResultType) -> None:
    result = left_out(json.dumps(NAME).encode(), 1, read(status))
    assert (result.nonce, result.request_id, result.type, result.failure) == ("n", "r1", kind, None)


# --- lines


def line(response: Any = None, error: Any = None, **more: Any) -> bytes:
    return json.dumps({"id": "batch_req_1", **NAME, "response": response, "error": error} | more).encode()


def answered(status: int, body: Any) -> bytes:
    return line({"status_code": status, "request_id": "req_1", "body": body})


def told_error(code: str | None, message: str = "no") -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "code": code, "message": message, "param": None}}


def same(answer: Any) -> Any:
    return answer


def test_an_answer() -> None:
    result = result_from(answered(200, MESSAGE), same)
    assert (result.type, result.nonce, result.request_id) == (ResultType.SUCCEEDED, "n", "r1")
    assert result.reply
    assert (result.reply.text, result.reply.usage and result.reply.usage.input_tokens) == ("4", 3)


def test_an_answer_that_cannot_be_read_was_billed() -> None:
    result = result_from(answered(200, {"content": 1}), same)
    assert result.type is ResultType.SUCCEEDED
    assert result.failure
    assert result.failure.maybe_billed


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, FailureKind.REJECTED),
        (429, "rate_limit_exceeded", FailureKind.LATER),
        (429, "insufficient_quota", FailureKind.MONEY),
        (500, "server_error", FailureKind.SILENT),
    ],
)
def test_an_error(status: int, code: str | None, kind: FailureKind) -> None:
    result = result_from(answered(status, told_error(code)), same)
    assert result.type is ResultType.ERRORED
    assert result.failure
    assert (kind_of(result.failure), result.failure.message, result.failure.error_code) == (kind, "no", code)
    assert not result.failure.maybe_billed


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("batch_expired", ResultType.EXPIRED),
        ("batch_cancelled", ResultType.CANCELED),
        ("something_else", ResultType.ERRORED),
    ],
)
def test_a_line_without_a_response(code: str, kind: ResultType) -> None:
    result = result_from(line(error={"code": code, "message": "not executed"}), same)
    assert result.type is kind
    assert (result.failure is not None) == (kind is ResultType.ERRORED)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 100_000, line(), line({"status_code": "200"})])
def test_what_is_no_result(text: bytes) -> None:
    result = result_from(text, same)
    assert (result.type, result.reply, result.failure) == (None, None, None)
