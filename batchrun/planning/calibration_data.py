"""The data of an estimate: the job's own answers, the API's counts, and the guesses that both correct."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import mean

from batchrun.answers.asking import ToolAsking
from batchrun.answers.form import KEPT_FORMS, AnswerForm
from batchrun.answers.modes import MODES
from batchrun.catalog.price import ModelPrice
from batchrun.estimation.calibration import calibrate
from batchrun.estimation.estimate import (
    UNSEEN_TOKENS,
    UNSEEN_WITH_TOOL,
    Estimator,
    as_older_tokens,
    fixed_tokens,
)
from batchrun.estimation.reply_length import reply_length
from batchrun.estimation.tokenizer import count_tokens
from batchrun.job.load import JobFile
from batchrun.job.render import Renderer
from batchrun.planning.api_lookups import CounterFactory
from batchrun.planning.reply_forecast import guessed_reply
from batchrun.planning.token_sampling import Observed, TokenSampler
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import PastUse, past_use
from batchrun.strategy.plan import EstimateBasis
from batchrun.strategy.prompt_caching import Prefix, costliest_document_ttl, costliest_ttl, longest

Count = Callable[[str], int]
"""Counts the cl100k tokens of a text."""
ENOUGH = 30
"""How many answers of the job are worth as much as the API's counts."""
COUNT_BIAS, PAST_BIAS = 0.01, 0.005
"""The share by which the API's counts may differ from what is billed ("a small amount", says its documentation), and
by which share the past may differ from the present."""


def untaught(job: JobFile, renderer: Renderer, price: ModelPrice, *, count: Count, streams: bool) -> Estimator:
    """Make an estimator that knows only the job file and what was measured for all jobs.

    Its worst cases are those of the costliest mark for the cache that a request may get; `streams` as in
    `costliest_ttl`.
    """
    guess = Estimator(
        price,
        fixed_tokens=_fixed_tokens(renderer, price, renderer.prompt_text, count),
        output=guessed_reply(job.form, job.spec.model, price),
        unseen_tokens=UNSEEN_WITH_TOOL if isinstance(renderer.asking, ToolAsking) else UNSEEN_TOKENS,
    )
    mode, prefix = job.spec.prompt.cache, prefix_of(renderer, guess, job.form, count)
    prefix_ttl = costliest_ttl(mode, prefix, minimum=price.min_cacheable_tokens, streams=streams)
    document_ttl = costliest_document_ttl(mode, price.rates, turns=renderer.document_turns, streams=streams)
    return replace(guess, ttl=longest(prefix_ttl, document_ttl), marks_documents=document_ttl is not None)


def _fixed_tokens(renderer: Renderer, price: ModelPrice, prompt: str, count: Count) -> int:
    """Count the fixed part of requests with this prompt, together with what the API adds."""
    asking = renderer.asking
    tool_prompt = price.tool_prompt_tokens[asking.choice] if isinstance(asking, ToolAsking) else 0
    overhead = renderer.mode.overhead(count(asking.rendered), as_older_tokens(tool_prompt, price.tokenizer))
    return fixed_tokens(prompt=count(prompt), overhead=overhead, turns=len(renderer.prefix.turns))


def asked_tokens(form: AnswerForm) -> int:
    """Count the tokens that ask for a form, in cl100k tokens."""
    return _asked_tokens(form.as_json)


@lru_cache(maxsize=KEPT_FORMS)
def _asked_tokens(form_json: str) -> int:
    form = AnswerForm.from_json(form_json)
    mode = MODES[form.mode]
    asking = mode.ask(form, "auto")
    return fixed_tokens(prompt=count_tokens(asking.words), overhead=mode.overhead(count_tokens(asking.rendered), 0.0))


def prefix_of(renderer: Renderer, estimator: Estimator, form: AnswerForm, count: Count) -> Prefix:
    """Find which part of every request may be cached, as a share of the fixed part.

    Each group of fields has a schema of its own, and so a prefix of its own: the prefix of an average group counts.
    """
    fixed = renderer.prefix
    counted = _fixed_tokens(renderer, estimator.price, fixed.text, count)
    if form.groups and not renderer.asking.words:
        counted += round(mean(asked_tokens(form.only(group)) for group in form.groups)) - asked_tokens(form)
    return Prefix(estimator.fixed_input.times(counted / estimator.fixed_tokens), fixed.obstacle)


@dataclass(slots=True, kw_only=True)
class CalibrationData:
    """What is known of one job's requests beyond the guess; this knowledge may grow while a run goes on."""

    job: JobFile
    ledger: Ledger
    fingerprint: str
    guess: Estimator
    observed: Observed = field(default_factory=lambda: Observed((), None))
    """What the API counted."""

    async def ask(self, sampler: TokenSampler, counter: CounterFactory, number: int) -> None:
        """Have the API count some requests, unless the job has enough answers."""
        if len(self._past.observations) < ENOUGH:
            left_out = asked_tokens(self.job.form) - asked_tokens(sampler.template.countable_form)
            whole = self.guess.fixed_tokens / (self.guess.fixed_tokens - left_out)
            self.observed = await sampler.observe(counter, number, whole=whole)

    @property
    def _past(self) -> PastUse:
        return past_use(self.ledger, self.job.spec.job.name, fingerprint=self.fingerprint, model=self.guess.price.name)

    def learned(self, *, guessed: int) -> tuple[EstimateBasis, Estimator]:
        """Correct the guess by the job's own answers, or else by the API's counts. Returns the evidence too."""
        past, observed = self._past, self.observed
        counts = len(observed.observations) > len(past.observations)
        calibration = calibrate(
            observed.observations if counts else past.observations,
            tokenizer=self.guess.price.tokenizer,
            fixed_tokens=self.guess.fixed_tokens,
            bias=COUNT_BIAS if counts else PAST_BIAS,
            step=observed.step if counts else 0.0,
        )
        reply = reply_length(self.guess.output, past.replies, most=self.job.spec.model.max_tokens)
        evidence = EstimateBasis(
            guessed=guessed,
            past=0 if counts else len(past.observations),
            online=len(observed.observations) if counts else 0,
            online_problem=observed.problem,
            replies=past.replies.number if past.replies else 0,
        )
        return evidence, replace(self.guess.of(self.guess.price, reply), calibration=calibration)
