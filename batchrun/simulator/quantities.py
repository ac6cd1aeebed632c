"""Which number of a document a field asks for."""

from batchrun.simulator.findings import Duration
from batchrun.simulator.reading import Reading
from batchrun.simulator.topic import Topic

_DURATION_WORDS = ("month", "week", "day", "year", "term", "duration", "period")
_MONEY_WORDS = (
    "amount",
    "balance",
    "budget",
    "cap",
    "cost",
    "eur",
    "fee",
    "gbp",
    "limit",
    "payment",
    "price",
    "rent",
    "salary",
    "sum",
    "total",
    "usd",
    "value",
)


def quantity_about(topic: Topic, reading: Reading) -> float | None:
    """Return the duration, amount of money or number that is nearest to the topic, or None."""
    if topic.names(*_DURATION_WORDS):
        duration = reading.nearest(reading.durations, topic)
        return _in_unit(duration, topic) if duration else None
    if topic.names(*_MONEY_WORDS) and reading.money:
        money = reading.nearest(reading.money, topic)
        return money.amount if money else None
    return reading.nearest(reading.numbers, topic)


def _in_unit(duration: Duration, topic: Topic) -> int:
    if topic.names("day"):
        return duration.days
    if topic.names("week"):
        return duration.days // 7
    if topic.names("year"):
        return duration.months // 12
    return duration.months
