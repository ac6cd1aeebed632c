"""A run in progress, for people and for programs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from batchrun.catalog.money import dollars
from batchrun.cli.views.format import cut, duration, iso
from batchrun.cli.views.metrics_text import LEAST_SHARE
from batchrun.escaping import escape_control, shown_path
from batchrun.outcome import named_counts
from batchrun.report.summary_json import share_fields
from batchrun.store.reports.live import LastError, LiveRun
from batchrun.store.reports.runs import RunStory
from batchrun.store.reports.utilisation import Shares

BINDS = 0.8
"""The share of a limit from which on the limit keeps a run from being faster."""
SHOWN_ID = 40
"""How many columns the id of a document has beside its error."""


def live_lines(story: RunStory, live: LiveRun, *, now: datetime, width: int | None) -> Iterator[str]:
    """Yield when the run ends, what it has spent and brought, the limits in use, and its last errors."""
    if live.left_s is not None:
        yield f"  ends     about {now + timedelta(seconds=live.left_s):%H:%M} UTC, in {duration(live.left_s)}"
    pretend = " (pretend)" if story.simulated else ""
    share = f" ({story.committed_nusd / story.cap_nusd:.0%})" if story.cap_nusd else ""
    reserved = f" · {dollars(story.held_nusd)} reserved" if story.held_nusd else ""
    spent = dollars(story.committed_nusd - story.held_nusd)
    yield f"  spent    {spent}{pretend} of {dollars(story.cap_nusd)}{share}{reserved}"
    yield f"  outcomes {' · '.join(f'{outcome} {number:,}' for outcome, number in named_counts(live.outcomes).items())}"
    if limits := limits_words(live.shares):
        yield f"  limits   {limits}"
    for number, error in enumerate(live.errors):
        yield cut(f"  {'' if number else 'errors':<9}{error_words(error)}", width)


def limits_words(shares: Shares) -> str:
    """`input tokens 93% binds · requests 6%`: the limits that the last minute or two have used, the largest first."""
    each = sorted(((share, limit) for limit, share in shares.items() if share >= LEAST_SHARE), reverse=True)
    return " · ".join(f"{limit} {share:.0%}{' binds' if share >= BINDS else ''}" for share, limit in each)


def error_words(error: LastError) -> str:
    """`09:20:01 UTC  nda-0579  http_529  overloaded`."""
    at = f"{datetime.fromtimestamp(error.ended_at, UTC):%H:%M:%S} UTC  " if error.ended_at else ""
    return f"{at}{shown_path(error.doc_id, SHOWN_ID)}  {error.what}  {escape_control(error.why)}".rstrip()


def live_fields(live: LiveRun) -> dict[str, object]:
    """Return how a run in progress stands, for programs."""
    return {
        "counts": named_counts(live.outcomes),
        "eta_s": live.left_s and round(live.left_s, 1),
        "limits": share_fields(live.shares),
        "errors": [{**one._asdict(), "ended_at": iso(one.ended_at)} for one in live.errors],
    }
