"""How fast a run was: the use of its rate limits, the latency of its answers, and the life of its batches."""

from collections.abc import Sequence
from itertools import groupby

from batchrun.report.charts.bars import Bar, Piece, bars
from batchrun.report.charts.card import card, data_table, legend
from batchrun.report.charts.plot import Plot
from batchrun.report.charts.scale import Axis, time_axis, up_to
from batchrun.report.facts import RunReport
from batchrun.report.markup import Markup
from batchrun.report.words import is_batched, pace_words
from batchrun.store.reports.utilisation import MINUTE_S, Shares, highest, utilisation
from batchrun.strategy.duration import Bound
from batchrun.wording import brief, count, duration, utc

MOST_POINTS = 60
"""How many points a line has: the minutes of a long run are put together."""
KINDS = {Bound.REQUESTS: "c2 dotted", Bound.INPUT_TOKENS: "c1", Bound.OUTPUT_TOKENS: "c3 dashed"}
"""How the line of each limit looks."""


def rates_card(report: RunReport) -> Markup | None:
    """Draw the share of each limit that was used. None for a run that did not stream, or whose limits are not known."""
    if not (uses := _uses(report)) or not report.performance.shares:
        return None
    title = "Rate-limit use"
    minute = len(report.performance.minutes) and uses[0][1]
    most = max(max(shares.values(), default=0.0) for _, _, shares in uses)
    x, unit = time_axis(max(report.seconds, uses[-1][0] + MINUTE_S * minute))
    plot = Plot(x, Axis(0.0, max(most, 1.0) * 1.25, "share of the limit", "{0:.0%}"))
    known = [bound for bound in KINDS if bound in report.performance.shares]
    layers = [plot.across(1.0, "limit")]
    for bound in known:
        points = [(max(at, 0.0) / unit, shares[bound]) for at, _, shares in uses if bound in shares]
        said = [f"{bound}: {share:.1%} of the limit" for _, share in points]
        layers += [plot.line(points, KINDS[bound], said)]
        layers += [plot.mark(point, "disc", KINDS[bound].split()[0], words)
                   for point, words in zip(points, said, strict=True) if len(points) < 4]  # fmt: skip
    entries = [(f"line {KINDS[bound]}", str(bound)) for bound in known]
    refused = (("limited", "triangle", "c4", "429 rate limited"), ("overloaded", "square", "c5", "529 overloaded"))
    for name, shape, kind, words in refused:
        if hits := [(one.at, number) for one in report.moments if (number := getattr(one, name))]:
            layers += [
                plot.mark(
                    ((at - report.story.started_at) / unit, plot.y.high * 0.96), shape, kind, f"{words}: {number:,}"
                )
                for at, number in hits
            ]
            entries.append((f"mark {shape} {kind}", words))
    cells = [
        (utc(report.story.started_at + at), *(f"{shares[bound]:.1%}" if bound in shares else "" for bound in known))
        for at, _, shares in uses
    ]
    caption = pace_words(report)
    header = ("from, UTC", *map(str, known))
    note = f"Each line is {count(minute, 'minute')}."
    return card("rates", title, caption, legend(*entries), plot.drawn("rates-chart", title, caption, *layers),
                data_table(title, header, cells, note))  # fmt: skip


def _uses(report: RunReport) -> list[tuple[float, int, Shares]]:
    """Put minutes together: when they begin, in seconds after the start, how many they are, and the shares used."""
    pace, activity = report.performance, report.performance.activity
    if not pace.minutes or activity is None:
        return []
    first, last = pace.minutes[0].minute, pace.minutes[-1].minute
    size = -(-(last - first + 1) // MOST_POINTS)
    found = []
    for number, group in groupby(pace.minutes, key=lambda use: (use.minute - first) // size):
        used = utilisation(list(group), began_at=activity.began_at, ended_at=activity.ended_at)
        begin = (first + number * size) * MINUTE_S - report.story.started_at
        found.append((begin, size, highest(list(used.values()))))
    return found


def latency_card(report: RunReport) -> Markup | None:
    """Draw how long answers took. None if nothing was streamed."""
    latencies, bins = report.performance.latencies, report.latency_bins
    if not latencies or not bins or report.longest_s is None:
        return None
    title, times = "Request latency", latencies.latency_s
    caption = (
        f"p50 {brief(times.p50)} · p95 {brief(times.p95)} · p99 {brief(times.p99)} · longest {brief(report.longest_s)}"
    )
    if latencies.first_byte_s:
        caption += f" · first byte p50 {brief(latencies.first_byte_s.p50)}"
    x = up_to(bins[-1].high, "seconds from the send to the last byte")
    plot = Plot(x, up_to(max(one.count for one in bins), "answers"))
    said = [f"{one.low:g} to {one.high:g} s: {count(one.count, 'answer')}" for one in bins]
    if report.longest_s > bins[-1].high:
        said[-1] = f"{bins[-1].low:g} s and more: {count(bins[-1].count, 'answer')}"
    layers = [plot.box((one.low, 0), (one.high, one.count), "bar c1", words)
              for one, words in zip(bins, said, strict=True)]  # fmt: skip
    layers += [plot.upright(times.p50, f"p50 {brief(times.p50)}", row=0),
               plot.upright(times.p95, f"p95 {brief(times.p95)}", row=1)]  # fmt: skip
    rows = [tuple(words.split(": ")) for words in said]
    return card("latency", title, caption, plot.drawn("latency-chart", title, caption, *layers),
                data_table(title, ("seconds", "answers"), rows))  # fmt: skip


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
    return card("batches", title, caption, legend(("bar c1", "ended"), ("bar stripes", "in progress")),
                bars("batches-chart", title, caption, rows),
                data_table(title, ("batch", "state", "requests", "prepared, UTC", "ended, UTC"), cells))  # fmt: skip


def tokens_card(report: RunReport) -> Markup | None:
    """Draw how the prompts compare with their estimates. None if nothing can be compared."""
    fit = report.fit
    if fit is None:
        return None
    title = "Token estimate against actual"
    caption = (
        f"Prompts had {abs(fit.bias):.1%} {'more' if fit.bias >= 0 else 'fewer'} tokens than estimated;"
        f" {fit.near:.0%} of {count(fit.documents, 'document')} are within 10% of their estimate."
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
    shown = f"document ({len(fit.dots):,} of {fit.documents:,})" if len(fit.dots) < fit.documents else "document"
    return card("tokens", title, caption, legend(("band", "within 10%"), ("mark disc c2", shown),
                                                 ("line ink dashed", "as estimated")),
                plot.drawn("tokens-chart", title, caption, *layers),
                data_table(title, ("document", "estimated", "actual", "share"), rows,
                           "The shown documents that are furthest from their estimate."))  # fmt: skip


def pace_cards(report: RunReport) -> Sequence[Markup | None]:
    """Return the cards that suit the route: a batch says nothing of latencies and of limits."""
    timeline = batches_card(report)
    return [timeline] if is_batched(report) else [rates_card(report), latency_card(report), timeline]
