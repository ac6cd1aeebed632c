"""The speed of a run and the causes of its waits, for people and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from batchrun.cli.views.format import duration, table, tokens
from batchrun.escaping import escape_control
from batchrun.report.summary_json import share_fields
from batchrun.store.ledger.records import MinuteUse, Waited
from batchrun.store.ledger.run_metrics import Latencies
from batchrun.store.reports.performance import Performance
from batchrun.store.reports.utilisation import binding, minute_shares
from batchrun.strategy.duration import Bound
from batchrun.wording import brief

SHOWN_MINUTES = 10
LEAST_SHARE = 0.01
"""The least share of a limit that is shown."""
LEAST_SHOWN_S = 0.05
"""The least wait that is shown: a shorter wait would read 0.0 s."""


def pace_lines(performance: Performance) -> list[str]:
    """Speed, latency, waits, and the models if there are several; what the run did not measure has no line."""
    lines = []
    if speed := speed_words(performance):
        lines.append(f"  speed    {speed}")
    if performance.latencies:
        lines.append(f"  latency  {latency_words(performance.latencies)}")
    if waited := waited_words(performance.waits):
        lines.append(f"  waited   {waited}")
    if len(performance.answered_by) > 1:
        models = [f"{escape_control(model)} {number:,}" for model, number in performance.answered_by.items()]
        lines.append(f"  models   {' · '.join(models)}")
    return lines


def retried_lines(retried: Mapping[str, int]) -> list[str]:
    """Attempts that failed and were repeated, by cause."""
    words = [f"{number} after {cause.removeprefix('http_')}" for cause, number in retried.items()]
    return [f"  retried  {', '.join(words)}"] if words else []


def speed_words(performance: Performance) -> str:
    """Documents a minute and the limit that bound them; empty for a run that was over at once."""
    speed, shares = performance.settled_per_minute, performance.shares
    if speed is None:
        return ""
    words = f"{speed:,.1f} documents/min" if speed < 100 else f"{speed:,.0f} documents/min"
    if (bound := binding(shares)) and (share := shares[bound]) >= LEAST_SHARE:
        words += f" · {bound} {share:.0%} of the limit"
    return words


def latency_words(latencies: Latencies) -> str:
    """Percentiles of the latency, and the median of the time to the first byte."""
    whole, first = latencies.latency_s, latencies.first_byte_s
    words = [f"p50 {brief(whole.p50)}", f"p95 {brief(whole.p95)}", f"p99 {brief(whole.p99)}"]
    return " · ".join([*words, f"first byte p50 {brief(first.p50)}"] if first else words)


def waited_words(waits: Sequence[Waited]) -> str:
    """The causes that delayed requests, the longest first, without causes that are small beside the longest."""
    most_s = max((one.seconds for one in waits), default=0.0)
    shown = [
        f"{escape_control(one.cause)} {duration(one.seconds)}"
        for one in waits
        if one.seconds >= LEAST_SHOWN_S and (one.seconds >= 1.0 or one.seconds >= most_s / 100)
    ]
    return f"{' · '.join(shown)} (all requests together)" if shown else ""


def minutes_table(minutes: Sequence[MinuteUse], *, width: int | None) -> str:
    """The last minutes, with what was sent and produced and with the share of each limit."""
    first = minutes[-1].minute - SHOWN_MINUTES + 1 if minutes else 0
    shown = [use for use in minutes if use.minute >= first]
    header = ("MINUTE (UTC)", "MODEL", "REQUESTS", "INPUT", "OUTPUT")
    return table(header, [minute_row(use) for use in shown], width=width)


def minute_row(use: MinuteUse) -> tuple[str, ...]:
    """One line of the table."""
    shares = minute_shares(use)
    return (
        f"{datetime.fromtimestamp(use.minute * 60, UTC):%H:%M}",
        use.model,
        with_share(f"{use.requests:,}", shares.get(Bound.REQUESTS)),
        with_share(tokens(use.input_tokens), shares.get(Bound.INPUT_TOKENS)),
        with_share(tokens(use.output_tokens), shares.get(Bound.OUTPUT_TOKENS)),
    )


def with_share(amount: str, share: float | None) -> str:
    """`1.86M 93%`; the amount alone where no limit is known."""
    return amount if share is None else f"{amount} {share:.0%}"


# --- for programs


def minute_fields(use: MinuteUse) -> dict[str, object]:
    """One minute of one model, for programs."""
    fields = asdict(use)
    minute = datetime.fromtimestamp(fields.pop("minute") * 60, UTC)
    return {"minute": f"{minute:%Y-%m-%dT%H:%MZ}", **fields, "utilisation": share_fields(minute_shares(use))}
