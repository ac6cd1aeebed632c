"""What a run has spent: over time, and by class of token."""

from dataclasses import asdict

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.report.charts.bars import Bar, Piece, bars
from batchrun.report.charts.card import chart_card
from batchrun.report.charts.plot import Plot
from batchrun.report.charts.scale import time_axis, up_to
from batchrun.report.facts import PENDING, RunReport
from batchrun.report.markup import Markup, tag
from batchrun.report.words import money_words
from batchrun.wording import count, duration, tokens

TITLE = "Spend against budget"
FAR = 3
"""How many times the spending and the estimate a budget may be, to be drawn beside them."""


def spend_card(report: RunReport) -> Markup | None:
    """Draw the spending over time, with the estimate of what was answered by then. None if nothing was answered."""
    totals, moments = report.totals, report.moments
    if not moments:
        return None
    start, last = report.story.started_at, moments[-1]
    most = max(totals.cost_nusd, totals.estimate_high_nusd)
    draws_cap = totals.cap_nusd <= FAR * most
    x, unit = time_axis(last.at - start)
    y = up_to(max(totals.cap_nusd if draws_cap else 0, most) / DOLLAR, "US dollars", "${0:,.{1}f}")
    plot = Plot(x, y)
    through = last.settled + report.outcomes.get(PENDING, 0) or 1
    times = [0.0, *((moment.at - start) / unit for moment in moments)]
    shares = [0.0, *(moment.settled / through for moment in moments)]
    spent = [0.0, *(moment.spent_nusd / DOLLAR for moment in moments)]
    said = [f"{dollars(usd * DOLLAR)} after {duration(time * unit)}" for time, usd in zip(times, spent, strict=True)]
    layers = [plot.line(list(zip(times, spent, strict=True)), "c1", said)]
    entries = [("line c1", "spent")]
    if totals.estimate_nusd:
        bounds = (totals.estimate_high_nusd / DOLLAR, totals.estimate_low_nusd / DOLLAR)
        upper, lower = ([(time, share * usd) for time, share in zip(times, shares, strict=True)] for usd in bounds)
        layers.insert(0, plot.band(upper, lower))
        entries.append(("band", "estimate, 90% interval"))
    if draws_cap:
        layers.append(plot.across(totals.cap_nusd / DOLLAR, f"budget {dollars(totals.cap_nusd)}"))
    caption = money_words(report)
    rows = [
        (duration(time * unit), dollars(usd * DOLLAR), f"{share:.0%}")
        for time, usd, share in zip(times, spent, shares, strict=True)
    ]
    drawn = plot.drawn("spend-chart", TITLE, caption, *layers)
    return chart_card("spend", TITLE, caption, drawn, ("after", "spent", "answered"), rows, legend=entries)


def classes_card(report: RunReport) -> Markup | None:
    """Draw what each class of token cost, thinking apart from other output. None if nothing was paid."""
    sums, spent = report.spending.classes, report.spending.tokens
    if not report.spending.cost_nusd:
        return None
    thought = spent.thinking_tokens or 0
    thinking = round(sums.output * thought / spent.output_tokens) if spent.output_tokens else 0
    found = (
        ("input", spent.input_tokens, sums.input),
        ("cache write, 5 minutes", spent.cache_write_5m_tokens, sums.cache_write_5m),
        ("cache write, 1 hour", spent.cache_write_1h_tokens, sums.cache_write_1h),
        ("cache read", spent.cache_read_tokens, sums.cache_read),
        ("output, without thinking", spent.output_tokens - thought, sums.output - thinking),
        ("thinking", thought, thinking),
        ("before prices were recorded", 0, report.spending.unclassed_nusd),
    )
    rows = [(name, number, nusd) for name, number, nusd in found if number or nusd]
    title, total = "Cost by class of token", report.spending.cost_nusd
    use, totals = report.cache_use, report.totals
    saved = f" The prompt cache saved {dollars(use.saved_nusd)}." if use and use.saved_nusd > 0 else ""
    caption = f"{tokens(totals.input_tokens)} tokens in, {tokens(totals.output_tokens)} out.{saved}"
    shown = [
        Bar(name, [Piece(nusd, "c1", f"{name}: {dollars(nusd)}")], f"{nusd / total:.0%}") for name, _, nusd in rows
    ]
    cells = [(name, f"{number:,}", dollars(nusd), f"{nusd / total:.1%}") for name, number, nusd in rows]
    prices = tag("ul", *(tag("li", words) for words in _prices(report)), class_="caption")
    drawn = bars("classes-chart", title, caption, shown)
    return chart_card("classes", title, caption, drawn, ("class", "tokens", "cost", "share"), cells, prices)


def _prices(report: RunReport) -> list[str]:
    """Say by which prices the attempts were priced, in US dollars for a million tokens."""
    lines = []
    for used in report.prices:
        row = used.row
        usd = {name: f"${nusd / row.divisor / 1e3:g}" for name, nusd in asdict(row.rates).items()}
        above = f", prompts above {row.above_tokens:,} tokens" if row.above_tokens else ""
        batches = ", in batches" if row.divisor != 1 else ""
        lines.append(
            f"{row.model}{above}{batches}: {usd['input']} in, {usd['output']} out, {usd['cache_write_5m']} and"
            f" {usd['cache_write_1h']} cache written for 5 minutes and 1 hour, {usd['cache_read']} cache read, for a"
            f" million tokens; {row.source} of {row.table_date}; {count(used.attempts, 'attempt')}"
        )
    return lines
