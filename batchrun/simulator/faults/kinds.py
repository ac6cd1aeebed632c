"""The kinds of faults there are: what the API, the connection or the model does instead of answering well."""

from enum import Enum
from typing import NamedTuple

from batchrun.simulator.api_error import ApiError


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


Failure = ApiError | HtmlPage | Wire
Fault = Failure | Spoiling


class Fate(Enum):
    """A batch, or one request within a batch, is not processed as it should be."""

    NEVER_ENDS = "half of the requests are never processed: the batch waits for its expiry or a cancel"
    ARCHIVED = "the results are gone as soon as the batch has ended"
    EXPIRED = "the request is never processed, though its batch ends"


class Listing(Enum):
    """The list does not show what there is."""

    EMPTY = "a page without batches, as of a gateway without a list"
    STALE = "the page that was answered well last, as of a cache"


class Call(Enum):
    """What a fault of batches, and of the files of batches, happens to; each has a script of its own."""

    CREATE = "create"
    POLL = "poll"
    LIST = "list"
    CANCEL = "cancel"
    RESULTS = "results"
    UPLOAD = "upload"  # of a file
    REQUEST = "request"  # not a call, but one request within a batch


class BatchFault(NamedTuple):
    """What one call, or one request of a batch, meets."""

    call: Call
    effect: ApiError | Wire | Spoiling | Fate | Listing | None = (
        None  # None does nothing; an error of a request is its result
    )
    created: bool = True  # whether the batch exists all the same
