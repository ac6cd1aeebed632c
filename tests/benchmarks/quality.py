"""How often the statistics of quality keep their word: simulations with a known truth, beside the figures of the study.

    python tests/benchmarks/quality.py [draws]

Documents have 8 fields, and errors are clustered by document: the error rate of a document is drawn from a beta
distribution with an intraclass correlation (ICC). The documents' difficulty is shared by all settings. A figure in
brackets is that of the quality study, which simulated the same methods with error models of its own: figures of 400
draws are up to 5 points off either way. Everything is drawn from one seed, so that the figures can be repeated.
"""

import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from batchrun.statistics.audit import calibrated_threshold, queue_threshold
from batchrun.statistics.drift import DriftLevel, kolmogorov_smirnov, population_stability
from batchrun.statistics.intervals import ratio_interval
from batchrun.statistics.ladder import Climb
from batchrun.statistics.paired import mcnemar_mid_p, sign_flip

SEED = 20_261_130
DRAWS = 400
FIELDS = 8
GRAIN = 1_000
"""Into how many steps of difficulty the error rates of a setting are cut."""
ALL_WRONG = [1.0] * 20 + [0.03] * 980


def main() -> None:
    """Print a table for each method."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS
    for report in (coverage, gate, ladder, review, cascade, drift):
        for line in report(draws):
            print(line, flush=True)
        print()


def _rates(error: float, icc: float, draw: random.Random) -> list[float]:
    """The error rates of a setting by the difficulty of a document, easy to hard; their mean is exactly `error`."""
    if not icc or not error:
        return [error] * GRAIN
    spread = (1 - icc) / icc
    rates = sorted(draw.betavariate(error * spread, (1 - error) * spread) for _ in range(GRAIN))
    scale = error / fmean(rates)
    return [rate * scale for rate in rates]


def _hits(rate: float, fields: int, draw: random.Random) -> int:
    return sum(draw.random() < rate for _ in range(fields))


def _auc_shift(auc: float) -> float:
    """How far apart two normal scores lie whose area under the curve is `auc`."""
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def coverage(draws: int) -> Iterator[str]:
    yield "90% intervals, truths .85-.985, ICC .15-.4: the interval holds / its lower bound holds, worst to best"
    study = {20: "[.88-.98 / .92-1.0]", 50: "[.88-.97 / .93-1.0]", 200: "[.88-.92 / .92-.96]"}
    for documents, beside in study.items():
        for name, measure in (("accuracy", _accuracy), ("F1", _f1)):
            draw = random.Random(f"{SEED} coverage {name} {documents}")
            kinds = [_rates(error, icc, draw) for error in (0.15, 0.05, 0.015) for icc in (0.15, 0.4)]
            both, low = zip(*(_covered(measure, documents, rates, draws, draw) for rates in kinds), strict=True)
            yield f"n = {documents:3}  {name:8}  {_range(both)} / {_range(low)}  {beside}"
    yield "The same where 2% of documents are wrong in every field, and 3% of the other fields"
    for documents in (50, 100, 200):
        both, low = _covered(_accuracy, documents, ALL_WRONG, draws, random.Random(f"{SEED} all wrong {documents}"))
        yield f"n = {documents:3}  accuracy  {both:.2f} / {low:.2f}  [no such row]"


def _range(shares: Sequence[float]) -> str:
    return f"{min(shares):.2f}-{max(shares):.2f}"


Measure = Callable[[int, random.Random], tuple[int, int]]
"""Takes the number of wrong fields of a document; returns what the document adds to both sums of the ratio."""


def _accuracy(wrong: int, _: random.Random) -> tuple[int, int]:
    return FIELDS - wrong, FIELDS


def _f1(wrong: int, draw: random.Random) -> tuple[int, int]:
    """Half of the wrong fields are null: missed, but not given."""
    return 2 * (FIELDS - wrong), 2 * FIELDS - _hits(0.5, wrong, draw)


def _covered(
    measure: Measure, documents: int, rates: Sequence[float], draws: int, draw: random.Random
) -> tuple[float, float]:
    error = fmean(rates)
    truth = 1 - error if measure is _accuracy else (1 - error) / (1 - error / 4)
    both = low = 0
    for _ in range(draws):
        sums = [measure(_hits(rate, FIELDS, draw), draw) for rate in draw.choices(rates, k=documents)]
        interval = ratio_interval([right for right, _ in sums], [asked for _, asked in sums])
        low += interval.low <= truth
        both += interval.low <= truth <= interval.high
    return both / draws, low / draws


def gate(draws: int) -> Iterator[str]:
    yield "The paired gate over 200 documents at 10%: 2 points found / false alarms; one field by McNemar with mid-p"
    rows = (
        (8, 0.01, 0.0, ".98-1.0 / 0-.08"), (8, 0.01, 0.1, ".98 / 0-.08"), (8, 0.02, 0.1, ".87 / 0-.08"),
        (8, 0.01, 0.3, ".86 / 0-.08"), (8, 0.02, 0.3, ".68 / 0-.08"), (5, 0.01, 0.0, ".96 / 0-.08"),
        (3, 0.01, 0.0, ".86 / 0-.08"), (1, 0.01, 0.0, ".54 / .008-.10"),
    )  # fmt: skip
    for fields, churn, icc, beside in rows:
        found, alarms = (_worse(difference, churn, fields, icc, draws) for difference in (0.02, 0.0))
        yield f"{fields} fields, churn {churn:.0%}, ICC {icc:.1f}  {found:.2f} / {alarms:.3f}  [{beside}]"


def _worse(difference: float, churn: float, fields: int, icc: float, draws: int) -> float:
    """How often a run is found to be worse, which makes more fields wrong and some right."""
    draw = random.Random(f"{SEED} gate {difference} {churn} {fields} {icc}")
    worse, better = _rates(difference + churn, icc, draw), _rates(churn, icc, draw)
    found = 0
    for _ in range(draws):
        losses, gains = draw.choices(worse, k=200), draw.choices(better, k=200)
        changes = [
            _hits(gain, fields, draw) - _hits(loss, fields, draw) for loss, gain in zip(losses, gains, strict=True)
        ]
        found += _p_worse(changes, fields, draw) <= 0.1
    return found / draws


def _p_worse(changes: Sequence[int], fields: int, draw: random.Random) -> float:
    if fields > 1:
        return sign_flip(changes, draw).worse_p
    return mcnemar_mid_p(changes.count(-1), changes.count(1))


SETTINGS, TARGET = 12, 0.95
PRICES = [math.exp(math.log(30) * setting / (SETTINGS - 1)) for setting in range(SETTINGS)]
"""The dearest setting costs 30 times the cheapest."""

Grid = Callable[[random.Random], list[float]]
"""Draws the true accuracies of the settings, cheapest first."""


def _with_gap(gap: float, spread: float) -> Grid:
    """The cheapest acceptable at any place, up to `spread` more than a gap above; the cheaper ones a gap below."""

    def accuracies(draw: random.Random) -> list[float]:
        cheapest = draw.randrange(SETTINGS)
        below = [TARGET - gap - draw.uniform(0, 5 * spread) for _ in range(cheapest)]
        above = [TARGET + draw.uniform(-0.02, 0.04) for _ in range(SETTINGS - cheapest - 1)]
        return [*sorted(below), TARGET + gap + draw.uniform(0, spread), *above]

    return accuracies


def _just_below(_: random.Random) -> list[float]:
    return [TARGET - 0.011] * (SETTINGS - 1) + [TARGET + 0.03]


def ladder(draws: int) -> Iterator[str]:
    yield f"The ladder, {SETTINGS} settings, target {TARGET}: cheapest / over a point below / none / share of grid cost"
    rows: tuple[tuple[str, int, float, Grid, str], ...] = (
        ("2 points and more", 200, 0.15, _with_gap(0.02, 0.02), ".98 / 0 / .01 / .12"),
        ("2 points and more", 200, 0.4, _with_gap(0.02, 0.02), ".90 / 0 / - / -"),
        ("exactly 2 points", 200, 0.05, _with_gap(0.02, 0.0), ".90 at n_eff 833"),
        ("exactly 2 points", 200, 0.15, _with_gap(0.02, 0.0), ".90 at n_eff 833"),
        ("1 point and more", 200, 0.15, _with_gap(0.01, 0.02), ".75 / 0 / .06 / .20"),
        ("all 1.1 below", 200, 0.15, _just_below, "- / .013 / - / -"),
        ("all 1.1 below", 200, 0.4, _just_below, "- / .013 / - / -"),
        ("all 1.1 below", 50, 0.15, _just_below, "- / .04-.09 / - / -"),
    )
    for name, documents, icc, grid, beside in rows:
        climbs = [_climb(documents, icc, grid, number) for number in range(draws)]
        right, low, none, cost = (fmean(column) for column in zip(*climbs, strict=True))
        figures = f"{right:.2f} / {low:.3f} / {none:.2f} / {cost:.2f}"
        yield f"{name:17} n = {documents:3} ICC {icc:.2f}  {figures}  [{beside}]"


def _climb(documents: int, icc: float, grid: Grid, number: int) -> tuple[bool, bool, bool, float]:
    draw = random.Random(f"{SEED} ladder {documents} {icc} {number}")
    accuracies = grid(draw)
    difficulties = [draw.randrange(GRAIN) for _ in range(documents)]
    climb = Climb(SETTINGS, documents, TARGET)
    right: list[int] = []
    while (step := climb.step) is not None:
        if step.setting not in climb.looks:
            rates = _rates(1 - accuracies[step.setting], icc, draw)
            right = [FIELDS - _hits(rates[difficulty], FIELDS, draw) for difficulty in difficulties]
        climb.tell(ratio_interval(right[: step.documents], [FIELDS] * step.documents))
    cost = sum(PRICES[setting] * look.documents for setting, look in climb.looks.items())
    taken = climb.taken
    return (
        taken is not None and taken == next(place for place, accuracy in enumerate(accuracies) if accuracy >= TARGET),
        taken is not None and accuracies[taken] < TARGET - 0.01,
        taken is None,
        cost / (sum(PRICES) * documents),
    )


AUCS = (0.5, 0.92, 0.98, 0.998)
FAULTY, WRONG_IF_FAULTY = 0.10, 0.21


def review(draws: int) -> Iterator[str]:
    yield "The review promise, 10% of documents faulty (2.1% of fields): made; broken; queue; all looked at"
    rows = {
        (1_000, 0.01, 700): ("0; .003", ".51; .007; .30; .36", ".93; .003; .18; .25", "1.0; .003; .11; .19"),
        (3_000, 0.01, 700): ("0; 0", ".47; .020; .31; .33", ".94; .017; .18; .20", "1.0; .013; .11; .14"),
        (3_000, 0.01, 1_200): ("0; 0", ".74; .013; .27; .31", ".99; .013; .13; .17", "1.0; .007; .09; .14"),
        (1_000, 0.02, 350): (".03; .013", ".72; .010; .22; .26", ".97; .020; .13; .17", "1.0; .023; .09; .13"),
        (3_000, 0.02, 600): (".02; .020", ".88; .023; .16; .18", "1.0; .010; .08; .11", "1.0; .007; .08; .10"),
        (3_000, 0.05, 150): (".19; 0", ".86; 0; .12; .13", ".98; 0; .07; .07", "1.0; 0; .05; .05"),
        (1_000, 0.05, 150): ("-", "all looked at .07-.13", "-", "-"),
    }
    for (documents, max_error, cells), beside in rows.items():
        for auc, figures in zip(AUCS, beside, strict=True):
            draw = random.Random(f"{SEED} review {documents} {max_error} {cells} {auc}")
            reviews = [_review(documents, max_error, cells, auc, draw) for _ in range(draws)]
            made = [one for one in reviews if one.made]
            shares = "".join(
                f"; {fmean(share):.3f}" for share in zip(*((one.queue, one.looked_at) for one in made), strict=True)
            )
            yield (
                f"{documents:,}, {max_error:.0%}, {cells:5,} cells, AUC {auc:.3f}  {len(made) / draws:.2f}; "
                f"{sum(one.broken for one in reviews) / draws:.3f}{shares}  [{figures}]"
            )


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What came of one review: shares of all documents."""

    made: bool
    broken: bool
    queue: float
    looked_at: float


def _review(documents: int, max_error: float, cells: int, auc: float, draw: random.Random) -> Reviewed:
    faulty = set(draw.sample(range(documents), round(FAULTY * documents)))
    wrong = {
        document * FIELDS + field for document in faulty for field in range(FIELDS) if draw.random() < WRONG_IF_FAULTY
    }
    shift = _auc_shift(auc)
    scores = {str(document): draw.gauss(shift if document in faulty else 0) for document in range(documents)}
    audited = [(str(cell // FIELDS), cell in wrong) for cell in draw.sample(range(documents * FIELDS), cells)]
    queue = queue_threshold(scores, audited, cells=FIELDS, max_error=max_error)
    queued = {int(document) for document in queue.documents}
    left = sum(cell // FIELDS not in queued for cell in wrong)
    share = len(queued) / documents
    return Reviewed(
        made=queue.promised,
        broken=queue.promised and left > max_error * queue.tested.total,
        queue=share,
        looked_at=share + queue.tested.seen / FIELDS / documents,
    )


CHEAP, DIFFERING = 0.3, 0.12
"""The price of the cheap model beside the strong one's, and in how many documents the cheap answer differs."""


def cascade(draws: int) -> Iterator[str]:
    yield "The calibrated cascade, cheap answers differ in 12%: broken / found / cost of all-strong (cheap = .3)"
    rows = {
        (1_000, 150, 0.05): (".002/.94/.64", ".015/.50/.87", "0/0/1.04"),
        (3_000, 300, 0.02): ("0/.45/.83", ".003/.01/1.03", "0/0/1.03"),
        (10_000, 600, 0.02): ("0/.98/.58", ".008/.51/.92", "0/0/1.02"),
        (10_000, 600, 0.05): ("0/1.0/.49", ".012/.99/.59", "0/0/1.02"),
    }
    for (documents, calibrated, most), beside in rows.items():
        for auc, figures in zip((0.98, 0.92, 0.5), beside, strict=True):
            draw = random.Random(f"{SEED} cascade {documents} {calibrated} {most} {auc}")
            runs = [_cascade(documents, calibrated, most, auc, draw) for _ in range(_fewer(draws, documents))]
            broken, found, cost = (fmean(figure) for figure in zip(*runs, strict=True))
            yield (
                f"{documents:6,}, {calibrated}, {most:.0%}, AUC {auc:.2f}  {broken:.3f}/{found:.2f}/{cost:.2f}  "
                f"[{figures}]"
            )


def _fewer(draws: int, documents: int) -> int:
    """Half of the draws for large jobs, each of which takes long."""
    return draws if documents < 10_000 else (draws + 1) // 2


def _cascade(documents: int, calibrated: int, most: float, auc: float, draw: random.Random) -> tuple[bool, bool, float]:
    shift = _auc_shift(auc)
    differs = [draw.random() < DIFFERING for _ in range(documents)]
    scored = [(draw.gauss(shift if one else 0), one) for one in differs]
    threshold = calibrated_threshold(scored[:calibrated], most)
    if threshold is None:
        return False, False, 1 + CHEAP * calibrated / documents
    accepted = [one for score, one in scored[calibrated:] if score < threshold.below]
    return sum(accepted) > most * len(accepted), True, 1 + CHEAP - len(accepted) / documents


def drift(draws: int) -> Iterator[str]:
    yield "Drift alarms where nothing has changed, a field at 1%"
    even = [1.0] * 10
    study = {100: (".010", ".011", ".010"), 1_000: ("0", ".011", ".010")}
    for size, beside in study.items():
        for name, weights, figure in zip(
            ("10 even", "50 Zipf", "300 Zipf"), (even, _zipf(50), _zipf(300)), beside, strict=True
        ):
            yield f"n = {size:5,}  {name:8}  {_alarms(weights, weights, size, 5, draws):.3f}  [{figure}]"
    eight = [1.0] * 8
    rate = _alarms(eight, eight, 100, 20, 20 * draws)
    yield f"n = 100    any of 20 fields of 8  {1 - (1 - rate) ** 20:.3f}  [.047]"
    draw = random.Random(f"{SEED} ks")
    samples = [[[draw.random() for _ in range(100)] for _ in range(2)] for _ in range(draws)]
    moved = [kolmogorov_smirnov(before, now, fields=5).level is DriftLevel.ALARM for before, now in samples]
    yield f"n = 100    Kolmogorov-Smirnov  {fmean(moved):.3f}  [.012]"
    yield "One of 5 even categories has grown: alarms, a field at 1%"
    for size, share, figure in ((100, 0.5, ".88"), (100, 0.4, ".48"), (1_000, 0.4, "1.0"), (1_000, 0.3, ".03")):
        grown = _alarms([0.2] * 5, [share, *[(1 - share) / 4] * 4], size, 5, draws)
        yield f"n = {size:5,}  to {share:.0%}  {grown:.2f}  [{figure}]"


def _zipf(categories: int) -> list[float]:
    return [1 / rank for rank in range(1, categories + 1)]


def _alarms(before: Sequence[float], now: Sequence[float], size: int, fields: int, draws: int) -> float:
    draw = random.Random(f"{SEED} drift {before} {now} {size} {fields}")
    names = range(len(before))
    alarms = 0
    for _ in range(draws):
        old, new = (Counter(draw.choices(names, weights, k=size)) for weights in (before, now))
        alarms += population_stability(old, new, fields=fields).level is DriftLevel.ALARM
    return alarms / draws


if __name__ == "__main__":
    main()
