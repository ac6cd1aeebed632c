"""The decision about each request: validation, rate limits, faults and the reply. Deciding has no effect outside.

`speed` divides latency and injected waits and multiplies the refill of the rate limits, so that a simulated minute
takes 60/speed real seconds. The limits in headers stay as configured, and the waits in headers are in real seconds.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, Literal, NamedTuple

from batchrun.simulator.api_error import ApiError, ApiRefusal
from batchrun.simulator.batches.collection import SimulatedBatches
from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.dialect import MESSAGES, Dialect
from batchrun.simulator.faults.catalogue import FAILURES, FAULTS, OK, WITH_RETRY_AFTER
from batchrun.simulator.faults.kinds import Failure, Spoiling, Wire
from batchrun.simulator.faults.outages import NOBODY, OtherClient, Outage
from batchrun.simulator.faults.profiles import Draw, FaultChoice, Profile, draw
from batchrun.simulator.replies.latency import Latency
from batchrun.simulator.replies.message_json import message_body, new_id
from batchrun.simulator.replies.production import produce
from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.requests.parameters import Params, check_message, parse
from batchrun.simulator.requests.token_count import count_prompt
from batchrun.simulator.usage.prompt_cache import PromptCache, PromptUsage
from batchrun.simulator.usage.rate_limits import Bucket, Levels, Limits, ModelBuckets, start_limits

ORGANIZATION_ID = "5ca1ab1e-0000-4000-8000-000000000000"

WITH_LIMIT_HEADERS = (200, 429, 500, 529)
"""The statuses whose responses carry rate limit headers."""

_INJECTED_WAIT_S = 4.0  # how long an injected 429 makes the client wait, at speed 1
_COUNTS_PER_MINUTE = 2_000
_USUAL_LATENCY, _USUAL_TERMS = Latency(), ServiceTerms()


class Unanswered(NamedTuple):
    """Answer with an error or a page, or cut the connection; nothing is produced or billed."""

    answer: Failure  # `Wire.RESET_BEFORE` cuts the connection at once, `Wire.HANG` when the client gives up
    fault: str | None = None  # None if the request itself is the reason
    card: ModelCard | None = None
    retry_after_s: float | None = None


class Delivery(NamedTuple):
    """Take the time, bill, and send the message as far as the wire allows."""

    body: Mapping[str, Any]
    card: ModelCard
    stream: bool
    first_token_s: float
    producing_s: float
    wire: Wire | None  # what happens to the connection while the message is sent
    used: PromptUsage
    output_tokens: int
    fault: str | None
    levels: Levels | None  # as of the admission; None if the headers state the levels at the time of sending


Decision = Unanswered | Delivery


@dataclass(eq=False)
class Simulator:
    """The settings and the state of the simulated API: its buckets, what it has seen, and the script it plays."""

    profile: Profile
    _: KW_ONLY
    seed: int = 0
    speed: float = 1.0
    limits: Limits | None = None  # of each pool of models; None for the published ones of the tier Start
    burst_s: float = 60.0
    latency: Latency = _USUAL_LATENCY
    script: InitVar[Iterable[str]] = ()  # faults of the next valid messages, or of the next calls about batches
    terms: InitVar[ServiceTerms] = _USUAL_TERMS  # of batches
    others: OtherClient = NOBODY
    outages: Sequence[Outage] = ()
    headers_at: Literal["completion", "admission"] = "completion"  # when the limits are read that a reply states
    epoch_s: float = field(default_factory=lambda: time.time() - time.monotonic())
    """The seconds from 1970 to the moment at which the clock of all arguments `now` was 0."""

    def __post_init__(self, script: Iterable[str], terms: ServiceTerms) -> None:
        self._choice = FaultChoice(self.profile)
        self.batches = SimulatedBatches(
            self._choice, seed=self.seed, speed=self.speed, terms=terms, epoch_s=self.epoch_s
        )
        self.files = self.batches.uploaded
        self._began: float | None = None
        self._seen: Counter[bytes] = Counter()
        self._buckets: dict[str, ModelBuckets] = {}
        self._cache = PromptCache(speed=self.speed)
        self._counting = Bucket(_COUNTS_PER_MINUTE, burst_s=self.burst_s, speed=self.speed)
        self.extend_script(script)

    def extend_script(self, names: Iterable[object]) -> int:
        """Apply faults to the next valid messages, or to the next calls about batches; return how many wait."""
        return self._choice.extend_script(names)

    def decide(self, raw: bytes, body_sha: bytes, *, now: float, dialect: Dialect = MESSAGES) -> Decision:
        """Decide on a body that asks for one reply. Only what is let in counts against the limits."""
        if self._began is None:
            self._began = now
        try:
            params = self.files.resolved(dialect.read(raw), now=now)
            card = check_message(params, find=dialect.find)
            prompt = dialect.sized(params, card)
        except ApiRefusal as refusal:
            return Unanswered(refusal.error)
        elapsed_s = (now - self._began) * self.speed
        for outage in self.outages:
            if outage.strikes(elapsed_s, params["model"]):
                return self._unanswered(outage.fault, card)
        read = self._cache.look(prompt, now)
        used, buckets = prompt.used(read), self._buckets_of(card)
        if shortage := buckets.shortage(used.counted, now):
            error = _rate_limit_error(shortage.per_minute, shortage.dimension, card.id)
            return Unanswered(error, card=card, retry_after_s=shortage.wait_s)
        chances = draw(body_sha, seed=self.seed, seen=self._seen[body_sha])
        self._seen[body_sha] += 1
        name = self._next_fault(chances, stream=params.get("stream", False))
        failure = FAILURES.get(name or "")
        if name and failure and failure not in {Wire.RESET_AFTER, Wire.OVERLOADED_MIDWAY}:
            return self._unanswered(name, card)
        buckets.admit(used.counted, now)
        delivery = self._delivery(params, card, body_sha, used=used, chances=chances, name=name, now=now)
        delivery = delivery._replace(body=dialect.write(delivery.body, params, int(self.epoch_s + now)))
        self._cache.use(prompt, read, now=now, answer_at=now + delivery.first_token_s)
        return delivery

    def count(self, raw: bytes, *, now: float) -> int:
        """Count the input tokens of a body sent to `/v1/messages/count_tokens`; raise what the API refuses."""
        params = self.files.resolved(parse(raw), now=now)
        card = check_message(params, counting=True)
        if self._counting.wait(1, now) > 0:
            raise ApiRefusal(_rate_limit_error(_COUNTS_PER_MINUTE, "token counts", params["model"]))
        self._counting.take(1, now)
        return count_prompt(params, card.tokenizer)

    def produced(self, delivery: Delivery, *, now: float) -> None:
        """Count output against its limit, once it is produced."""
        self._buckets_of(delivery.card).produce(delivery.output_tokens, now)

    def levels(self, card: ModelCard, *, now: float) -> Levels:
        """Return what is left of the rate limits of a model."""
        return self._buckets_of(card).levels(now)

    def _buckets_of(self, card: ModelCard) -> ModelBuckets:
        if card.pool not in self._buckets:
            others = self.others._replace(from_s=(self._began or 0.0) + self.others.from_s / self.speed)
            limits = self.limits or start_limits(card.pool)
            self._buckets[card.pool] = ModelBuckets(limits, burst_s=self.burst_s, speed=self.speed, others=others)
        return self._buckets[card.pool]

    def _next_fault(self, chances: Draw, *, stream: bool) -> str | None:
        name = self._choice.next_name(chances.fault)
        if name == OK:
            return None
        return "overloaded" if name == "overloaded_in_stream" and not stream else name

    def _unanswered(self, name: str, card: ModelCard) -> Unanswered:
        wait_s = _INJECTED_WAIT_S / self.speed if name in WITH_RETRY_AFTER else None
        return Unanswered(FAILURES[name], fault=name, card=card, retry_after_s=wait_s)

    def _delivery(
        self,
        params: Params,
        card: ModelCard,
        sha: bytes,
        *,
        used: PromptUsage,
        chances: Draw,
        name: str | None,
        now: float,
    ) -> Delivery:
        fault = FAULTS.get(name or "")
        spoiling = fault if isinstance(fault, Spoiling) else None
        production = produce(params, card, seed=self.seed, chance=chances.thinking, spoiling=spoiling)
        message_id = new_id("msg_01", self.seed, sha, self._seen[sha])
        return Delivery(
            body=message_body(production, card, message_id=message_id, used=used),
            card=card,
            stream=params.get("stream", False),
            first_token_s=self.latency.wait_for_first_token(chances.first_token) / self.speed,
            producing_s=self.latency.time_to_produce(production.output_tokens, chances.pace) / self.speed,
            wire=fault if isinstance(fault, Wire) else None,
            used=used,
            output_tokens=production.output_tokens,
            fault=name,
            levels=self._buckets_of(card).levels(now) if self.headers_at == "admission" else None,
        )


def _rate_limit_error(per_minute: int, dimension: str, model: str) -> ApiError:
    return ApiError(
        429,
        "rate_limit_error",
        f"This request would exceed your organization's rate limit of {per_minute:,} {dimension} per minute "
        f"(org: {ORGANIZATION_ID}, model: {model}). For details, refer to: https://docs.claude.com/en/api/rate-limits. "
        "You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens "
        "requested, or try again later. You may also contact sales at https://www.anthropic.com/contact-sales to "
        "discuss your options for a rate limit increase.",
    )
