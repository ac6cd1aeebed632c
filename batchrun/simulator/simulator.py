"""What becomes of a request: validation, rate limits, faults and the answer, decided without doing anything.

`speed` divides latency and injected waits and multiplies the refill of the rate limits, so that a simulated minute
takes 60/speed real seconds. The limits told in headers stay as configured, and waits told to the client are real ones.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from batchrun.simulator.api_error import ApiError
from batchrun.simulator.batch_faults import BATCH_FAULTS
from batchrun.simulator.batch_life import BatchTerms
from batchrun.simulator.batches import Batches
from batchrun.simulator.buckets import NOBODY, Bucket, Drain, Limits, ModelBuckets, Shortage, tier_limits
from batchrun.simulator.counting import count_prompt
from batchrun.simulator.fault_kinds import HtmlPage, Rejection, Spoiling, Wire
from batchrun.simulator.faults import FAULTS, OK, Draw, Profile, check_script, draw
from batchrun.simulator.latency import Latency
from batchrun.simulator.limit_headers import Levels
from batchrun.simulator.models import ModelCard
from batchrun.simulator.outages import FAULT_OF, OtherClient, Outage
from batchrun.simulator.producing import produce
from batchrun.simulator.prompt_cache import Breakpoint, Prompt, PromptCache, PromptUsage, prompt_of
from batchrun.simulator.validation import Params, check_count, check_length, check_message, known_model, parse
from batchrun.simulator.wire_format import message_body, new_id

ORGANIZATION_ID = "5ca1ab1e-0000-4000-8000-000000000000"

WITH_LIMIT_HEADERS = (200, 429, 500, 529)
"""The statuses whose answers carry rate limit headers."""

_INJECTED_WAIT_S = 4.0  # what an injected 429 tells the client to wait, at speed 1
_COUNTS_PER_MINUTE = 2_000
_UNANSWERED = (Wire.RESET_BEFORE, Wire.HANG)
_RATE_LIMITS_PAGE = "https://docs.claude.com/en/api/rate-limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Answer with an error; nothing is billed."""

    error: ApiError
    fault: str | None = None
    card: ModelCard | None = None
    retry_after_s: float | None = None
    retry_after_date: bool = False
    """Tell the wait as a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """Answer with a page of HTML; nothing is billed."""

    page: HtmlPage
    fault: str
    card: ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Cut the connection without an answer, at once or when the client gives up; nothing is billed."""

    hangs: bool
    fault: str
    card: ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Take the time, bill, and send the message as far as the wire allows."""

    body: Mapping[str, Any]
    card: ModelCard
    stream: bool
    first_token_s: float
    producing_s: float
    cut_at_the_end: bool
    overloaded_midway: bool
    used: PromptUsage
    fault: str | None
    levels: Levels | None = None
    """The limits as they were when it was let in; None: as they are when it is sent."""

    @property
    def input_tokens(self) -> int:
        """The billed input, cache aside."""
        return self.used.input_tokens

    @property
    def output_tokens(self) -> int:
        """The billed output."""
        return int(self.body["usage"]["output_tokens"])


Decision = Rejected | Paged | Cut | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A message that is in order."""

    params: Params
    card: ModelCard
    prompt: Prompt
    sha: bytes


class Simulator:
    """The state of the simulated API: its buckets, what it has seen, and the script it plays."""

    def __init__(  # noqa: PLR0913 - settings, each with its default
        self,
        profile: Profile,
        *,
        seed: int = 0,
        speed: float = 1.0,
        limits: Limits | None = None,
        burst_s: float = 60.0,
        latency: Latency | None = None,
        script: Iterable[str] = (),
        terms: BatchTerms | None = None,
        others: OtherClient | None = None,
        outages: Iterable[Outage] = (),
        headers_at: Literal["completion", "admission"] = "completion",
    ) -> None:
        """`limits` are for each pool of models; without them the published ones of the tier Start hold.

        `terms` are those of batches. The faults of the script are for the next valid requests to `/v1/messages`, one
        each; those of batches are for the next calls of their kind. `headers_at`: when the limits are read that an
        answer with status 200 tells.
        """
        self.profile = profile
        self._seed, self._speed, self._burst_s = seed, speed, burst_s
        self._limits = limits
        self._others, self._outages = others, tuple(outages)
        self._headers_at = headers_at
        self._began: float | None = None
        self._latency = latency or Latency()
        self.batches = Batches(profile, seed=seed, speed=speed, terms=terms or BatchTerms())
        self._script: deque[str] = deque()
        self._seen: Counter[bytes] = Counter()
        self._buckets: dict[str, ModelBuckets] = {}
        self._cache = PromptCache(speed=speed)
        self._counting = Bucket(_COUNTS_PER_MINUTE, burst_s=burst_s, speed=speed)
        self.extend_script(script)

    def __repr__(self) -> str:
        return f"Simulator({self.profile.name}, seed={self._seed}, speed={self._speed}, script={list(self._script)})"

    def extend_script(self, names: Iterable[object]) -> int:
        """Apply faults to the next valid requests, one each, or to the next calls; return how many wait now."""
        for name in check_script(names):
            if name in BATCH_FAULTS:
                self.batches.extend_script(name)
            else:
                self._script.append(name)
        return len(self._script) + self.batches.waiting_faults

    def decide(self, raw: bytes, body_sha: bytes, *, now: float) -> Decision:
        """Decide on a body sent to `/v1/messages`. Only what is let in counts against the limits."""
        if self._began is None:
            self._began = now
        asked = self._checked(raw, body_sha)
        if isinstance(asked, Rejected):
            return asked
        card = asked.card
        if outage := self._outage(asked, now):
            return self._unanswered(FAULT_OF[outage.kind], card)
        read = self._cache.look(asked.prompt, now)
        counted = asked.prompt.used(read).counted
        if shortage := self._buckets_of(card).shortage(counted, now):
            return Rejected(error=_over_limit(shortage, card), card=card, retry_after_s=shortage.wait_s)
        chances = draw(body_sha, seed=self._seed, seen=self._seen[body_sha])
        self._seen[body_sha] += 1
        name = self._next_fault(chances, stream=asked.params.get("stream", False))
        if name is not None and (isinstance(FAULTS[name], Rejection | HtmlPage) or FAULTS[name] in _UNANSWERED):
            return self._unanswered(name, card)
        self._buckets_of(card).admit(counted, now)
        levels = self._buckets_of(card).levels(now) if self._headers_at == "admission" else None
        answered = self._answered(asked, read, chances=chances, name=name, levels=levels)
        self._cache.use(asked.prompt, read, now=now, answer_at=now + answered.first_token_s)
        return answered

    def count(self, raw: bytes, *, now: float) -> ApiError | int:
        """Count the input tokens of a body sent to `/v1/messages/count_tokens`."""
        params = parse(raw)
        if isinstance(params, ApiError):
            return params
        if problem := check_count(params):
            return problem
        if self._counting.wait(1, now) > 0:
            return _rate_limit_error(f"{_COUNTS_PER_MINUTE:,} token counts per minute", str(params["model"]))
        self._counting.take(1, now)
        return count_prompt(params, known_model(params).tokenizer)

    def produced(self, answered: Answered, *, now: float) -> None:
        """Count output against its limit, once it is produced."""
        self._buckets_of(answered.card).produce(answered.output_tokens, now)

    def limit_headers(self, card: ModelCard, *, now: float, wall: float) -> Iterator[tuple[str, str]]:
        """Write the rate limit headers of a model as of now. `wall`: seconds since 1970."""
        return self._buckets_of(card).headers(now, wall)

    def answer_headers(self, answered: Answered, *, now: float, wall: float) -> Iterator[tuple[str, str]]:
        """Write the rate limit headers of an answer that is sent now. `wall`: seconds since 1970."""
        levels = answered.levels or self._buckets_of(answered.card).levels(now)
        return levels.headers(now, wall)

    def _checked(self, raw: bytes, body_sha: bytes) -> Rejected | _Asked:
        params = parse(raw)
        if isinstance(params, ApiError):
            return Rejected(error=params)
        if problem := check_message(params):
            return Rejected(error=problem)
        card = known_model(params)
        prompt = prompt_of(params, card)
        if problem := check_length(prompt.tokens, card):
            return Rejected(error=problem, card=card)
        return _Asked(params=params, card=card, prompt=prompt, sha=body_sha)

    def _outage(self, asked: _Asked, now: float) -> Outage | None:
        assert self._began is not None
        elapsed_s = (now - self._began) * self._speed
        return next((outage for outage in self._outages if outage.strikes(elapsed_s, asked.params["model"])), None)

    def _drain(self) -> Drain:
        if self._others is None or self._began is None:
            return NOBODY
        return Drain(share=self._others.share, since=self._began + self._others.from_s / self._speed)

    def _buckets_of(self, card: ModelCard) -> ModelBuckets:
        if card.pool not in self._buckets:
            limits = self._limits or tier_limits("start", card.pool)
            self._buckets[card.pool] = ModelBuckets(
                limits, burst_s=self._burst_s, speed=self._speed, drain=self._drain()
            )
        return self._buckets[card.pool]

    def _next_fault(self, chances: Draw, *, stream: bool) -> str | None:
        name = self._script.popleft() if self._script else self.profile.fault_at(chances.fault)
        if name == OK:
            return None
        return "overloaded" if name == "overloaded_in_stream" and not stream else name

    def _unanswered(self, name: str, card: ModelCard) -> Decision:
        match FAULTS[name]:
            case Rejection(error, retry_after):
                wait_s = None if retry_after is None else _INJECTED_WAIT_S / self._speed
                as_date = retry_after == "date"
                return Rejected(error=error, fault=name, card=card, retry_after_s=wait_s, retry_after_date=as_date)
            case HtmlPage() as page:
                return Paged(page=page, fault=name, card=card)
            case fault:
                return Cut(hangs=fault is Wire.HANG, fault=name, card=card)

    def _answered(
        self, asked: _Asked, read: Breakpoint | None, *, chances: Draw, name: str | None, levels: Levels | None
    ) -> Answered:
        fault = None if name is None else FAULTS[name]
        spoiling = fault if isinstance(fault, Spoiling) else None
        card = asked.card
        production = produce(asked.params, card, seed=self._seed, chance=chances.thinking, spoiling=spoiling)
        message_id = new_id("msg_01", self._seed, asked.sha, self._seen[asked.sha])
        used = asked.prompt.used(read)
        return Answered(
            body=message_body(production, card, message_id=message_id, used=used),
            card=card,
            stream=asked.params.get("stream", False),
            first_token_s=self._latency.wait_for_first_token(chances.first_token) / self._speed,
            producing_s=self._latency.time_to_produce(production.output_tokens, chances.pace) / self._speed,
            cut_at_the_end=fault is Wire.RESET_AFTER,
            overloaded_midway=fault is Wire.OVERLOADED_MIDWAY,
            used=used,
            fault=name,
            levels=levels,
        )


def _over_limit(shortage: Shortage, card: ModelCard) -> ApiError:
    return _rate_limit_error(f"{shortage.per_minute:,} {shortage.dimension} per minute", card.id)


def _rate_limit_error(limit: str, model: str) -> ApiError:
    return ApiError(
        429,
        "rate_limit_error",
        f"This request would exceed your organization's rate limit of {limit} "
        f"(org: {ORGANIZATION_ID}, model: {model}). For details, refer to: {_RATE_LIMITS_PAGE}. "
        "You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens "
        "requested, or try again later. You may also contact sales at https://www.anthropic.com/contact-sales to "
        "discuss your options for a rate limit increase.",
    )
