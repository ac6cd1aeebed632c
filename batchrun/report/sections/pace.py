"""How fast a run was: the use of its rate limits, the latency of its answers, and the life of its batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from batchrun.report.charts.bars import Bar, Piece, bars
from batchrun.report.charts.card import card, chart_card, table
from batchrun.report.charts.plot import Plot
from batchrun.report.charts.scale import Axis, time_axis, up_to
from batchrun.report.facts import RunReport
from batchrun.report.markup import Markup
from batchrun.report.words import pace_words
from batchrun.store.reports.utilisation import MINUTE_S, Shares, highest, utilisation
from batchrun.strategy.duration import Bound
from batchrun.strategy.routes import Route
from batchrun.wording import brief, count, duration, utc

MOST_POINTS = 60
"""How many points a line has: the minutes of a long run are put together."""
KINDS = {Bound.REQUESTS: "c2 dotted", Bound.INPUT_TOKENS: "c1", Bound.OUTPUT_TOKENS: "c3 dashed"}
"""How the line of each limit looks."""
REFUSED = (("limited", "triangle", "c4", "429 rate limited"), ("overloaded", "square", "c5", "529 overloaded"))
"""What the API refuses, by the name in `Moment`, with its mark and its words."""


@dataclass(frozen=True, slots=True)
class RateUse:
    """The use of the rate limits in some minutes of a run."""

    begin_s: float
    """When the minutes begin, in seconds since the start of the run; a little before the start at first."""
    seconds: float
    shares: Shares
    refused: Mapping[str, int]
    """How many requests the API has refused, by the names in `REFUSED`."""


def rates_card(report: RunReport) -> Markup | None:
    """Draw the share of each limit that was used. None for a run that did not stream, or whose limits are not known."""
    shares = report.performance.shares
    if not shares or not (uses := list(_uses(report))):
        return None
    title, caption = "Rate-limit use", pace_words(report)
    known = [bound for bound in KINDS if bound in shares]
    refused = [(name, *how) for name, *how in REFUSED if any(use.refused[name] for use in uses)]
    header = ("from, UTC", *map(str, known), *(words for *_, words in refused))
    rows = [
        (utc(report.story.started_at + use.begin_s), *(f"{use.shares.get(bound, 0):.1%}" for bound in known),
         *(f"{use.refused[name]:,}" for name, *_ in refused))
        for use in uses
    ]  # fmt: skip
    if len(uses) < 2:  # a run of a minute has no course
        return card("rates", title, caption, table(title, header, rows))
    x, unit = time_axis(max(report.seconds, uses[-1].begin_s + uses[-1].seconds))
    most = max(1.0, *(share for use in uses for share in use.shares.values()))
    plot = Plot(x, Axis(0.0, 1.25 * most, "share of the limit", "{0:.0%}"))
    layers = [plot.across(1.0, "limit")]
    for bound in known:
        points = [(max(use.begin_s, 0.0) / unit, use.shares[bound]) for use in uses if bound in use.shares]
        layers.append(plot.line(points, KINDS[bound], [f"{bound}: {share:.1%} of the limit" for _, share in points]))
    for number, (name, shape, kind, words) in enumerate(refused):
        layers += [
            plot.mark((max(use.begin_s, 0.0) / unit, plot.y.high * (0.98 - 0.05 * number)), shape, kind,
                      f"{words}: {use.refused[name]:,}")
            for use in uses if use.refused[name]
        ]  # fmt: skip
    entries = [(f"line {KINDS[bound]}", str(bound)) for bound in known]
    entries += [(f"mark {shape} {kind}", words) for _, shape, kind, words in refused]
    return chart_card("rates", title, caption, plot.drawn("rates-chart", title, caption, *layers), header, rows,
                      legend=entries)  # fmt: skip


def _uses(report: RunReport) -> Iterator[RateUse]:
    """Put minutes together, and what the API has refused in them."""
    minutes, activity = report.performance.minutes, report.performance.activity
    if not minutes or activity is None:
        return
    first, start = minutes[0].minute, report.story.started_at
    seconds = MINUTE_S * -(-(minutes[-1].minute - first + 1) // MOST_POINTS)
    for number, group in groupby(minutes, key=lambda use: (use.minute - first) * MINUTE_S // seconds):
        used = utilisation(list(group), began_at=activity.began_at, ended_at=activity.ended_at)
        begin = first * MINUTE_S + number * seconds
        within = [one for one in report.moments if begin <= one.at < begin + seconds]
        refused = {name: sum(getattr(one, name) for one in within) for name, *_ in REFUSED}
        yield RateUse(begin - start, seconds, highest(list(used.values())), refused)


def latency_card(report: RunReport) -> Markup | None:
    """Draw how long answers took. None if nothing was streamed."""
    latencies, bins = report.performance.latencies, report.latency_bins
    if not latencies or not bins:
        return None
    title, times, longest = "Request latency", latencies.latency_s, bins[-1].most
    shown = {"p50": times.p50, "p95": times.p95, "p99": times.p99, "longest": longest}
    if latencies.first_byte_s:
        shown["first byte p50"] = latencies.first_byte_s.p50
    caption = " · ".join(f"{name} {brief(seconds)}" for name, seconds in shown.items())
    x = up_to(bins[-1].high, "seconds from the send to the last byte")
    plot = Plot(x, up_to(max(one.count for one in bins), "answers", least_step=1.0))
    said = [f"{one.low:g} to {one.high:g} s: {count(one.count, 'answer')}" for one in bins]
    if longest > bins[-1].high:
        said[-1] = f"{bins[-1].low:g} s and more: {count(bins[-1].count, 'answer')}"
    layers = [plot.box((one.low, 0), (one.high, one.count), "bar c1", words)
              for one, words in zip(bins, said, strict=True)]  # fmt: skip
    layers += [plot.upright(times.p50, f"p50 {brief(times.p50)}", row=0),
               plot.upright(times.p95, f"p95 {brief(times.p95)}", row=1)]  # fmt: skip
    rows = [tuple(words.split(": ")) for words in said]
    drawn = plot.drawn("latency-chart", title, caption, *layers)
    return chart_card("latency", title, caption, drawn, ("seconds", "answers"), rows)


def batches_card(report: RunReport) -> Markup | None:
    """Draw when batches were in progress. None for a run without batches."""
    if not report.batches:
        return None
    title, start = "Batches over time", report.story.started_at
    end = report.ended_at or max(one.ended_at or one.prepared_at for one in report.batches)
    rows, cells = [], []
    for one in report.batches:
        ended = one.ended_at or (end if one.state.open else one.prepared_at)
        begun_s, took_s = one.prepared_at - start, max(ended - one.prepared_at, 0.0)
        words = f"{one.state}, {count(one.requests, 'request')}, {duration(took_s)}"
        pieces = [Piece(begun_s, "nothing"), Piece(took_s, "stripes" if one.state.open else "c1", words)]
        rows.append(Bar(one.name, pieces, duration(took_s)))
        cells.append((one.name, str(one.state), f"{one.requests:,}", utc(one.prepared_at), utc(one.ended_at)))
    more = report.all_batches - len(rows)
    caption = f"{count(report.all_batches, 'batch', 'batches')}, from being prepared to being ended." + (
        f" The first {len(rows)} are shown, and {more:,} more are not." if more else ""
    )
    header = ("batch", "state", "requests", "prepared, UTC", "ended, UTC")
    return chart_card("batches", title, caption, bars("batches-chart", title, caption, rows), header, cells,
                      legend=(("bar c1", "ended"), ("bar stripes", "in progress")))  # fmt: skip


def tokens_card(report: RunReport) -> Markup | None:
    """Draw how the prompts compare with their estimates. None if nothing can be compared."""
    fit = report.fit
    if fit is None:
        return None
    title = "Token estimate against actual"
    caption = (
        f"Prompts had {abs(fit.bias):.1%} {'more' if fit.bias >= 0 else 'fewer'} tokens than estimated;"
        f" {fit.near:.0%} of {count(fit.prompts, 'prompt')} are within 10% of their estimate."
        f" The next plan of this job learns from these answers."
    )
    sizes, shares = [size for _, size, _ in fit.dots], [share for *_, share in fit.dots]
    x = Axis(min(sizes) * 0.9, max(sizes) * 1.1, "estimated input tokens (log scale)", is_log=True)
    reach = max(0.15, *(abs(share - 1) for share in shares))
    plot = Plot(x, Axis(max(1 - reach * 1.1, 0.0), 1 + reach * 1.1, "actual / estimate"))
    near = [[(x.low, 1 + side), (x.high, 1 + side)] for side in (0.1, -0.1)]
    layers = [plot.band(near[0], near[1]), plot.line([(x.low, 1.0), (x.high, 1.0)], "ink dashed")]
    layers += [plot.mark((size, share), "dot", "c2 dots", f"{name}: {size:,.0f} estimated, {share:.0%} actual")
               for name, size, share in fit.dots]  # fmt: skip
    furthest = sorted(fit.dots, key=lambda dot: (-abs(dot[2] - 1), dot[0]))[:20]
    rows = [(name, f"{size:,.0f}", f"{size * share:,.0f}", f"{share:.1%}") for name, size, share in furthest]
    shown = f"prompt ({len(fit.dots):,} of {fit.prompts:,})" if len(fit.dots) < fit.prompts else "prompt"
    header = ("document, the furthest first", "estimated", "actual", "share")
    entries = (("band", "within 10%"), ("mark disc c2", shown), ("line ink dashed", "as estimated"))
    drawn = plot.drawn("tokens-chart", title, caption, *layers)
    return chart_card("tokens", title, caption, drawn, header, rows, legend=entries)


def pace_cards(report: RunReport) -> Sequence[Markup | None]:
    """Return the cards that suit the route: a batch says nothing of latencies and of limits."""
    streamed = [] if report.story.route == Route.BATCH else [rates_card(report), latency_card(report)]
    return [*streamed, batches_card(report)]
