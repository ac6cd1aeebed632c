"""How a run went over time, and how its answers are spread: what charts of the run show, in a bounded number of points.

Everything is added up by SQLite, so that a run of any size needs little memory.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchrun.estimation.text_class import TextClass
from batchrun.store.ledger.ledger import Ledger

MOST_MOMENTS, MOST_BINS, MOST_DOTS = 120, 40, 800
"""How many points a curve has at most, how many bins a histogram, and how many dots a chart of documents."""
NEAR = 0.1
"""How far the tokens of a prompt may be from their estimate to be called near, as a share of the estimate."""

MOMENTS = """
select cast((ended_at - :began_at) / :width as integer), max(ended_at), sum(coalesce(cost_nusd, 0)), count(outcome),
    sum(status is 429), sum(status is 529)
from attempts indexed by attempts_run where run_no = :run_no and ended_at is not null group by 1 order by 1
"""
# SQLite uses the index of latencies because this repeats the condition of the index.
MEASURED = "from attempts where run_no = ? and state = 'answered' and latency_s is not null"
CLASSES = """
select r.text_class, count(*), sum(r.counted_tokens) from requests r where r.model = :model and r.request_no in (
    select request_no from run_answers where run_no = :run_no
    union select request_no from documents where run_no = :run_no)
group by 1
"""
FIT = """
with fit as materialized (
    select row_number() over (order by a.attempt_no) as number, a.doc_id,
        a.input_tokens + a.cache_write_5m_tokens + a.cache_write_1h_tokens + a.cache_read_tokens as counted,
        :fixed + r.counted_tokens * (:factors ->> r.text_class) as estimate
    from attempts a indexed by attempts_run join requests r using (request_no)
    where a.run_no = :run_no and a.state = 'answered' and a.turn is null and a.input_tokens is not null
        and r.model = :model and estimate > 0)
"""
"""The prompts that Claude counted, as far as they ask what is asked first: other turns have other prompts."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a run had come, and what the API refused since the moment before."""

    at: float
    """Seconds since 1970."""
    spent_nusd: int
    settled: int
    """How many requests had their outcome by then."""
    limited: int
    """How many attempts the API has refused with 429, a rate limit, since the moment before."""
    overloaded: int
    """The same with 529, overload."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The number of values from `low` on and below `high`. The last of `MOST_BINS` bins has what is above, too."""

    low: float
    high: float
    count: int
    most: float
    """The greatest of the values; 0 without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFit:
    """How the prompts that Claude counted compare with what the run was estimated with, document by document."""

    prompts: int
    """How many prompts were compared."""
    bias: float
    """The tokens of all prompts as a share of the estimate, less 1."""
    near: float
    """The share of the prompts that are within `NEAR` of their estimates."""
    dots: Sequence[tuple[str, float, float]]
    """Some documents: the id, the estimated tokens of the prompt, and the counted tokens as a share of the estimate."""


def moments(ledger: Ledger, run_no: int, *, began_at: float) -> list[Moment]:
    """Read how a run went on from its beginning, in equal steps; those in which nothing ended are left out."""
    (ended_at,) = ledger.connection.execute(
        "select max(ended_at) from attempts indexed by attempts_run where run_no = ?", (run_no,)
    ).fetchone()
    if ended_at is None:
        return []
    width = max((ended_at - began_at) / MOST_MOMENTS, 1e-3)
    named = {"run_no": run_no, "began_at": began_at, "width": width}
    found: list[Moment] = []
    spent = settled = 0
    for _, at, nusd, outcomes, limited, overloaded in ledger.connection.execute(MOMENTS, named):
        spent, settled = spent + nusd, settled + outcomes
        found.append(Moment(at, spent, settled, limited, overloaded))
    return found


def latency_bins(ledger: Ledger, run_no: int, *, width: float) -> list[Bin]:
    """Count how many answers took how long, in bins of `width` seconds from the first to the last with an answer."""
    rows = ledger.connection.execute(
        f"select min(cast(latency_s / ? as integer), ?), count(*), max(latency_s) {MEASURED} group by 1 order by 1",
        (width, MOST_BINS - 1, run_no),
    )
    found = {number: (count, longest) for number, count, longest in rows}
    numbers = range(min(found), max(found) + 1) if found else range(0)
    return [Bin(number * width, (number + 1) * width, *found.get(number, (0, 0.0))) for number in numbers]


def token_fit(
    ledger: Ledger, run_no: int, *, model: str, estimate: float, fixed: float, weights: Mapping[TextClass, float]
) -> TokenFit | None:
    """Compare the prompts that Claude counted with `estimate`, the tokens that a prompt was estimated with on average.

    The tokens of a document are estimated as the plan did: `fixed` tokens that every request carries, and the counted
    tokens of the document times the factor of its class of text. The ledger has no factors: `weights` has what they are
    to each other, and their size follows from the average. Returns None if nothing can be compared.
    """
    named: dict[str, object] = {"run_no": run_no, "model": model, "fixed": fixed, "near": NEAR}
    classes = ledger.connection.execute(CLASSES, named).fetchall()
    weighed = sum(weights[TextClass(kind)] * counted for kind, _, counted in classes)
    scale = (estimate - fixed) * sum(number for _, number, _ in classes) / weighed if weighed else 0.0
    named["factors"] = json.dumps({kind: scale * weight for kind, weight in weights.items()})
    prompts, counted, expected, near = ledger.connection.execute(
        f"{FIT} select count(*), sum(counted), sum(estimate), sum(abs(counted / estimate - 1) <= :near) from fit", named
    ).fetchone()
    if scale <= 0 or not prompts:
        return None
    dots = ledger.connection.execute(
        f"{FIT} select doc_id, estimate, counted / estimate from fit where number % :step = 0"
        " order by number limit :most",
        {**named, "step": -(-prompts // MOST_DOTS), "most": MOST_DOTS},
    )
    return TokenFit(prompts=prompts, bias=counted / expected - 1, near=near / prompts, dots=tuple(dots.fetchall()))
