"""What a lease service has granted, for people and for programs."""

from batchrun.budget.cap_text import called, quantity
from batchrun.budget.caps import Of
from batchrun.cli.views.format import iso, table, utc
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, readable_json
from batchrun.leases.books import Books
from batchrun.report.summary_json import cap_as_json


def show_leases(books: Books, *, now: float, terminal: Terminal) -> None:
    """Show the caps with what is left, and below what each holder has of them today or this month."""
    caps, grants = books.caps_left(now=now), books.grants(now=now)
    if terminal.json:
        units = [1 if one.cap.of is Of.TOKENS else 1e9 for one in grants]
        leases = [
            {"holder": one.holder, "host": one.host, "key": one.cap.key, "counts": str(one.cap.of),
             "granted": one.granted / unit, "used": one.used / unit, "expires_at": iso(one.expires_at)}
            for one, unit in zip(grants, units, strict=True)
        ]  # fmt: skip
        told = {"v": 1, "caps": [cap_as_json(cap, cap.left) for cap in caps], "leases": leases}
        terminal.result(readable_json(told, indent=2))
        return
    left = [(called(cap), quantity(cap, cap.limit), quantity(cap, cap.left or 0)) for cap in caps]
    terminal.result(table(("CAP", "LIMIT", "LEFT"), left))
    rows = [
        (one.holder, escape_control(one.host), called(one.cap), quantity(one.cap, one.granted),
         quantity(one.cap, one.used), f"{utc(one.expires_at)}{', expired' if one.expires_at <= now else ''}")
        for one in grants
    ]  # fmt: skip
    if rows:
        terminal.result("\n" + table(("HOLDER", "HOST", "CAP", "GRANTED", "USED", "EXPIRES (UTC)"), rows))
