"""The way from planned documents to the plan: their cost and time by every route, and whether the money is enough."""

import json
import math
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import attrgetter

from batchrun.budget.caps import Caps, remaining_nusd, remaining_tokens
from batchrun.catalog.price import ModelPrice
from batchrun.estimation.estimate import Estimate, Estimator, RequestTokens
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.further_turns import PastTurns, further_turns
from batchrun.estimation.interval import NOTHING, Interval
from batchrun.estimation.reply_length import Replies, reply_length
from batchrun.estimation.text_class import TextClass
from batchrun.job.load import JobFile
from batchrun.planning.calibration_data import asked_tokens
from batchrun.planning.cascade_history import LaterModels, later_models
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.plan_tokens import ALL, ANY, Which
from batchrun.planning.reply_forecast import guessed_reply, reply_forecast
from batchrun.store.ledger.cap_usage import plan_cap_usages
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import PastUse, last_estimate, past_use
from batchrun.store.ledger.records import Run
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.cache_use import measured_hit_rate
from batchrun.strategy.cascade_cost import CascadeCost, Step, cascaded, product, reaching
from batchrun.strategy.duration import Duration, expected_duration
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import CostliestFallback, EstimateBasis, Kind, MostlyMarkup, PartlyAsked, PdfCost, Plan
from batchrun.strategy.prompt_caching import (
    Caching,
    CachingFacts,
    Prefix,
    decide_caching,
    if_cached,
    least_cached,
    marking_documents,
)
from batchrun.strategy.routes import Forecast, Route, RouteOptions, choose, forecasts

SHOWN_PROBLEMS = 20


def asking_for(job: JobFile, estimator: Estimator, fields: Sequence[str], replies: Replies | None) -> Estimator:
    """Return the estimator of requests that ask for some of the fields, which had these replies in the past."""
    form, most = job.form.only(fields), job.spec.model.max_tokens
    reply = reply_length(guessed_reply(form, job.spec.model, estimator.price), replies, most=most)
    fixed = estimator.fixed_tokens - asked_tokens(job.form) + asked_tokens(form)
    return replace(
        estimator,
        fixed_tokens=fixed,
        fixed_share=fixed / estimator.fixed_tokens,
        output=reply.average,
        output_scatter=reply.scatter,
    )


def document_alone(job: JobFile, estimator: Estimator, *, without: int = 0) -> Estimator:
    """Return the estimator of what stands before the words that ask, without so many cl100k tokens of the prefix."""
    fixed = estimator.fixed_tokens - asked_tokens(job.form) - without
    return replace(
        estimator,
        fixed_tokens=max(0, fixed),
        output=NOTHING,
        output_scatter=0.0,
        most_output=0.0,
        calibration=None,
    )


def _saving(estimator: Estimator, caching: Caching | None) -> Interval:
    """Return what the cached prefix saves of each request, in tokens at the price of input."""
    return caching.saving(estimator.price.rates) if caching else NOTHING


def merged_reply(reply: Interval, parts: int, *, most: int) -> Interval:
    """Guess the length of a reply that merges others: from a single one, as with a title, to all, as with lists."""
    mean = reply.mean * (1 + parts) / 2
    return Interval(min(mean, most), min(reply.low, most), min(reply.high * parts, most))


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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    merging: Sequence[int] = ()
    """The requests that merge answers, each by the number of its answers. Every route streams them in the end."""

    def plan(self, notes: Mapping[str, int], evidence: EstimateBasis, notices: tuple[str, ...]) -> Plan:
        """Add everything up to a plan."""
        spec = self.job.spec
        run = Runs(self.ledger).open_run(spec.job.name, self.fingerprint)
        held_nusd = run.held_nusd + run.streamed_nusd if run else 0
        committed_nusd = run.spent_nusd + held_nusd if run else 0
        counts = self.planned.counts()
        later = self._later()
        options = self._options(later)
        stream, batch = (options.best(route) for route in Route)
        choice = choose(self._route_options(run), stream, batch)
        chosen = options.best(choice.route)
        estimator = self._by(choice.route)
        divisor = estimator.price.divisor
        worst = self.planned.worst()
        worst_nusd = -(-worst.nusd // divisor)
        models = [chain_model.price.name for chain_model in self.chain.models]
        tags = Runs(self.ledger).tags(run.run_no) if run else spec.job.tags
        caps = self.caps.borne_by(tags)
        cap_usages = plan_cap_usages(self.ledger.connection, caps, run, models=models, now=time.time())
        left_nusd, left_tokens = remaining_nusd(cap_usages, models[0]), remaining_tokens(cap_usages, models[0])
        one_fits = worst_nusd <= min(left_nusd, caps.run.limit - committed_nusd) and worst.tokens <= left_tokens
        affordable = chosen.estimate.documents
        if chosen.estimate.upper_nusd > left_nusd or chosen.estimate.upper_tokens > left_tokens:
            affordable = self._affordable_count(
                estimator, chosen.caching, later, left_nusd=left_nusd, left_tokens=left_tokens, most=affordable
            )
        return Plan(
            job=spec.job.name,
            fingerprint=self.fingerprint,
            model=self.estimator.price.name,
            counts={kind: counts.get(kind, 0) for kind in Kind},
            same_text=self.planned.same_text(),
            estimate=chosen.estimate,
            evidence=evidence,
            before=last_estimate(self.ledger, spec.job.name),
            duration=options.duration,
            unsettled_s=self._unsettled_s(options.duration, in_batches=counts.get(Kind.IN_BATCH, 0)),
            choice=choice,
            chosen=chosen,
            forecasts=options.forecasts,
            caching=options.caching,
            deadline_s=self.deadline_s,
            committed_nusd=committed_nusd,
            held_nusd=held_nusd,
            continues=run.run_id if run else None,
            already_approved=self._already_approved(run, counts),
            cap_nusd=self.caps.run.limit,
            caps=caps,
            cap_usages=cap_usages,
            affordable_count=min(affordable, chosen.estimate.documents - len(self.merging)) if one_fits else 0,
            worst_nusd=worst_nusd,
            worst_tokens=worst.tokens,
            tags=tags,
            problems=self.planned.problems(limit=SHOWN_PROBLEMS),
            costliest_fallback=self._costliest_fallback(chosen.estimate),
            notices=(*notices, kept_tags(run, tags)) if run and tags != spec.job.tags else notices,
            notes=dict(notes),
            cascade=self._cascade_cost(chosen.estimate, later, divisor=divisor),
            pdf=self._pdf_cost(estimator, chosen.caching),
            partly=self._partly_asked(estimator, self._caching_of_all(options, choice.route)),
            turns=self._turns,
            pays_each_turn=self._turns > 1 and self.document_turns == 1,
            paid_before=self.planned.paid_before(),
            markup=self._mostly_markup(estimator),
            reply=reply_forecast(self.job, self.estimator.price, self._past(self.estimator.price)),
        )

    def _mostly_markup(self, estimator: Estimator) -> MostlyMarkup | None:
        tokens, documents, worst = self.planned.mostly_markup()
        if worst is None:
            return None
        claude = sum(number * estimator.factor(text_class) for text_class, number in tokens.items())
        return MostlyMarkup(documents, math.ceil(estimator.at_rates(estimator.price.rates, claude, 0)), *worst)

    def remaining_estimate(self, route: Route) -> Estimate:
        """Estimate all planned documents that are pending now, by a route."""
        own = self._estimate(self._by(route), which=Which.STILL_PENDING)
        return self._with_merging(self._with_later(own, self._later(), which=Which.STILL_PENDING))

    def _by(self, route: Route) -> Estimator:
        """Return the estimator of the job's own model on a route."""
        price = self.estimator.price
        return replace(self.estimator, price=price.in_batches if route is Route.BATCH else price)

    def _options(self, later: LaterModels | None) -> Options:
        """Forecast every route, with and without the prompt cache."""
        estimate = self._estimate(self.estimator)
        duration = self._streaming(estimate)
        ways, caching = list[Forecast](), dict[Route, Caching]()
        for plain in forecasts(estimate, duration, max_queued=self.job.spec.batch.max_queued, turns=self._turns):
            facts = self._circumstances(plain)
            decided = caching[plain.route] = decide_caching(self.job.spec.prompt.cache, facts)
            possible = if_cached(decided, facts)
            ways += [plain, self._cached(plain, possible)] if possible else [plain]
        whole = [replace(one, estimate=self._with_merging(self._with_later(one.estimate, later))) for one in ways]
        return Options(forecasts=tuple(whole), caching=caching, duration=duration)

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
        estimate = self._estimate(self._by(plain.route), caching=caching)
        seconds, duration = plain.seconds, plain.duration
        if plain.route is Route.STREAM:  # tokens that are read from the cache do not count to the limit
            read = estimate.requests * caching.tokens.mean * caching.hit_rate.mean + self._read_again(caching)
            counted = replace(estimate, input=estimate.input.times(1 - read / max(estimate.input.mean, read, 1.0)))
            duration = self._streaming(counted)
            seconds = duration.seconds
        saving = _saving(self.estimator, caching)
        return replace(plain, estimate=estimate, seconds=seconds, duration=duration, caching=caching, saving=saving)

    def _estimate(
        self,
        estimator: Estimator,
        *,
        which: Which = Which.TO_SEND,
        first: int = -1,
        caching: Caching | None = None,
    ) -> Estimate:
        """Estimate some documents, or only the first; `caching` says what the cache saves."""
        found = self.planned.tokens.choices()
        if set(found) <= {None}:
            saving = _saving(estimator, caching)
            return self._with_further_turns(self._added_up(estimator, which=which, first=first, saving=saving))
        estimates = [self._by_turns(estimator, choices, which=which, first=first, caching=caching) for choices in found]
        return self._with_further_turns(reduce(Estimate.plus, estimates))

    def _by_turns(
        self, estimator: Estimator, choices: str | None, *, which: Which, first: int, caching: Caching | None
    ) -> Estimate:
        """Estimate the documents that are asked for a choice of fields, in a turn or in several."""
        if choices is None:
            saving = _saving(estimator, caching)
            return self._added_up(estimator, which=which, first=first, saving=saving, choices=None)
        return self._turns_of(
            estimator, json.loads(choices), choices=choices, which=which, first=first, caching=caching
        )

    def _turns_of(
        self,
        estimator: Estimator,
        asked: Sequence[Sequence[str]],
        *,
        choices: str,
        which: Which,
        first: int = -1,
        caching: Caching | None,
    ) -> Estimate:
        """Estimate the documents of a choice of fields as if these fields were asked, in a turn or in several."""
        # Some fields of a done document are asked by a schema so short that the prefix may not be cached.
        saving = _saving(estimator, caching) if len(asked) > 1 else NOTHING
        estimators = [self._asking_for(estimator, fields) for fields in asked]
        turns = [self._added_up(one, which=which, first=first, choices=choices, saving=saving) for one in estimators]
        documents, further = turns[0].documents, sum(turn.documents for turn in turns[1:])
        whole = replace(reduce(Estimate.plus, turns), documents=documents, further_requests=further)
        if caching is None or caching.document_ttl is None or not further:
            return whole
        saved = self._saved_by_documents(
            estimator, choices, turns=len(asked), which=which, first=first, caching=caching
        )
        cost = whole.cost_nusd
        return replace(whole, cost_nusd=Interval(cost.mean - saved.mean, cost.low - saved.high, cost.high - saved.low))

    def _asking_for(self, estimator: Estimator, fields: Sequence[str]) -> Estimator:
        is_own = estimator.price.name == self.estimator.price.name
        return asking_for(self.job, estimator, fields, self.replies.get(tuple(fields)) if is_own else None)

    def _saved_by_documents(
        self, estimator: Estimator, choices: str, *, turns: int, which: Which, first: int, caching: Caching
    ) -> Interval:
        """Estimate what the turns save that read a document from the cache, besides the prefix.

        The bounds fit to those of the cost: `high` is what is saved where tokens and cost are fewest, and `low` where
        they are most. `high` counts all documents that may be long enough for the cache, and `low` only those that
        surely are.
        """
        share = caching.tokens.mean / estimator.fixed_input.mean if caching.ttl else 0.0
        behind = document_alone(self.job, estimator, without=round(share * estimator.fixed_tokens))

        def cost(side: Callable[[Interval], float]) -> Interval:
            least = self._least_cached(estimator, side)
            return self._added_up(behind, which=which, first=first, choices=choices, least=least).cost_nusd

        multiples = caching.document_saving(estimator.price.rates, turns)
        expected, surely, maybe = cost(attrgetter("mean")), cost(attrgetter("low")), cost(attrgetter("high"))
        fewest = surely if multiples.low > 0 else maybe
        return Interval(multiples.mean * expected.mean, multiples.low * fewest.high, multiples.high * maybe.low)

    def _least_cached(self, estimator: Estimator, side: Callable[[Interval], float]) -> Mapping[TextClass, int]:
        least = least_cached(estimator.price.min_cacheable_tokens)
        return document_alone(self.job, estimator).least_counted(least, side)

    def _read_again(self, caching: Caching) -> float:
        """Estimate the tokens of documents that are read from the cache."""
        if caching.document_ttl is None:
            return 0.0
        behind, least = document_alone(self.job, self.estimator), self._least_cached(self.estimator, attrgetter("mean"))
        once = {
            choices: self._added_up(behind, which=Which.TO_SEND, choices=choices, least=least).input.mean
            for choices in self.planned.tokens.choices()
            if choices
        }
        further = sum((len(json.loads(choices)) - 1) * tokens for choices, tokens in once.items())
        return further * caching.document_hits.mean

    @property
    def _turns(self) -> int:
        return self.planned.tokens.turns()

    def _added_up(
        self,
        estimator: Estimator,
        *,
        which: Which,
        first: int = -1,
        saving: Interval = NOTHING,
        choices: object = ANY,
        least: Mapping[TextClass, int] = ALL,
    ) -> Estimate:
        total, tokens = EstimateSum(estimator, unsampled=self.unsampled, saving=saving), self.planned.tokens
        for group in tokens.groups(estimator.long, which=which, first=first, choices=choices, least=least):
            total.add_group(group)
        for one in tokens.longer(estimator.long, which=which, first=first, choices=choices, least=least):
            total.add(one)
        return total.estimate()

    def _with_further_turns(self, own: Estimate) -> Estimate:
        """Add the turns that mend answers and continue lists, as often as there were any in the past."""
        return own if self.further is None else own.plus(further_turns(self.further, own, self.estimator.price))

    def _asked_again(self, estimator: Estimator, choices: str, caching: Caching) -> float:
        """Price all fields of the documents that are asked for a choice of fields."""
        which, groups = Which.TO_SEND, self.job.form.groups
        if not groups:
            return self._added_up(estimator, which=which, choices=choices).cost_nusd.mean
        return self._turns_of(estimator, groups, choices=choices, which=which, caching=caching).cost_nusd.mean

    def _caching_of_all(self, options: Options, route: Route) -> Caching:
        """Return the caching on a route if the documents were asked for all their fields again."""
        mode, rates, turns = self.job.spec.prompt.cache, self.estimator.price.rates, self.document_turns
        return marking_documents(options.caching[route], mode, rates, turns=turns, batched=route is Route.BATCH)

    def _partly_asked(self, estimator: Estimator, caching: Caching) -> PartlyAsked | None:
        """Price the documents that are asked for some fields alone, beside all their fields again."""
        partly = self.planned.tokens.partly()
        if not partly:
            return None
        fields = {name for choices, _ in partly for turn in json.loads(choices) for name in turn}
        which = Which.TO_SEND
        costs = [
            (
                self._by_turns(estimator, choices, which=which, first=-1, caching=None).cost_nusd.mean,
                self._asked_again(estimator, choices, caching),
            )
            for choices, _ in partly
        ]
        return PartlyAsked(
            documents=sum(number for _, number in partly),
            fields=tuple(name for name in self.job.form.fields if name in fields),
            nusd=math.ceil(sum(nusd for nusd, _ in costs)),
            whole_nusd=math.ceil(sum(nusd for _, nusd in costs)),
        )

    def _later(self) -> LaterModels | None:
        name = self.job.spec.job.name
        return later_models(self.ledger, self.chain, name, self.fingerprint, estimator=self._estimator_of)

    def _with_later(
        self, own: Estimate, later: LaterModels | None, *, which: Which = Which.TO_SEND, first: int = -1
    ) -> Estimate:
        """Add what a cascade's other models are expected to be asked about the same documents."""
        if later is None:
            return own
        others = [self._estimate(one, which=which, first=first) for one in later.estimators]
        return cascaded([own, *others], reaching(later.shares, later.standing, documents=own.documents))

    def _with_merging(self, own: Estimate, *, first: int | None = None) -> Estimate:
        """Add the first requests that merge answers, all by default."""
        for parts, requests in Counter(self.merging[:first]).items():
            own = own.plus(self._merging_estimate(parts, requests))
        return own

    def _merging_estimate(self, parts: int, requests: int) -> Estimate:
        """Estimate some requests that merge the answers for so many parts each."""
        reply = merged_reply(self.estimator.output, parts, most=self.job.spec.model.max_tokens)
        total = EstimateSum(replace(self.estimator, output=reply))
        answers = round(parts * self.estimator.output.mean / self.estimator.factor(TextClass.CODE))
        for _ in range(requests):
            total.add(RequestTokens(answers, TextClass.CODE))
        return total.estimate()

    def _cascade_cost(self, total: Estimate, later: LaterModels | None, *, divisor: int) -> CascadeCost | None:
        if later is None:
            return None
        costs = [self._estimate(one).cost_nusd for one in later.estimators]
        reach = reaching(later.shares, later.standing, documents=total.documents)[1:]
        steps = [
            Step(estimator.price.name, share, product(cost, asked))
            for estimator, share, cost, asked in zip(later.estimators, later.shares, costs, reach, strict=True)
        ]
        return CascadeCost(tuple(steps), total.cost_nusd, costs[-1].times(1 / divisor))

    def _pdf_cost(self, estimator: Estimator, caching: Caching | None) -> PdfCost | None:
        """Price the PDFs to send as text and as they are. Returns None without a PDF."""
        saving = _saving(estimator, caching)
        texts, natives = EstimateSum(estimator, saving=saving), EstimateSum(estimator, saving=saving)
        files = pages = textless = 0
        for pdf in self.planned.tokens.pdfs():
            files, pages = files + 1, pages + pdf.pages
            natives.add(pdf.as_file)
            if text := pdf.as_text:
                texts.add(text)
            else:
                textless += 1
        if not files:
            return None
        as_text, native = (total.estimate().cost_nusd.mean for total in (texts, natives))
        return PdfCost(files=files, pages=pages, textless=textless, as_text_nusd=as_text, native_nusd=native)

    def _costliest_fallback(self, estimate: Estimate) -> CostliestFallback | None:
        """Find the costliest fallback. Returns None if no fallback would make everything cost more than estimated."""
        uppers = [
            CostliestFallback(chain_model.price.name, self._estimate(self._estimator_of(chain_model.price)).upper_nusd)
            for chain_model in self.chain.models[1:]
        ]
        costliest = max(uppers, key=lambda one: one.upper_nusd, default=None)
        return costliest if costliest and costliest.upper_nusd > estimate.upper_nusd else None

    def _estimator_of(self, price: ModelPrice) -> Estimator:
        most = min(self.job.spec.model.max_tokens, price.max_output_tokens)
        replies = self._past(price).replies
        return self.estimator.of(
            price, reply_length(guessed_reply(self.job.form, self.job.spec.model, price), replies, most=most)
        )

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
        return self._streaming(self._estimate(self.estimator, which=Which.AWAITED)).seconds

    def _streaming(self, estimate: Estimate) -> Duration:
        return expected_duration(estimate, self.chain.models[0].limits, concurrency=self.job.spec.run.most_concurrent)

    def _already_approved(self, run: Run | None, counts: Mapping[Kind, int]) -> bool:
        if run is None or self.caps.run.limit < run.cap_nusd:
            return False
        if (tokens := self.caps.tokens) and (run.cap_tokens is None or tokens.limit < run.cap_tokens):
            return False
        unsettled = sum(count for kind, count in counts.items() if kind.sent or kind is Kind.IN_BATCH)
        return unsettled <= Runs(self.ledger).unsettled(run.run_no)

    def _route_options(self, run: Run | None) -> RouteOptions:
        elapsed_s = time.time() - run.started_at if run else 0.0
        return RouteOptions(
            route=self.route,
            deadline_s=self.deadline_s,
            elapsed_s=elapsed_s,
            fallback=self.job.spec.batch.fallback == "stream",
            begun=Route(run.route) if run else None,
        )

    def _affordable_count(
        self,
        estimator: Estimator,
        caching: Caching | None,
        later: LaterModels | None,
        *,
        left_nusd: int,
        left_tokens: float,
        most: int,
    ) -> int:
        """Count the requests, from the first on, for which the caps are enough: no bound ever falls with more."""
        to_send = most - len(self.merging)

        def too_much(first: int) -> bool:
            own = self._estimate(estimator, first=first, caching=caching)
            documents = self._with_later(own, later, first=first)
            estimate = self._with_merging(documents, first=max(0, first - to_send))
            return estimate.upper_nusd > left_nusd or estimate.upper_tokens > left_tokens

        return bisect_left(range(1, most + 1), x=True, key=too_much)
