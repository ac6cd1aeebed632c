"""The kinds of faults there are: what the API, the connection or the model does instead of answering well."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from batchrun.simulator.api_error import ApiError


@dataclass(frozen=True, slots=True)
class Rejection:
    """The API answers with an error; nothing is produced or billed."""

    error: ApiError
    retry_after: Literal["seconds", "date"] | None = None


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Something in front of the API answers with a page."""

    status: int
    title: str


class Wire(Enum):
    """The connection misbehaves."""

    RESET_BEFORE = "cut before anything was produced: not billed"
    RESET_AFTER = "cut when the answer was produced and billed, before a byte of it was sent"
    HANG = "no answer until the client gives up: not billed"
    OVERLOADED_MIDWAY = "an error event within a stream that began with 200; without a stream the same as overloaded"


class Spoiling(Enum):
    """The API answers with 200 and bills, but the answer is no good."""

    INVALID_JSON = "text that is not JSON"
    SCHEMA_VIOLATION = "JSON that does not follow the schema"
    TRUNCATED = "stop_reason max_tokens in the middle of the answer"
    REFUSED = "stop_reason refusal and no content"
    EMPTY = "no content"
    WINDOW_EXCEEDED = "stop_reason model_context_window_exceeded"
    THINKING_FIRST = "a good answer behind a thinking block, whatever the model"


Fault = Rejection | HtmlPage | Wire | Spoiling


class Call(Enum):
    """What a fault of the Message Batches API happens to; each has a script of its own."""

    CREATE = "create"
    POLL = "poll"
    LIST = "list"
    CANCEL = "cancel"
    RESULTS = "results"
    REQUEST = "request"
    """Not a call: one request within a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFault:
    """What one call, or one request of a batch, meets; with the call alone: nothing."""

    call: Call
    error: ApiError | None = None
    """The answer; for a request, how it errored."""
    cut: Literal["hang", "reset"] | None = None
    """No answer until the client gives up, or a broken connection."""
    created: bool = True
    """Whether the batch exists all the same."""
    never_ends: bool = False
    """Half of the requests are never processed: the batch waits for its expiry, or to be canceled."""
    archived: bool = False
    """The results are gone as soon as the batch has ended."""
    expires: bool = False
    """The request is never processed, though its batch ends."""
    spoiling: Spoiling | None = None
