"""The four routes of a plan, whose costs are checked by hand at the prices of 2026-11-20.

Everything that is uncertain is made certain here: a cl100k token is one of Claude's, every reply has the same length,
and the fixed part is as long as it says. What is left is arithmetic, written out beside each case in nano-USD.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject, Unpublished

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.calibration import Calibration
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.interval import NOTHING, Interval
from batchrun.estimation.reply_length import ReplyLength
from batchrun.estimation.text_class import TextClass
from batchrun.planning import calibration_data, forecast, planner
from batchrun.planning.forecast import Forecaster
from batchrun.planning.plan_rows import Planned
from batchrun.reply import Reply, Usage
from batchrun.request import Request, Ttl
from batchrun.strategy.plan import EstimateBasis, Kind, Plan
from batchrun.strategy.prompt_caching import Caching, Prefix, break_even
from batchrun.workflow.open_job import OpenJob, OpenStore, SubmitOptions

PRICES = load_prices(today=date(2026, 11, 20))
NO_EVIDENCE = EstimateBasis(guessed=0, past=0, online=0, online_problem=None, replies=0)
ROUTES = ("stream", "stream+cache", "batch", "batch+cache")


def sure(amount: float) -> Interval:
    return Interval(amount, amount, amount)


def known(fixed: float, factor: float = 1.0) -> Calibration:
    """A line that nothing more can be learnt of."""
    size = 1 + len(TextClass)
    nothing = tuple((0.0,) * size for _ in range(size))
    mean = (fixed, *[factor] * len(TextClass))
    return Calibration(requests=1_000_000, scatter=0.0, mean=mean, covariance=nothing, bias=0.0)


def exact(model: str, *, prefix: float, reply: float) -> Estimator:
    price = PRICES.model(model)
    return Estimator(price, fixed_tokens=round(prefix), output=sure(reply), calibration=known(prefix))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A job, and what each route of it costs in dollars; None where nothing can be cached."""

    model: str
    documents: tuple[tuple[int, int], ...]
    """How many there are of how many tokens."""
    prefix: int
    reply: int
    cache: str = "auto"
    batch_hits: float | None = None
    """What was measured before; None: the 70% that is usual."""
    costs: tuple[float, float | None, float, float | None]
    chosen: str
    """With route = "auto" and no deadline."""


SONNET, OPUS = "claude-sonnet-5-5", "claude-opus-5-5"
HAIKU, BANDED = "claude-haiku-4-5", "claude-haiku-5-5"
# Nano-USD a token, as input / output / written for 5m / for 1h / read:
# Sonnet 5.5   2,000 / 10,000 / 2,500 / 4,000 / 100       Opus 5.5   4,000 / 20,000 / 5,000 / 8,000 / 200
# Haiku 4.5    1,000 /  5,000 / 1,250 / 2,000 / 100       Haiku 5.5    100 /    500 /   125 /   200 /  10
# Haiku 5.5 above 100,000 tokens of a prompt: five times that.
# In micro-USD below: 2 / 10 / 2.5 / 4 / 0.1 and so on.
CASES = {
    # Documents and replies: 100 x (500 x 2 + 100 x 10) = 200,000. The prefix, plain: 100 x 2,000 x 2 = 400,000.
    "sonnet, a prefix of 2,000": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100,
        costs=(
            0.6000,  # 200,000 + 400,000
            0.2248,  # 200,000 + written once 2,000 x 2.5 = 5,000 + read 99 times 99 x 2,000 x 0.1 = 19,800
            0.3000,  # half of 600,000
            0.2270,  # half of: 200,000 + 30 x 2,000 x 4 = 240,000 + 70 x 2,000 x 0.1 = 14,000
        ),
        chosen="stream+cache",
    ),
    "the same, told to be cached for five minutes": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100, cache="5m",
        costs=(
            0.6000,
            0.2248,
            0.3000,
            0.1820,  # half of: 200,000 + 30 x 2,000 x 2.5 = 150,000 + 14,000
        ),
        chosen="batch+cache",
    ),
    "the same, told not to be cached: what it would cost is shown": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100, cache="off",
        costs=(0.6000, 0.2248, 0.3000, 0.2270),
        chosen="batch",
    ),
    "for an hour, 30% hits in batches: dearer than without": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100, cache="1h", batch_hits=0.30,
        costs=(
            0.6000,
            0.2278,  # 200,000 + 2,000 x 4 = 8,000 + 19,800
            0.3000,
            0.3830,  # half of: 200,000 + 70 x 2,000 x 4 = 560,000 + 30 x 2,000 x 0.1 = 6,000
        ),
        chosen="stream+cache",
    ),
    "for an hour, 70%": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100, cache="1h", batch_hits=0.70,
        costs=(0.6000, 0.2278, 0.3000, 0.2270),
        chosen="batch+cache",
    ),
    "for an hour, 98%": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100, cache="1h", batch_hits=0.98,
        costs=(
            0.6000,
            0.2278,
            0.3000,
            0.1178,  # half of: 200,000 + 2 x 2,000 x 4 = 16,000 + 98 x 2,000 x 0.1 = 19,600
        ),
        chosen="batch+cache",
    ),
    "left alone, 10% hits in batches: not cached there": Case(
        model=SONNET, documents=((100, 500),), prefix=2_000, reply=100, batch_hits=0.10,
        costs=(
            0.6000,
            0.2248,
            0.3000,
            0.4610,  # half of: 200,000 + 90 x 2,000 x 4 = 720,000 + 10 x 2,000 x 0.1 = 2,000
        ),
        chosen="stream+cache",
    ),
    # Documents 1,000 x 3,000 x 4 = 12,000,000; replies 1,000 x 400 x 20 = 8,000,000; prefix 1,000 x 1,000 x 4.
    "opus": Case(
        model=OPUS, documents=((1_000, 3_000),), prefix=1_000, reply=400,
        costs=(
            24.0000,  # 12,000,000 + 8,000,000 + 4,000,000
            20.2048,  # 20,000,000 + 1,000 x 5 = 5,000 + 999 x 1,000 x 0.2 = 199,800
            12.0000,
            11.2700,  # half of: 20,000,000 + 300 x 1,000 x 8 = 2,400,000 + 700 x 1,000 x 0.2 = 140,000
        ),
        chosen="batch+cache",
    ),
    "haiku 4.5, one token below its minimum: the cache changes nothing": Case(
        model=HAIKU, documents=((100, 905),), prefix=4_095, reply=200,
        costs=(
            0.6000,  # 100 x (5,000 x 1 + 200 x 5)
            None,
            0.3000,
            None,
        ),
        chosen="batch",
    ),
    "the same, though it is told to cache": Case(
        model=HAIKU, documents=((100, 905),), prefix=4_095, reply=200, cache="1h",
        costs=(0.6000, None, 0.3000, None),
        chosen="batch",
    ),
    "haiku 4.5, at its minimum": Case(
        model=HAIKU, documents=((100, 904),), prefix=4_096, reply=200,
        costs=(
            0.6000,
            0.2360704,  # 90,400 + 100,000 + 4,096 x 1.25 = 5,120 + 99 x 4,096 x 0.1 = 40,550.4
            0.3000,
            0.2324160,  # half of: 190,400 + 30 x 4,096 x 2 = 245,760 + 70 x 4,096 x 0.1 = 28,672
        ),
        chosen="batch+cache",
    ),
    # A million tokens together, and no prompt above 100,000: 100 x (10,000 x 0.1 + 1,000 x 0.5) = 150,000.
    "haiku 5.5, all short": Case(
        model=BANDED, documents=((100, 10_000),), prefix=2_000, reply=1_000,
        costs=(
            0.1700,  # 150,000 + 100 x 2,000 x 0.1 = 20,000
            0.15223,  # 150,000 + 2,000 x 0.125 = 250 + 99 x 2,000 x 0.01 = 1,980
            0.0850,
            0.0817,  # half of: 150,000 + 30 x 2,000 x 0.2 = 12,000 + 70 x 2,000 x 0.01 = 1,400
        ),
        chosen="batch+cache",
    ),
    # 50 x (98,000 x 0.1 + 1,000 x 0.5) = 515,000 and 50 x (118,000 x 0.5 + 1,000 x 2.5) = 3,075,000: 3,590,000.
    # The prefix 2,000 x (50 x 0.1 + 50 x 0.5) = 60,000; which of them write it nobody knows: a share of both.
    "haiku 5.5, on both sides of 100,000": Case(
        model=BANDED, documents=((50, 98_000), (50, 118_000)), prefix=2_000, reply=1_000,
        costs=(
            3.6500,  # 3,590,000 + 60,000; 100,000 tokens are not above 100,000
            3.59669,  # 3,590,000 + 60,000 x (0.01 x 1.25 + 0.99 x 0.1) = 6,690
            1.8250,
            1.8151,  # half of: 3,590,000 + 60,000 x (0.3 x 2 + 0.7 x 0.1) = 40,200
        ),
        chosen="batch+cache",
    ),
    # What is cached counts: 100,001 tokens are above, all of them, and the reply too.
    # 100 x (98,001 x 0.5 + 1,000 x 2.5) = 5,150,050, prefix 100 x 2,000 x 0.5 = 100,000.
    "haiku 5.5, one token above": Case(
        model=BANDED, documents=((100, 98_001),), prefix=2_000, reply=1_000,
        costs=(
            5.25005,
            5.16120,  # 5,150,050 + 100,000 x (0.01 x 1.25 + 0.99 x 0.1) = 11,150
            2.625025,
            2.608525,  # half of: 5,150,050 + 100,000 x (0.3 x 2 + 0.7 x 0.1) = 67,000
        ),
        chosen="batch+cache",
    ),
    # 1,000 + 1,000, and the prefix 4,000.
    "one document": Case(
        model=SONNET, documents=((1, 500),), prefix=2_000, reply=100,
        costs=(
            0.0060,
            0.0070,  # 2,000 + 2,000 x 2.5: written, and never read
            0.0030,
            0.0050,  # half of: 2,000 + 2,000 x 4
        ),
        chosen="stream",
    ),
    "two documents, the first of which writes for the other": Case(
        model=SONNET, documents=((2, 500),), prefix=2_000, reply=100,
        costs=(
            0.0120,
            0.0092,  # 4,000 + 2,000 x 2.5 = 5,000 + 2,000 x 0.1 = 200
            0.0060,
            0.0046,  # half of it: for five minutes, because an hour does not pay
        ),
        chosen="stream+cache",
    ),
    "99 documents are not worth the wait": Case(
        model=HAIKU, documents=((99, 905),), prefix=4_095, reply=200,
        costs=(0.5940, None, 0.2970, None),
        chosen="stream",
    ),
    "nothing to send": Case(
        model=SONNET, documents=(), prefix=2_000, reply=100, costs=(0.0, 0.0, 0.0, 0.0), chosen="stream"
    ),
}  # fmt: skip


@contextmanager
def planned(project: TrialProject, case: Case) -> Iterator[Plan]:
    """The plan of documents that have exactly so many tokens."""
    project.job(
        model=f'name = "{case.model}"\nmax_tokens = 2_000',
        prompt=f'cache = "{case.cache}"\nuser = "{{{{ doc.text }}}}"',
        run='max_concurrency = 4\nroute = "auto"',
        budget="max_cost_usd = 1000.0",
    )
    estimator = exact(case.model, prefix=case.prefix, reply=case.reply)
    sizes = [tokens for number, tokens in case.documents for _ in range(number)]
    with project.opened() as opened:
        made = opened.planner()
        made.planned.add(
            [
                Planned(
                    no, doc_id=str(no), source=str(no), place="", content_sha=str(no), kind=Kind.NEW,
                    request_id=str(no), model=case.model, counted_tokens=tokens, text_class=TextClass.PROSE,
                    worst_nusd=1,
                )
                for no, tokens in enumerate(sizes)
            ]
        )  # fmt: skip
        forecaster = Forecaster(
            job=opened.job,
            chain=opened.chain,
            planned=made.planned,
            ledger=opened.ledger,
            estimator=estimator,
            unsampled={},
            fingerprint=made.fingerprint,
            caps=made.caps,
            prefix=Prefix(estimator.fixed_input),
            route=made.route,
            deadline_s=None,
        )
        yield forecaster.plan({}, NO_EVIDENCE, ())


def costs(plan: Plan) -> dict[str, float]:
    """What is expected of each route, in dollars."""
    return {one.name: one.estimate.cost_usd.mean for one in plan.forecasts}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_routes_by_hand(project: TrialProject, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    monkeypatch.setattr(forecast, "measured_hit_rate", lambda *_, in_batches: case.batch_hits if in_batches else None)
    with planned(project, case) as plan:
        expected = {name: usd for name, usd in zip(ROUTES, case.costs, strict=True) if usd is not None}
        assert costs(plan) == pytest.approx(expected, rel=1e-12)
        assert plan.chosen.name == case.chosen
        assert plan.estimate.cost_usd.mean == pytest.approx(expected[case.chosen], rel=1e-12)
        for one in plan.forecasts:
            cost = one.estimate.cost_nusd
            assert cost.low <= cost.mean <= cost.high
            if one.caching is None:
                assert (cost.low, cost.high) == pytest.approx((cost.mean, cost.mean)), "nothing is uncertain"


# --- a whole plan, from documents on a disk


def rules(project: TrialProject, *, words: int) -> None:
    """A job that begins with so many words of instructions."""
    project.job(
        model=f'name = "{SONNET}"\nmax_tokens = 2_000',
        prompt=f'system = "{" word" * words}"\nuser = "{{{{ doc.text }}}}"',
        run='max_concurrency = 4\nroute = "auto"',
        budget="max_cost_usd = 10.0",
    )


def write(project: TrialProject, name: str, number: int, *, words: int) -> None:
    for no in range(number):
        project.document(f"{name}{no:03}.txt", f"{name}{no} " + "word " * (words - 1))


@pytest.mark.slow
def test_a_whole_plan_by_hand(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 documents of 250 words, each of them two tokens: the first case of the table."""
    rules(project, words=10)
    write(project, "doc", 100, words=250)
    monkeypatch.setattr(planner, "count_tokens", lambda text: len(text.split()))
    monkeypatch.setattr(calibration_data, "calibrate", lambda *_, **__: known(2_000, factor=2.0))
    monkeypatch.setattr(calibration_data, "reply_length", lambda *_, **__: ReplyLength(sure(100), 0.0))

    plan = project.plan()

    assert (plan.estimate.documents, plan.estimate.input) == (100, sure(100 * 2_500))
    assert costs(plan) == pytest.approx(dict(zip(ROUTES, (0.6000, 0.2248, 0.3000, 0.2270), strict=True)), rel=1e-12)
    assert plan.chosen.name == "stream+cache"


@pytest.mark.slow
def test_a_plan_after_many_answers_by_hand(project: TrialProject) -> None:
    """The same, learnt from 80 answers to other documents: 2,000 tokens and two of every word, and 100 tokens back."""
    rules(project, words=1_200)
    write(project, "short", 40, words=200)
    write(project, "long", 40, words=800)

    async def reply(request: Request) -> Reply:
        words = len(json.loads(request.body)["messages"][0]["content"].split())
        return answer(usage=Usage(input_tokens=2_000 + 2 * words, output_tokens=100), model=SONNET)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenJob, "output", lambda *_: Unpublished())
        patch.setattr(OpenStore, "output", lambda *_: Unpublished())
        project.submit(ScriptedProvider(default=reply), options=SubmitOptions(route="stream"))
    write(project, "new", 100, words=250)

    plan = project.plan()

    assert (plan.to_send, plan.evidence.past, plan.evidence.replies) == (100, 80, 80)
    assert costs(plan) == pytest.approx(dict(zip(ROUTES, (0.6000, 0.2248, 0.3000, 0.2270), strict=True)), rel=0.02)


# --- whatever the numbers

estimators = st.builds(
    exact,
    st.sampled_from([SONNET, OPUS, BANDED, "claude-fable-5-2", "claude-sonnet-4-6"]),
    prefix=st.floats(512, 20_000),
    reply=st.floats(1, 10_000),
).flatmap(lambda one: st.sampled_from([one, scattered(one)]))
documents = st.lists(st.integers(0, 150_000), min_size=1, max_size=20)
ttls = st.sampled_from(["5m", "1h"])


def scattered(one: Estimator) -> Estimator:
    """The same when documents differ, so that it is not sure on which side of a band's bound they are."""
    assert one.calibration
    return replace(one, calibration=replace(one.calibration, scatter=0.05))


def cost(one: Estimator, sizes: Sequence[int], saving: Interval = NOTHING) -> Interval:
    total = EstimateSum(one, saving=saving)
    for size in sizes:
        total.add(RequestTokens(size, TextClass.PROSE))
    return total.estimate().cost_nusd


def cached(one: Estimator, ttl: Ttl, hits: float) -> Interval:
    """What is saved of a request when this share of them reads the prefix."""
    return Caching(ttl=ttl, reason="", hit_rate=sure(hits), tokens=one.fixed_input).saving(one.price.rates)


@pytest.mark.slow
@given(estimators, documents, ttls, st.floats(0, 1))
def test_the_cache_pays_above_the_break_even_and_not_below(
    one: Estimator, sizes: list[int], ttl: Ttl, hits: float
) -> None:
    share = break_even(one.price.rates, ttl)
    assert share is not None
    assume(abs(hits - share) > 1e-4)

    assert (cost(one, sizes, cached(one, ttl, hits)).mean < cost(one, sizes).mean) == (hits > share)


@pytest.mark.slow
@given(estimators, documents, ttls)
def test_at_the_break_even_the_cache_changes_nothing(one: Estimator, sizes: list[int], ttl: Ttl) -> None:
    share = break_even(one.price.rates, ttl)
    assert share is not None

    assert cost(one, sizes, cached(one, ttl, share)).mean == pytest.approx(cost(one, sizes).mean)


@pytest.mark.slow
@given(estimators, documents, ttls, st.floats(0, 1))
def test_a_token_saved_is_worth_a_token(one: Estimator, sizes: list[int], ttl: Ttl, hits: float) -> None:
    """Also of a prompt that is just below a band's bound: what is read from the cache counts there too."""
    saving, prices = cached(one, ttl, hits), [one.price.rates.input]
    if one.price.band:
        prices.append(one.price.band.rates.input)

    saved = cost(one, sizes).mean - cost(one, sizes, saving).mean

    least, most = sorted(len(sizes) * saving.mean * rate for rate in (prices[0], prices[-1]))
    slack = 1e-9 * cost(one, sizes).mean
    assert least - slack <= saved <= most + slack


@pytest.mark.slow
@given(estimators, documents)
def test_a_batch_is_half_of_a_stream_without_the_cache(one: Estimator, sizes: list[int]) -> None:
    stream = cost(one, sizes)
    batch = cost(replace(one, price=one.price.in_batches), sizes)

    half = stream.times(0.5)
    assert (batch.mean, batch.low, batch.high) == pytest.approx((half.mean, half.low, half.high), rel=1e-12)
