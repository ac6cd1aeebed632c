"""The way from planned documents to the plan: their cost and time by every route, and whether the money is enough."""

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from batchrun.answers.form import DEFAULT_MODE
from batchrun.budget.caps import Caps, CapUsage, remaining_nusd, remaining_tokens
from batchrun.catalog.price import ModelPrice
from batchrun.estimation.estimate import Estimate, Estimator
from batchrun.estimation.further_turns import PastTurns, PastVotes
from batchrun.estimation.interval import product
from batchrun.estimation.reply_length import Replies, reply_length
from batchrun.estimation.text_class import TextClass
from batchrun.job.decisive_keys import decisive_keys
from batchrun.job.key_types import CacheMode
from batchrun.job.load import JobFile
from batchrun.planning.cascade_history import LaterModels, later_models
from batchrun.planning.format_costs import markup_cost, pdf_cost
from batchrun.planning.merging_estimate import with_merging
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.plan_tokens import TO_SEND, Subset, Which
from batchrun.planning.reply_forecast import guessed_reply, reply_forecast
from batchrun.planning.turn_estimates import TurnEstimates
from batchrun.store.ledger.cap_usage import plan_cap_usages
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import PastUse, last_estimate, past_use
from batchrun.store.ledger.records import Run
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.cache_use import measured_hit_rate
from batchrun.strategy.cascade_cost import CascadeCost, Step, cascaded, reaching
from batchrun.strategy.duration import Duration, expected_duration
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.passing_on import budget_note, narrowest, share_within, shared_out
from batchrun.strategy.plan import CostliestFallback, EstimateBasis, Kind, Plan
from batchrun.strategy.prompt_caching import Caching, CachingFacts, Prefix, decide_caching, if_cached, marking_documents
from batchrun.strategy.provider_notes import no_batches, provider_notes
from batchrun.strategy.routes import Forecast, Route, RouteOptions, choose, forecasts

SHOWN_PROBLEMS = 20


def kept_tags(run: Run, tags: Mapping[str, str]) -> str:
    """Say that a run that is continued keeps its tags, because the job file has others now."""
    words = ", ".join(f"{name}={value}" for name, value in tags.items()) or "none"
    return f"run {run.run_id} keeps the tags that it began with ({words}); those of the job file are the next run's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The routes that a job may take."""

    forecasts: tuple[Forecast, ...]
    """Every route, and after it the same route with the cache if something can be cached."""
    caching: Mapping[Route, Caching]
    """The decision on caching for each route."""
    duration: Duration
    """The duration of streaming without the cache."""

    def best(self, route: Route) -> Forecast:
        """Return the forecast of a route as it would be taken: cached, if caching was decided."""
        cached = self.caching[route].marks
        own = [one for one in self.forecasts if one.route is route]
        return next((one for one in own if (one.caching is not None) is cached), own[0])


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """All that a forecast is made from."""

    job: JobFile
    chain: ModelChain
    planned: PlannedDocuments
    ledger: Ledger
    estimator: Estimator
    """The estimator of the job's own model, with what was learnt."""
    unsampled: Mapping[TextClass, float]
    """The standard deviation of the guessed tokens, in cl100k tokens of each class."""
    fingerprint: str
    caps: Caps
    prefix: Prefix
    """The part of every request that may be cached."""
    route: str | None
    """`stream`, `batch` or `auto`; None if neither job file nor command names a route."""
    deadline_s: float | None
    """Seconds from the start of the run."""
    document_turns: int = 1
    """How many turns ask about a new document by words behind the document. 1 where a schema comes before it."""
    replies: Mapping[tuple[str, ...], Replies] = field(default_factory=dict)
    """The past replies of the job's own model that answer some of the fields, by these fields."""
    further: PastTurns | None = None
    """What the job's past says of turns that mend and continue answers; None without such a past."""
    votes: PastVotes = field(default_factory=PastVotes)
    """How many votes the job's latest answers took."""
    merging: Sequence[int] = ()
    """The requests that merge answers, each by the number of its answers. Every route streams them in the end."""
    budget_notes: tuple[str, ...] = ()
    """What the plan says of earlier models of the chain, whose caps have no room for all documents."""

    def plan(self, notes: Mapping[str, int], evidence: EstimateBasis, notices: tuple[str, ...]) -> Plan:
        """Add everything up to a plan."""
        spec = self.job.spec
        run = Runs(self.ledger).open_run(spec.job.name, self.fingerprint)
        held_nusd = run.held_nusd + run.streamed_nusd if run else 0
        committed_nusd = run.spent_nusd + held_nusd if run else 0
        counts = self.planned.counts()
        options = self._options()
        stream, batch = (options.best(route) for route in Route)
        choice = choose(self._route_options(run, requests=stream.estimate.requests), stream, batch)
        chosen = options.best(choice.route)
        estimator = self._by(choice.route)
        divisor = estimator.price.divisor
        sums = self.planned.sums()
        worst_nusd = -(-sums.worst_nusd // divisor)
        models = [chain_model.price.name for chain_model in self.chain.models]
        able = self.chain.models[0].capabilities.batches and not self.budget_notes
        tags = Runs(self.ledger).tags(run.run_no) if run else spec.job.tags
        caps = self.caps.borne_by(tags)
        cap_usages = plan_cap_usages(self.ledger.connection, caps, run, models=models, now=time.time())
        cap_usages = tuple(replace(one, passes_on=self.chain.passes_on(0, one.cap)) for one in cap_usages)
        rest = self
        if cap_usage := narrowest(chosen.estimate, cap_usages):
            rest = self._from_next(budget_note(chosen.estimate, cap_usage, models[1]))
            if not share_within(chosen.estimate, cap_usage):
                return rest.plan(notes, evidence, notices)
            options = rest.sharing(options, cap_usage)
            chosen = options.best(choice.route)
        left_nusd, left_tokens = remaining_nusd(cap_usages, models[0]), remaining_tokens(cap_usages, models[0])
        one_fits = worst_nusd <= min(left_nusd, caps.run.limit - committed_nusd) and sums.worst_tokens <= left_tokens
        affordable = 0
        if one_fits:
            affordable = self._affordable_count(estimator, chosen, left_nusd=left_nusd, left_tokens=left_tokens)
        return Plan(
            job=spec.job.name,
            fingerprint=self.fingerprint,
            model=self.estimator.price.name,
            counts={kind: counts.get(kind, 0) for kind in Kind},
            same_text=sums.same_text,
            estimate=chosen.estimate,
            evidence=evidence,
            before=last_estimate(self.ledger, spec.job.name),
            duration=options.duration,
            unsettled_s=self._unsettled_s(options.duration, in_batches=counts.get(Kind.IN_BATCH, 0)),
            choice=choice,
            chosen=chosen,
            forecasts=tuple(one for one in options.forecasts if one.route is choice.route or able),
            caching=options.caching,
            deadline_s=self.deadline_s,
            committed_nusd=committed_nusd,
            held_nusd=held_nusd,
            continues=run.run_id if run else None,
            already_approved=self._already_approved(run, counts),
            cap_nusd=self.caps.run.limit,
            caps=caps,
            cap_usages=cap_usages,
            affordable_count=affordable,
            worst_nusd=worst_nusd,
            worst_tokens=sums.worst_tokens,
            tags=tags,
            problems=self.planned.problems(limit=SHOWN_PROBLEMS),
            costliest_fallback=self._costliest_fallback(chosen.estimate),
            notices=(*notices, kept_tags(run, tags)) if run and tags != spec.job.tags else notices,
            notes=dict(notes),
            cascade=self._cascade_cost(chosen.estimate, divisor=divisor),
            pdf=pdf_cost(self.planned.tokens, estimator, chosen.saving),
            partly=self._estimates.partly_asked(estimator, self._caching_of_all(options, choice.route)),
            turns=self._turns,
            votes=self._estimates.votes_each(chosen.estimate.documents),
            pays_each_turn=self._turns > 1 and self.document_turns == 1,
            paid_before=sums.paid_before,
            markup=markup_cost(self.planned, estimator),
            reply=reply_forecast(self.job, self.estimator.price, self._past(self.estimator.price)),
            keys=decisive_keys(self.job),
            budget_notes=rest.budget_notes,
            provider_notes=provider_notes(self.chain, asks_by_schema=self.job.form.mode == DEFAULT_MODE),
        )

    def remaining_estimate(self, route: Route) -> Estimate:
        """Estimate all planned documents that are pending now, by a route."""
        pending = Subset(which=Which.STILL_PENDING)
        return self._with_merging(self._with_later(self._estimates.of(self._by(route), pending), pending))

    @property
    def _estimates(self) -> TurnEstimates:
        """The estimates of the documents' requests, before a cascade's later models and the merging of answers."""
        return TurnEstimates(
            job=self.job,
            tokens=self.planned.tokens,
            own=self.estimator,
            unsampled=self.unsampled,
            replies=self.replies,
            further=self.further,
            votes=self.votes,
        )

    @property
    def _turns(self) -> int:
        """The most requests that ask about one of the documents to send."""
        form, turns = self.job.form, self.planned.tokens.turns()
        return turns + (form.votes - form.least_votes) * max(1, len(form.groups))

    def _by(self, route: Route) -> Estimator:
        """Return the estimator of the job's own model on a route."""
        price = self.estimator.price
        return replace(self.estimator, price=price.in_batches if route is Route.BATCH else price)

    def _options(self) -> Options:
        """Forecast every route, with and without the prompt cache."""
        estimate, first = self._estimates.of(self.estimator), self.chain.models[0]
        duration = self._streaming(estimate)
        ways, caching = list[Forecast](), dict[Route, Caching]()
        for plain in forecasts(estimate, duration, max_queued=self.job.spec.batch.max_queued, turns=self._turns):
            facts = self._circumstances(plain)
            decided = decide_caching(self._cache_mode, facts)
            if not first.capabilities.cache:
                decided = replace(decided, reason=f"{first.provider} has no prompt cache that a request can mark")
            caching[plain.route] = decided
            possible = if_cached(decided, facts)
            ways += [plain, self._cached(plain, possible)] if possible else [plain]
        whole = [replace(one, estimate=self._with_merging(self._with_later(one.estimate))) for one in ways]
        return Options(forecasts=tuple(whole), caching=caching, duration=duration)

    def _from_next(self, note: str) -> "Forecaster":
        """Forecast what the models behind the first one would answer, without the first model."""
        models, rules = self.chain.models[1:], self.chain.acceptance_rules
        chain = replace(self.chain, models=models, acceptance_rules=rules if len(models) > 1 else None)
        estimator = self._estimator_of(models[0].price)
        return replace(self, chain=chain, estimator=estimator, budget_notes=(*self.budget_notes, note))

    def sharing(self, before: Options, cap_usage: CapUsage) -> Options:
        """Forecast with the models before this one as far as a cap of theirs has room. What is beyond is streamed."""
        own = self._options().best(Route.STREAM).estimate
        shared = [replace(one, estimate=shared_out(one.estimate, own, cap_usage)) for one in before.forecasts]
        return replace(before, forecasts=tuple(shared))

    def _circumstances(self, forecast: Forecast) -> CachingFacts:
        batched = forecast.route is Route.BATCH
        return CachingFacts(
            prefix=self.prefix,
            minimum=self.estimator.price.min_cacheable_tokens,
            price=self.estimator.price,
            requests=forecast.estimate.documents,
            document_turns=min(self.document_turns, self._turns),
            batched=batched,
            seconds=forecast.seconds,
            measured=measured_hit_rate(self.ledger, self.job.spec.job.name, in_batches=batched),
        )

    def _cached(self, plain: Forecast, caching: Caching) -> Forecast:
        """Return the forecast of the same route with the cache."""
        estimate = self._estimates.of(self._by(plain.route), caching=caching)
        seconds, duration = plain.seconds, plain.duration
        if plain.route is Route.STREAM:  # tokens that are read from the cache do not count to the limit
            read = estimate.requests * caching.tokens.mean * caching.hit_rate.mean + self._estimates.read_again(caching)
            counted = replace(estimate, input=estimate.input.times(1 - read / max(estimate.input.mean, read, 1.0)))
            duration = self._streaming(counted)
            seconds = duration.seconds
        saving = caching.saving(self.estimator.price.rates)
        return replace(plain, estimate=estimate, seconds=seconds, duration=duration, caching=caching, saving=saving)

    def _caching_of_all(self, options: Options, route: Route) -> Caching:
        """Return the caching on a route if the documents were asked for all their fields again."""
        mode, rates, turns = self._cache_mode, self.estimator.price.rates, self.document_turns
        return marking_documents(options.caching[route], mode, rates, turns=turns, batched=route is Route.BATCH)

    @property
    def _cache_mode(self) -> CacheMode:
        """Whether prefixes are marked for the prompt cache, where the provider lets them be marked."""
        return self.job.spec.prompt.cache if self.chain.models[0].capabilities.cache else "off"

    @cached_property
    def _later(self) -> LaterModels | None:
        """What is known of the models after the first. None without a cascade."""
        name = self.job.spec.job.name
        return later_models(self.ledger, self.chain, name, self.fingerprint, estimator=self._estimator_of)

    def _with_later(self, own: Estimate, subset: Subset = TO_SEND) -> Estimate:
        """Add what a cascade's other models are expected to be asked about the same documents."""
        if (later := self._later) is None:
            return own
        others = [self._estimates.of(one, subset) for one in later.estimators]
        return cascaded([own, *others], reaching(later.shares, later.standing, documents=own.documents))

    def _with_merging(self, own: Estimate) -> Estimate:
        """Add the requests that merge answers. These requests are few, and are counted with all their votes."""
        merging = [*self.merging] * self.job.form.votes
        return with_merging(own, merging, self.estimator, most=self.job.spec.model.max_tokens)

    def _cascade_cost(self, total: Estimate, *, divisor: int) -> CascadeCost | None:
        """Price the steps of a cascade, and everything by the last model alone. Returns None without a cascade."""
        if (later := self._later) is None:
            return None
        costs = [self._estimates.of(one).cost_nusd for one in later.estimators]
        reach = reaching(later.shares, later.standing, documents=total.documents)[1:]
        steps = [
            Step(estimator.price.name, share, product(cost, asked))
            for estimator, share, cost, asked in zip(later.estimators, later.shares, costs, reach, strict=True)
        ]
        return CascadeCost(tuple(steps), total.cost_nusd, costs[-1].times(1 / divisor))

    def _costliest_fallback(self, estimate: Estimate) -> CostliestFallback | None:
        """Find the costliest fallback. Returns None if no fallback would make everything cost more than estimated."""
        prices = [chain_model.price for chain_model in self.chain.models[1:]]
        estimates = [(price.name, self._estimates.of(self._estimator_of(price))) for price in prices]
        uppers = [CostliestFallback(name, fallback.upper_nusd) for name, fallback in estimates]
        costliest = max(uppers, key=lambda one: one.upper_nusd, default=None)
        return costliest if costliest and costliest.upper_nusd > estimate.upper_nusd else None

    def _estimator_of(self, price: ModelPrice) -> Estimator:
        model, replies = self.job.spec.model, self._past(price).replies
        most = min(model.max_tokens, price.max_output_tokens)
        return self.estimator.of(price, reply_length(guessed_reply(self.job.form, model, price), replies, most=most))

    def _past(self, price: ModelPrice) -> PastUse:
        return past_use(
            self.ledger,
            self.job.spec.job.name,
            fingerprint=self.fingerprint,
            model=price.name,
            max_tokens=self.job.spec.model.max_tokens,
        )

    def _unsettled_s(self, duration: Duration, *, in_batches: int) -> float:
        """Forecast how long streaming would take if it had to send the requests in batches too."""
        if not in_batches:
            return duration.seconds
        return self._streaming(self._estimates.of(self.estimator, Subset(which=Which.AWAITED))).seconds

    def _streaming(self, own: Estimate) -> Duration:
        """Forecast the time in the limits of the first model, on which later models of a cascade may draw too."""
        first, *others = self.chain.models
        if later := self._later:
            reach = reaching(later.shares, later.standing, documents=own.documents)[1:]
            for one, estimator, asked in zip(others, later.estimators, reach, strict=True):
                if one.shares_limits(first):
                    more = self._estimates.of(estimator).times(asked.mean)
                    own = own.plus(replace(more, documents=0, further_requests=more.requests))
        return expected_duration(own, first.limits, concurrency=self.job.spec.run.most_concurrent)

    def _already_approved(self, run: Run | None, counts: Mapping[Kind, int]) -> bool:
        """Whether the open run was approved for as many documents, and no cap of the run was lowered since."""
        if run is None or self.caps.run.limit < run.cap_nusd:
            return False
        if (tokens := self.caps.tokens) and (run.cap_tokens is None or tokens.limit < run.cap_tokens):
            return False
        unsettled = sum(count for kind, count in counts.items() if kind.sent or kind is Kind.IN_BATCH)
        return unsettled <= Runs(self.ledger).unsettled(run.run_no)

    def _route_options(self, run: Run | None, *, requests: int) -> RouteOptions:
        first = self.chain.models[0]
        elapsed_s = time.time() - run.started_at if run else 0.0
        return RouteOptions(
            route=self.route,
            deadline_s=self.deadline_s,
            elapsed_s=elapsed_s,
            fallback=self.job.spec.batch.fallback == "stream",
            begun=Route(run.route) if run else None,
            no_batches=next(iter(self.budget_notes), None)
            or no_batches(first.capabilities, first.price.name, requests=requests),
        )

    def _affordable_count(
        self,
        estimator: Estimator,
        chosen: Forecast,
        *,
        left_nusd: int,
        left_tokens: float,
    ) -> int:
        """Count the documents, from the first on, for which the caps are enough: no bound ever falls with more."""
        to_send = chosen.estimate.documents - len(self.merging)

        def is_enough(estimate: Estimate) -> bool:
            return estimate.upper_nusd <= left_nusd and estimate.upper_tokens <= left_tokens

        def too_much(first: int) -> bool:
            subset = Subset(first=first)
            own = self._estimates.of(estimator, subset, caching=chosen.caching)
            return not is_enough(self._with_later(own, subset))

        return to_send if is_enough(chosen.estimate) else bisect_left(range(1, to_send + 1), x=True, key=too_much)
