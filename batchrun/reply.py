"""A reply: what came back for one attempt, with its usage."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Usage:
    """The billed tokens of one reply, by the API's classes. Total input is the sum of the four input classes."""

    input_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    """All tokens that the model produced, thinking included."""
    thinking_tokens: int | None = None
    """The part of `output_tokens` that is thinking. None if the reply tells none."""

    @property
    def prompt_tokens(self) -> int:
        """All input, cached or not; this number decides the price band."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens

    @property
    def cache_write_tokens(self) -> int:
        """Tokens written to the cache, whatever their time to live."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens


@dataclass(frozen=True, slots=True)
class ReportedLimit:
    """One rate limit as the headers of an answer report the limit; a number that they do not report is None."""

    limit: int | None = None
    """How much the API allows a minute."""
    remaining: int | None = None
    """How much of `limit` remained when the API answered; tokens are rounded to thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedLimits:
    """The organisation's three limits for one model, as the headers of an answer report them, of errors too."""

    requests: ReportedLimit = ReportedLimit()
    input_tokens: ReportedLimit = ReportedLimit()
    output_tokens: ReportedLimit = ReportedLimit()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the Messages API with status 200."""

    text: str
    """The text blocks, joined; thinking blocks are not text."""
    stop_reason: str | None
    usage: Usage | None
    """The tokens of the reply. They are None when the reply had no usage; the worst case is booked then."""
    model: str
    """The model as the reply names the model; empty if it names none."""
    api_request_id: str | None
    raw: str
    """The body as the API sent the body, as ASCII JSON."""
    limits: ReportedLimits | None = None
    first_byte_s: float | None = None
    """The seconds from the send to the first byte of the answer."""
    refusal: str | None = None
    """What the API says of a refusal: its category and its explanation."""
    tool_input: str | None = None
    """The input with which the reply calls a tool, as JSON. None if the reply calls no tool."""


class Cause(StrEnum):
    """Why an attempt brought no reply, as far as can be seen from here."""

    STATUS = "status"
    """The API answered with an error status."""
    TIMEOUT = "timeout"
    """No answer came in time."""
    DROPPED = "dropped"
    """The connection broke after the request may have been sent."""
    UNREACHABLE = "unreachable"
    """No connection was made; nothing was sent."""
    MISCONFIGURED = "misconfigured"
    """The address, the proxy or a certificate is wrong, so that no connection can be made; nothing was sent."""
    MALFORMED = "malformed"
    """The status is 200, and the body is no message."""
    EXPIRED = "expired"
    """The batch ended before the request was processed; not billed."""
    CANCELED = "canceled"
    """The batch was canceled before the request was processed; not billed."""
    CREDENTIALS = "credentials"
    """There is no usable key; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One attempt that brought no reply."""

    cause: Cause
    message: str
    """The API's own words where there are any."""
    status: int | None = None
    error_type: str | None = None
    error_code: str | None = None
    retry_after_s: float | None = None
    api_request_id: str | None = None
    limits: ReportedLimits | None = None
    in_doubt: bool = False
    """Whether the request may have been answered in spite of the error status that came back."""

    @property
    def maybe_billed(self) -> bool:
        """Whether an answer may have been lost on its way; other error statuses and unmade connections cost nothing."""
        return self.in_doubt or self.cause in {Cause.TIMEOUT, Cause.DROPPED, Cause.MALFORMED}

    @classmethod
    def kept(
        cls, name: str, status: int | None, error_type: str | None, error_code: str | None, message: str | None
    ) -> "Failure":
        """Return the failure of which the ledger keeps these values; `name` is the failure's name."""
        cause = Cause.STATUS if name.startswith("http_") else Cause(name)
        return cls(cause=cause, status=status, error_type=error_type, error_code=error_code, message=message or "")

    @property
    def name(self) -> str:
        """A stable short name for counting: `http_529`, `timeout`."""
        return f"http_{self.status}" if self.cause is Cause.STATUS else self.cause.value
