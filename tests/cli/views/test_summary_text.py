"""The summary says what nobody knows the cost of."""

import pytest
from scripted_provider import ScriptedProvider, Step, answer, lost
from trial_project import TrialProject

from batchrun.cli.views.summary_text import summary_as_text
from batchrun.cli.views.terminal import Terminal

UNTOLD = answer(usage=None)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([answer()], None),
        ([lost(), answer()], "lost     1 answer never arrived and may have been billed: $0.00"),
        ([UNTOLD], "unknown  2 answers came without usage that can be believed: $0.00"),
        ([lost(), UNTOLD], "unknown  2 answers came without usage that can be believed, and 1 answer never arrived"),
    ],
)
def test_what_is_held_for_answers(project: TrialProject, steps: list[Step], words: str | None) -> None:
    path = project.job(retry='initial_delay = "0.01s"')
    project.documents(2)
    provider = ScriptedProvider({"text 0": steps}, default=steps[-1])

    summary = project.submit(provider)
    text = summary_as_text(summary, path, Terminal.of([]))

    assert ("counted against the budget" in text) == bool(words)
    assert words is None or f"\n  {words}" in text
    assert ("estimate $" in text) == (UNTOLD not in steps), "a cost that is not known is not held against the estimate"
