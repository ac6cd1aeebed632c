"""The guessed length of a reply that merges the replies over the parts of a document."""

from batchrun.estimation.interval import Interval
from batchrun.planning.merging_estimate import merged_reply


def test_it_is_between_one_reply_and_all_of_them() -> None:
    assert merged_reply(Interval(100, 50, 200), 7, most=10_000) == Interval(400, 50, 1400)


def test_it_is_never_longer_than_the_job_allows() -> None:
    assert merged_reply(Interval(100, 50, 200), 7, most=300) == Interval(300, 50, 300)
