"""From the planned documents to the plan: what they cost and take, by every route, and whether the money is enough."""

import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

from batchrun.cascading import LaterModels, later_models
from batchrun.job.reading import JobFile
from batchrun.planning.cascade_cost import CascadeCost, Step, cascaded, product, reaching
from batchrun.planning.duration import Duration, forecast
from batchrun.planning.estimate import Estimate, Estimator
from batchrun.planning.estimate_sum import EstimateSum
from batchrun.planning.interval import Interval
from batchrun.planning.ladder import Ladder
from batchrun.planning.model_price import ModelPrice
from batchrun.planning.model_rules import suited, thinks
from batchrun.planning.output_prior import output_prior
from batchrun.planning.plan import Dearest, Evidence, Kind, Plan
from batchrun.planning.reply_length import reply_length
from batchrun.planning.routes import Route, Wish, choose, forecasts
from batchrun.planning.text_class import TextClass
from batchrun.store.entries import Run
from batchrun.store.evidence import past_use
from batchrun.store.ledger import Ledger
from batchrun.store.planned import PlannedDocuments

SHOWN_PROBLEMS = 20


def guessed_reply(job: JobFile, price: ModelPrice) -> Interval:
    """How long a model's replies are, in tokens, from the schema alone."""
    model = suited(job.spec.model, price)
    return output_prior(
        job.fields.api_schema,
        max_tokens=model.max_tokens,
        thinks=thinks(model, price),
        effort=model.effort or price.default_effort,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """What there is to forecast from."""

    job: JobFile
    ladder: Ladder
    planned: PlannedDocuments
    ledger: Ledger
    estimator: Estimator
    """Of the job's own model, with what was learnt."""
    unsampled: Mapping[TextClass, float]
    """The standard deviation of what was guessed, in cl100k tokens of each class."""
    fingerprint: str
    cap_nusd: int
    route: str | None
    """stream, batch or auto; None: nothing is said."""
    deadline_s: float | None
    """From the start of the run."""

    def plan(self, notes: Mapping[str, int], evidence: Evidence) -> Plan:
        """Add everything up."""
        spec = self.job.spec
        run = self.ledger.open_run(spec.job.name, self.fingerprint)
        committed_nusd, held_nusd = (run.committed_nusd - run.open_nusd, run.held_nusd) if run else (0, 0)
        counts = self.planned.counts()
        estimate = self._estimate(self.estimator)
        duration = self._streaming(estimate)
        later = later_models(self.ledger, self.ladder, spec.job.name, self.fingerprint, estimator=self._estimator_of)
        first = forecasts(estimate, duration, max_queued=spec.batch.max_queued)
        both = [replace(one, estimate=self._with_later(one.estimate, later)) for one in first]
        choice = choose(self._wish(run), *both)
        chosen = next(one for one in both if one.route is choice.route)
        price = self.estimator.price.in_batches if choice.route is Route.BATCH else self.estimator.price
        worst_nusd = -(-self.planned.worst_nusd() // price.divisor)
        room_nusd = self.cap_nusd - (committed_nusd - held_nusd)
        fits = estimate.documents
        if chosen.estimate.upper_nusd > room_nusd:
            fits = self._fits(replace(self.estimator, price=price), room_nusd, later, most=fits)
        return Plan(
            job=spec.job.name,
            model=self.estimator.price.name,
            counts={kind: counts.get(kind, 0) for kind in Kind},
            same_text=self.planned.same_text(),
            estimate=chosen.estimate,
            evidence=evidence,
            duration=duration,
            unsettled_s=self._unsettled_s(duration, in_batches=counts.get(Kind.IN_BATCH, 0)),
            choice=choice,
            forecasts=tuple(both),
            deadline_s=self.deadline_s,
            committed_nusd=committed_nusd,
            held_nusd=held_nusd,
            continues=run.run_id if run else None,
            let_in=self._was_let_in(run, counts),
            cap_nusd=self.cap_nusd,
            fits=fits if committed_nusd + worst_nusd <= self.cap_nusd else 0,
            worst_nusd=worst_nusd,
            problems=self.planned.problems(limit=SHOWN_PROBLEMS),
            dearest=self._dearest(chosen.estimate),
            notes=dict(notes),
            cascade=self._cascade_cost(chosen.estimate, later, divisor=price.divisor),
        )

    def _estimate(self, estimator: Estimator, *, first: int = -1, in_batches: bool = False) -> Estimate:
        """Of streaming what would be sent: all of it, or only the first documents; or with what is in batches."""
        total = EstimateSum(estimator, unsampled=self.unsampled)
        for group in self.planned.groups(estimator.long, first=first, in_batches=in_batches):
            total.add_group(group)
        for tokens in self.planned.longer(estimator.long, first=first, in_batches=in_batches):
            total.add(tokens)
        return total.estimate()

    def _with_later(self, first: Estimate, later: LaterModels | None, *, documents: int = -1) -> Estimate:
        """With what a cascade's other models are expected to be asked; of all, or only of the first documents."""
        if later is None:
            return first
        others = [self._estimate(one, first=documents) for one in later.estimators]
        return cascaded([first, *others], reaching(later.shares, later.standing, documents=first.documents))

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

    def _dearest(self, estimate: Estimate) -> Dearest | None:
        """The dearest fallback, when everything there would cost more than what is estimated."""
        uppers = [
            Dearest(rung.price.name, self._estimate(self._estimator_of(rung.price)).upper_nusd)
            for rung in self.ladder.rungs[1:]
        ]
        dearest = max(uppers, key=lambda one: one.upper_nusd, default=None)
        return dearest if dearest and dearest.upper_nusd > estimate.upper_nusd else None

    def _estimator_of(self, price: ModelPrice) -> Estimator:
        past = past_use(self.ledger, self.job.spec.job.name, fingerprint=self.fingerprint, model=price.name)
        return self.estimator.of(price, reply_length(guessed_reply(self.job, price), past.replies))

    def _unsettled_s(self, duration: Duration, *, in_batches: int) -> float:
        """How long streaming would take if it had to do what is in batches too."""
        if not in_batches:
            return duration.seconds
        return self._streaming(self._estimate(self.estimator, in_batches=True)).seconds

    def _streaming(self, estimate: Estimate) -> Duration:
        return forecast(estimate, self.ladder.rungs[0].limits, concurrency=self.job.spec.run.most_concurrent)

    def _was_let_in(self, run: Run | None, counts: Mapping[Kind, int]) -> bool:
        if run is None or self.cap_nusd < run.cap_nusd:
            return False
        unsettled = sum(count for kind, count in counts.items() if kind.sent or kind is Kind.IN_BATCH)
        return unsettled <= self.ledger.unsettled(run.run_no)

    def _wish(self, run: Run | None) -> Wish:
        elapsed_s = time.time() - run.started_at if run else 0.0
        return Wish(
            route=self.route,
            deadline_s=self.deadline_s,
            elapsed_s=elapsed_s,
            fallback=self.job.spec.batch.fallback == "stream",
            begun=Route(run.route) if run else None,
        )

    def _fits(self, estimator: Estimator, room_nusd: int, later: LaterModels | None, *, most: int) -> int:
        """How many of the requests, from the first on, the room is enough for: the bound never falls with more."""

        def upper(first: int) -> int:
            return self._with_later(self._estimate(estimator, first=first), later, documents=first).upper_nusd

        return bisect_right(range(1, most + 1), room_nusd, key=upper)
