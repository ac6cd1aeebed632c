"""The kinds of faults there are: what the API, the connection or the model does instead of answering well."""

from enum import Enum
from typing import Literal, NamedTuple

from batchrun.simulator.api_error import ApiError


class Rejection(NamedTuple):
    """The API answers with an error; nothing is produced or billed."""

    error: ApiError
    retry_after: Literal["seconds", "date"] | None = None


class HtmlPage(NamedTuple):
    """Something in front of the API answers with a page."""

    status: int
    title: str


class Wire(Enum):
    """The connection misbehaves."""

    RESET_BEFORE = "cut before anything was produced: not billed"
    RESET_AFTER = "cut when the reply was produced and billed, before a byte of it was sent"
    HANG = "no reply until the client gives up: not billed"
    OVERLOADED_MIDWAY = "an error event within a stream that began with 200; without a stream the same as overloaded"


class Spoiling(Enum):
    """The API answers with 200 and bills, but the reply is no good."""

    INVALID_JSON = "text that is not JSON"
    SCHEMA_VIOLATION = "JSON that does not follow the schema"
    TRUNCATED = "stop_reason max_tokens in the middle of the reply"
    REFUSED = "stop_reason refusal and no content"
    EMPTY = "no content"
    WINDOW_EXCEEDED = "stop_reason model_context_window_exceeded"
    THINKING_FIRST = "a good reply behind a thinking block, whatever the model"


Fault = Rejection | HtmlPage | Wire | Spoiling


class Call(Enum):
    """What a fault of the Message Batches API happens to; each has a script of its own."""

    CREATE = "create"
    POLL = "poll"
    LIST = "list"
    CANCEL = "cancel"
    RESULTS = "results"
    REQUEST = "request"  # not a call, but one request within a batch


class BatchFault(NamedTuple):
    """What one call, or one request of a batch, meets; a fault of which only the call is given does nothing."""

    call: Call
    error: ApiError | None = None  # the answer to the call; for a request, how the request errored
    cut: Literal["hang", "reset"] | None = None  # no answer until the client gives up, or a broken connection
    created: bool = True  # whether the batch exists all the same
    never_ends: bool = False  # half of the requests are never processed: the batch waits for its expiry or a cancel
    archived: bool = False  # the results are gone as soon as the batch has ended
    expires: bool = False  # the request is never processed, though its batch ends
    spoiling: Spoiling | None = None
