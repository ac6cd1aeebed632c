"""What a lease service has granted, for people and for programs."""

from collections.abc import Sequence

from batchrun.budget.cap_text import called, quantity
from batchrun.budget.caps import Cap
from batchrun.cli.views.format import iso, table, utc
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control
from batchrun.leases.books import Grant
from batchrun.report.summary_json import cap_as_json


def show_leases(caps: Sequence[Cap], grants: Sequence[Grant], *, now: float, terminal: Terminal) -> None:
    """Show the caps with what is left, and below what each holder has of them today or this month."""
    if terminal.json:
        for cap in caps:
            terminal.event("cap", **cap_as_json(cap, cap.left))
        for one in grants:
            amounts = {"granted": one.granted, "used": one.used, "expires_at": iso(one.expires_at)}
            terminal.event(
                "lease", holder=one.holder, host=one.host, key=one.cap.key, counts=str(one.cap.of), **amounts
            )
        return
    left = [(called(cap), quantity(cap, cap.limit), quantity(cap, cap.left or 0)) for cap in caps]
    terminal.result(table(("CAP", "LIMIT", "LEFT"), left))
    rows = [
        (
            one.holder,
            escape_control(one.host),
            called(one.cap),
            quantity(one.cap, one.granted),
            quantity(one.cap, one.used),
            f"{utc(one.expires_at)}{', expired' if one.expires_at <= now else ''}",
        )
        for one in grants
    ]
    if rows:
        terminal.result("\n" + table(("HOLDER", "HOST", "CAP", "GRANTED", "USED", "EXPIRES (UTC)"), rows))
