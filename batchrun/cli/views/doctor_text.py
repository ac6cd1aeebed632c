"""The checks of `doctor`, for people and for programs."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from batchrun.cli.doctor.check import Check, Verdict
from batchrun.cli.next_command import as_called
from batchrun.cli.views.format import count
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, readable_json
from batchrun.masking import masked

COLORS = {Verdict.OK: "green", Verdict.SKIPPED: "blue", Verdict.WARNING: "yellow", Verdict.BROKEN: "red"}


def show_checks(found: Sequence[Check], terminal: Terminal) -> None:
    """Print each check and the sum of them, or one JSON object; with -q only the checks of things not in order."""
    verdicts = Counter(one.verdict for one in found)
    if terminal.json:
        ok, shown = not verdicts[Verdict.BROKEN], [asdict(one) for one in found]
        terminal.result(readable_json({"v": 1, "ok": ok, "checks": shown}, indent=2))
        return
    width = max(len(escape_control(one.name)) for one in found)
    for one in found:
        if terminal.quiet and one.verdict in {Verdict.OK, Verdict.SKIPPED}:
            continue
        verdict = terminal.styled(f"{one.verdict:7}", sys.stdout, fg=COLORS[one.verdict])
        words = "\n".join(map(escape_control, one.words.split("\n")))
        terminal.result(f"{verdict}  {escape_control(one.name).ljust(width)}  {words}")
        if one.fix:  # whole, so that it can be pasted
            terminal.exact(masked(f"{'':{9 + width}}  fix: {escape_control(as_called(one.fix))}\n"))
    if not terminal.quiet:
        terminal.result(f"{count(verdicts[Verdict.WARNING], 'warning')}, {verdicts[Verdict.BROKEN]} broken")
