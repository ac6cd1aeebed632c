"""What an estimate rests on: the job's own answers, what the API counts, and the guesses from which both begin."""

from dataclasses import dataclass, field, replace

from batchrun.catalog.price import ModelPrice
from batchrun.estimation.calibration import calibrate
from batchrun.estimation.estimate import Estimator, fixed_tokens
from batchrun.estimation.reply_length import reply_length
from batchrun.estimation.tokenizer import count_tokens
from batchrun.job.load import JobFile
from batchrun.job.render import Renderer
from batchrun.planning.api_lookups import CounterFactory
from batchrun.planning.forecast import guessed_reply
from batchrun.planning.token_sampling import Observed, TokenSampler
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import PastUse, past_use
from batchrun.strategy.plan import Evidence
from batchrun.strategy.prompt_caching import Prefix

ENOUGH = 30
"""Answers of the job's own that tell as much as the API's counts."""
COUNT_BIAS, PAST_BIAS = 0.01, 0.005
"""What an endpoint's count may differ from what is billed ("a small amount", says its documentation), and the past from
the present, as a share."""


def untaught(job: JobFile, renderer: Renderer, price: ModelPrice) -> Estimator:
    """An estimator that knows nothing but the job file and what was measured for all jobs."""
    prompt, schema = count_tokens(renderer.prompt_text), count_tokens(renderer.schema_text)
    return Estimator(price, fixed_tokens=fixed_tokens(prompt=prompt, schema=schema), output=guessed_reply(job, price))


def prefix_of(renderer: Renderer, estimator: Estimator) -> Prefix:
    """What may be cached of every request: its share of the fixed part, as far as that is known."""
    fixed = renderer.prefix
    counted = fixed_tokens(prompt=count_tokens(fixed.text), schema=count_tokens(renderer.schema_text))
    return Prefix(estimator.fixed_input.times(counted / estimator.fixed_tokens), fixed.obstacle)


@dataclass(slots=True, kw_only=True)
class CalibrationData:
    """What is known of one job's requests beyond the guess; it may grow while a run goes on."""

    job: JobFile
    ledger: Ledger
    fingerprint: str
    guess: Estimator
    told: Observed = field(default_factory=lambda: Observed((), None))
    """What the API counted."""

    async def ask(self, sampler: TokenSampler, counter: CounterFactory, number: int) -> None:
        """Have the API count some requests, unless the job's own past tells enough."""
        if len(self._past.observations) < ENOUGH:
            self.told = await sampler.observe(counter, number)

    @property
    def _past(self) -> PastUse:
        return past_use(self.ledger, self.job.spec.job.name, fingerprint=self.fingerprint, model=self.guess.price.name)

    def learned(self, *, guessed: int) -> tuple[Evidence, Estimator]:
        """Correct the guess by the job's own past, else by what the API counted; and say what it rests on."""
        past, told = self._past, self.told
        counts = len(told.observations) > len(past.observations)
        calibration = calibrate(
            told.observations if counts else past.observations,
            tokenizer=self.guess.price.tokenizer,
            fixed_tokens=self.guess.fixed_tokens,
            bias=COUNT_BIAS if counts else PAST_BIAS,
            step=told.step if counts else 0.0,
        )
        reply = reply_length(self.guess.output, past.replies, most=self.job.spec.model.max_tokens)
        evidence = Evidence(
            guessed=guessed,
            past=0 if counts else len(past.observations),
            online=len(told.observations) if counts else 0,
            online_problem=told.problem,
            replies=past.replies.number if past.replies else 0,
        )
        estimator = replace(self.guess, calibration=calibration, output=reply.average, output_scatter=reply.scatter)
        return evidence, estimator
