"""What came before a run: what a tune of the job has found, and the previous run."""

from batchrun.catalog.money import dollars
from batchrun.job.decisive_keys import ChangedKey
from batchrun.report.charts.card import card, chart_card, table
from batchrun.report.charts.plot import Plot
from batchrun.report.charts.scale import Axis, up_to
from batchrun.report.facts import RunReport
from batchrun.report.markup import Markup, tag
from batchrun.wording import count, duration, utc

PER = 1_000
"""Prices are shown for so many documents."""
ENDINGS = {
    "found": "{0} holds the target of {1} right fields",
    "undecided": "More documents have to show whether {0} holds the target of {1} right fields",
    "none": "No setting holds the target of {1} right fields",
    "stopped": "The tune stopped before its verdict about the target of {1} right fields",
}
MOST_KEYS = 12
LONGEST_VALUE = 60
"""How many characters of a key's value are shown."""


def frontier_card(report: RunReport) -> Markup | None:
    """Draw the settings of the job's last tune by cost and accuracy. None if the job was not tuned."""
    found, title = report.frontier, "Settings tried by tune"
    if found is None:
        return None
    judged = [one for one in found.points if one.accuracy]
    against = "the answers of the strongest setting" if found.by_agreement else "gold labels"
    caption = f"{ENDINGS.get(found.ending, '{0}')}, held against {against}.".format(found.chosen, f"{found.target:.1%}")
    rows = [
        (one.setting, one.state, f"{one.documents:,}", f"{one.accuracy.mean:.1%}" if one.accuracy else "",
         f"{one.accuracy.low:.1%} to {one.accuracy.high:.1%}" if one.accuracy else "",
         dollars(PER * one.cost_nusd.mean))
        for one in found.points
    ]  # fmt: skip
    header = ("setting", "state", "documents", "right", "90% interval", f"cost of {PER:,}")
    if not judged:
        return card("frontier", title, caption, table(title, header, rows))
    low = min(found.target, *(one.accuracy.low for one in judged if one.accuracy))
    x = up_to(max(one.cost_nusd.mean for one in judged) * PER / 1e9 * 1.05, f"cost of {PER:,} documents", "${0:,.{1}f}")
    plot = Plot(x, Axis(max(low - 0.02, 0.0), 1.0, "right fields", "{0:.0%}"))
    layers = [plot.across(found.target, f"target {found.target:.1%}")]
    for one in judged:
        usd, share = PER * one.cost_nusd.mean / 1e9, one.accuracy or one.cost_nusd
        shape, kind = ("diamond", "c4") if one.setting == found.chosen else ("disc", "c1")
        words = f"{one.setting}: {share.mean:.1%} right for ${usd:,.2f}, {one.state}"
        layers += [
            plot.line([(usd, share.low), (usd, share.high)], kind),
            plot.mark((usd, share.mean), shape, kind, words),
        ]
    entries = (("mark diamond c4", "the setting that the tune names"), ("mark disc c1", "others, with 90% intervals"))
    drawn = plot.drawn("frontier-chart", title, caption, *layers)
    return chart_card("frontier", title, caption, drawn, header, rows, legend=entries)


def previous_card(report: RunReport) -> Markup | None:
    """Compare the run with the one before. None if no run of the job had finished before."""
    before = report.previous
    if before is None:
        return None
    rows = [
        ("run", before.story.run_id, report.story.run_id),
        ("started, UTC", utc(before.story.started_at), utc(report.story.started_at)),
        ("model", before.model, report.model),
        ("documents", f"{before.documents:,}", f"{report.documents:,}"),
        ("failed", _failed(before.failed, before.documents), _failed(report.failed, report.documents)),
        ("cost", dollars(before.totals.cost_nusd), dollars(report.totals.cost_nusd)),
        ("attempts", f"{before.totals.attempts:,}", f"{report.totals.attempts:,}"),
        ("wall time", duration(before.seconds), duration(report.seconds)),
    ]  # fmt: skip
    changed = before.changed
    if changed is None:
        caption = "Which keys of the job file have changed is not known: an earlier version made one of the plans."
    elif changed:
        caption = f"{count(len(changed), 'key')} of the job file changed:"
    else:
        caption = "No key of the job file that decides about answers has changed."
    keys = tag("ul", *(tag("li", _change(one)) for one in (changed or ())[:MOST_KEYS]), class_="caption")
    title = "Compared with the previous run"
    return card("previous", title, caption, *([keys] if changed else []), table(title, ("what", "before", "now"), rows))


def _failed(failed: int, documents: int) -> str:
    return f"{failed:,} ({failed / documents:.1%})" if documents else "0"


def _change(key: ChangedKey) -> str:
    if key.is_text:
        return f"{key.key}: {'added' if key.before is None else 'taken out' if key.now is None else 'another text'}"
    before, now = (("the default" if one is None else one[:LONGEST_VALUE]) for one in (key.before, key.now))
    return f"{key.key}: {before} → {now}"
