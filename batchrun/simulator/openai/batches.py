"""Batches of the OpenAI dialect: the lines of an input file, what a batch tells, and the files that it leaves."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from batchrun.simulator.api_error import ApiError, ApiRefusal
from batchrun.simulator.batches.batch import SimulatedBatch
from batchrun.simulator.batches.body import ParamsFile, Resolve, SentRequest, sent_request
from batchrun.simulator.batches.life import EXPIRES_AFTER_S, RequestEnding
from batchrun.simulator.openai.chat import CHAT
from batchrun.simulator.openai.http_responses import told_error
from batchrun.simulator.replies.message_json import new_id, to_json
from batchrun.simulator.requests.parameters import StrictForm, check_form, parse

ENDPOINT = "/v1/chat/completions"
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
_VALIDATING_S = 2.0
_CODES = {RequestEnding.EXPIRED: "batch_expired", RequestEnding.CANCELED: "batch_cancelled"}


class BatchForm(StrictForm):
    """The body of `POST /v1/batches`."""

    input_file_id: str
    endpoint: Literal["/v1/chat/completions"]
    completion_window: Literal["24h"]
    metadata: Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None,
        Field(max_length=16),
    ] = None


class _LineForm(StrictForm):
    custom_id: str
    method: Literal["POST"]
    url: Literal["/v1/chat/completions"]
    body: dict[str, Any]


def problem(code: str, line: int | None = None) -> Mapping[str, object]:
    """Tell what is wrong with an input file."""
    return {"code": code, "message": code.replace("_", " ").capitalize(), "param": None, "line": line}


def read_lines(
    data: bytes, file: ParamsFile, *, most: int, resolve: Resolve
) -> tuple[list[SentRequest], list[Mapping[str, object]]]:
    """Read an input file: its requests, or what is wrong with the file; takes seconds when the file is large."""
    requests: dict[str, SentRequest] = {}
    problems = list[Mapping[str, object]]()
    lines, models = [line for line in data.split(b"\n") if line.strip()], set[str]()
    for number, line in enumerate(lines[:most], 1):
        try:
            given = parse(line)
            check_form(given, _LineForm)
        except ApiRefusal:
            problems.append(problem("invalid_json_line", number))
            continue
        raw, name = to_json(given["body"]), given["custom_id"]
        models.add(str(given["body"].get("model")))
        if name in requests or len(models) > 1:
            problems.append(problem("duplicate_custom_id" if name in requests else "mismatched_model", number))
        requests[name] = sent_request(name, raw, file.append(raw), resolve, dialect=CHAT)
    if not most >= len(lines) > 0:
        problems.append(problem("too_many_requests" if lines else "empty_file"))
    return [] if problems else list(requests.values()), problems


def _status(batch: SimulatedBatch, age: float) -> str:
    life = batch.life
    if age >= life.ends_at and not batch.order["errors"]:
        ended = "expired" if life.ends_at >= EXPIRES_AFTER_S else "completed"
        return ended if life.canceled_at is None else "cancelled"
    if age < min(_VALIDATING_S, life.ends_at):
        return "validating"
    if batch.order["errors"]:
        return "failed"
    if life.canceled_at is not None:
        return "cancelling"
    return "finalizing" if all(life.reached_at(member.moment) <= age for member in batch.members) else "in_progress"


def written(batch: SimulatedBatch, now: float) -> Mapping[str, object]:
    """Write a batch as this API does: its counts grow while it is processed. Makes its files once it has ended."""
    age, life = batch.age(now), batch.life
    status, done = _status(batch, age), batch.processed(now)
    began = status not in {"validating", "failed"}
    if batch.has_results(now) and began and "output_file_id" not in batch.order:
        names = {"output_file_id": True, "error_file_id": False}
        batch.order.update({name: _file_made(batch, now, succeeded=succeeded) for name, succeeded in names.items()})
    counts = (len(batch.members), done[RequestEnding.SUCCEEDED], done.total() - done[RequestEnding.SUCCEEDED])
    ended = int(batch.epoch_at(min(age, life.ends_at)))
    return {
        "id": batch.id,
        "object": "batch",
        "status": status,
        **dict.fromkeys(("output_file_id", "error_file_id")),
        **batch.order,
        "request_counts": dict(zip(("total", "completed", "failed"), counts if began else (0, 0, 0), strict=True)),
        "created_at": int(batch.epoch_at(0.0)),
        "expires_at": int(batch.epoch_at(EXPIRES_AFTER_S)),
        "cancelling_at": None if life.canceled_at is None else int(batch.epoch_at(life.canceled_at)),
        **{f"{name}_at": ended if status == name else None for name in ("completed", "failed", "expired", "cancelled")},
    }


def _file_made(batch: SimulatedBatch, now: float, *, succeeded: bool) -> str | None:
    data = b"".join(
        to_json(_line(batch, custom_id, ending, outcome)) + b"\n"
        for custom_id, ending, outcome in batch.outcomes()
        if (ending is RequestEnding.SUCCEEDED) == succeeded
    )
    name = f"{batch.id}_{'output' if succeeded else 'error'}.jsonl"
    if not data:
        return None
    kept = batch.uploaded.upload(name, "application/jsonl", data, expires_in_s=None, now=now, purpose="batch_output")
    return kept.id


def _line(batch: SimulatedBatch, custom_id: str, ending: RequestEnding, outcome: Any) -> Mapping[str, object]:
    status, body = told_error(outcome) if isinstance(outcome, ApiError) else (200, outcome)
    answered = {"status_code": status, "request_id": new_id("req_", batch.id, custom_id), "body": body}
    code = _CODES.get(ending)
    error = {"code": code, "message": "This request was not executed."} if code else None
    line_id = new_id("batch_req_", batch.id, custom_id)
    return {"id": line_id, "custom_id": custom_id, "response": None if code else answered, "error": error}
