"""Batches of the OpenAI dialect: the lines of a file, what a batch tells, and the lines of its output."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from batchrun.simulator.api_error import ApiError, ApiRefusal
from batchrun.simulator.batches.batch import SimulatedBatch
from batchrun.simulator.batches.body import ParamsFile, Resolve, SentRequest, sent_request
from batchrun.simulator.batches.life import EXPIRES_AFTER_S, RequestEnding
from batchrun.simulator.dialect import Dialect
from batchrun.simulator.openai.chat import CHAT
from batchrun.simulator.openai.http_responses import told_error
from batchrun.simulator.openai.responses_api import RESPONSES
from batchrun.simulator.replies.message_json import new_id, to_json
from batchrun.simulator.requests.parameters import StrictForm, check_form, parse

DIALECTS: Mapping[str, Dialect] = {"/v1/chat/completions": CHAT, "/v1/responses": RESPONSES}
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
_VALIDATING_S = 2.0
_UNPROCESSED: Mapping[RequestEnding, tuple[str, str]] = {
    RequestEnding.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    RequestEnding.CANCELED: ("batch_cancelled", "This request was not executed because its batch was cancelled."),
}


class BatchForm(StrictForm):
    """The body of `POST /v1/batches`."""

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
        ]
        | None
    ) = None


class _Line(StrictForm):
    custom_id: Annotated[str, Field(min_length=1)]
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


class InputFile:
    """The requests in an input file and what is wrong with its lines; takes seconds when the file is large."""

    def __init__(self, data: bytes, file: ParamsFile, *, endpoint: str, most: int, resolve: Resolve) -> None:
        self._requests: dict[str, SentRequest] = {}
        self.problems: list[Mapping[str, object]] = []
        self.model: str | None = None
        self._file, self._endpoint, self._resolve = file, endpoint, resolve
        for number, line in enumerate(filter(None, data.split(b"\n")), 1):
            try:
                self._add(check_form(parse(line), _Line), number)
            except ApiRefusal as refusal:
                missing = "Field required" in refusal.error.message
                self._problem("missing_required_parameter" if missing else "invalid_json_line", str(refusal), number)
        if not data.strip():
            self._problem("empty_file", "The input file is empty.")
        if len(self._requests) > most:
            self._problem("too_many_requests", f"The input file has more than {most} requests.")

    @property
    def requests(self) -> list[SentRequest]:
        """What is to be processed: nothing if anything is wrong."""
        return [] if self.problems else list(self._requests.values())

    def _problem(self, code: str, message: str, line: int | None = None) -> None:
        self.problems.append({"code": code, "message": message, "param": None, "line": line})

    def _add(self, line: _Line, number: int) -> None:
        model = str(line.body.get("model"))
        self.model = self.model or model
        if line.url != self._endpoint:
            self._problem("invalid_url", f"The URL {line.url} is not the endpoint of the batch.", number)
        elif line.custom_id in self._requests:
            self._problem("duplicate_custom_id", f"The custom_id {line.custom_id} was used before.", number)
        elif model != self.model:
            self._problem("mismatched_model", f"The model {model} is not that of the first line.", number)
        else:
            raw = to_json(line.body)
            self._requests[line.custom_id] = sent_request(
                line.custom_id, raw, self._file.append(raw), self._resolve, dialect=DIALECTS[self._endpoint]
            )


def _status(batch: SimulatedBatch, age: float) -> str:
    life = batch.life
    if batch.order and batch.order["errors"]:
        return "failed" if age >= min(_VALIDATING_S, life.ends_at) else "validating"
    if age >= life.ends_at:
        if life.canceled_at is not None:
            return "cancelled"
        return "expired" if life.ends_at >= EXPIRES_AFTER_S else "completed"
    if life.canceled_at is not None:
        return "cancelling"
    if age < _VALIDATING_S:
        return "validating"
    finished = all(life.reached_at(member.moment) <= age for member in batch.members)
    return "finalizing" if finished else "in_progress"


def written(batch: SimulatedBatch, now: float) -> Mapping[str, object]:
    """Write a batch as this API does: its counts grow while it is processed."""
    age, life = batch.age(now), batch.life
    status, done = _status(batch, age), batch.processed(now)
    succeeded = done[RequestEnding.SUCCEEDED]
    counted = status not in {"validating", "failed"}
    files = {RequestEnding.SUCCEEDED: succeeded, RequestEnding.ERRORED: len(batch.members) - succeeded}
    shown = status in {"completed", "expired", "cancelled"} and batch.has_results(now)
    ended = int(batch.epoch_at(min(age, life.ends_at)))
    return {
        "id": batch.id,
        "object": "batch",
        "status": status,
        **(batch.order or {}),
        "request_counts": {
            "total": len(batch.members) if counted else 0,
            "completed": succeeded if counted else 0,
            "failed": done.total() - succeeded if counted else 0,
        },
        "output_file_id": f"file-{batch.id}-output" if shown and files[RequestEnding.SUCCEEDED] else None,
        "error_file_id": f"file-{batch.id}-error" if shown and files[RequestEnding.ERRORED] else None,
        "created_at": int(batch.epoch_at(0.0)),
        "in_progress_at": int(batch.epoch_at(_VALIDATING_S)) if counted else None,
        "expires_at": int(batch.epoch_at(EXPIRES_AFTER_S)),
        "cancelling_at": None if life.canceled_at is None else int(batch.epoch_at(life.canceled_at)),
        **{f"{name}_at": ended if status == name else None for name in ("completed", "failed", "expired", "cancelled")},
    }


def lines_of(failed: bool) -> Callable[[SimulatedBatch], Iterator[bytes]]:  # noqa: FBT001 - one file or the other
    """Return what writes the lines of the output file, or of the error file."""

    def lines(batch: SimulatedBatch) -> Iterator[bytes]:
        for custom_id, ending, outcome in batch.outcomes():
            if (ending is not RequestEnding.SUCCEEDED) == failed:
                yield to_json(_line(batch, custom_id, ending, outcome)) + b"\n"

    return lines


def _line(batch: SimulatedBatch, custom_id: str, ending: RequestEnding, outcome: Any) -> Mapping[str, object]:
    status, body = told_error(outcome) if isinstance(outcome, ApiError) else (200, outcome)
    code, message = _UNPROCESSED.get(ending, (None, None))
    answered = {"status_code": status, "request_id": new_id("req_", batch.id, custom_id), "body": body}
    return {
        "id": new_id("batch_req_", batch.id, custom_id),
        "custom_id": custom_id,
        "response": None if code else answered,
        "error": {"code": code, "message": message} if code else None,
    }
