"""What a person reads when an answer reports usage that cannot be."""

from batchrun.cli.views.progress import usage_doubted
from batchrun.events import UsageDoubted
from batchrun.reply import Usage


def test_usage_that_cannot_be_is_said_with_its_numbers_and_what_follows() -> None:
    said = usage_doubted(UsageDoubted("claude-x", Usage(100, 0, 0, 50, 1_000_000)))

    assert said == (
        "an answer of claude-x reports 150 input tokens and 1,000,000 of output, more than its request allows:"
        " such usage counts as not told, and the worst case stays reserved (said once)"
    )
