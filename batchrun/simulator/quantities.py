"""Which number of a document a field asks for."""

from batchrun.simulator.findings import Duration
from batchrun.simulator.reading import Reading
from batchrun.simulator.topic import Topic

_LONGEST_MONTHS = 600  # longer ones are return periods of floods and the like
_DURATION_WORDS = ("month", "week", "day", "year", "term", "duration", "period")
_MONEY_WORDS = ("amount", "budget", "cap", "cost", "eur", "fee", "gbp", "payment", "price", "rent", "salary", "usd")
_COUNTED_WORDS = ("balance", "limit", "sum", "total", "value")
"""Money if there is any, else any number."""
_CURRENCIES = {"USD", "EUR", "GBP", "CHF"}


def quantity_about(topic: Topic, reading: Reading) -> float | None:
    """Return the duration, amount of money or number that is nearest to the topic, or None."""
    if topic.names(*_DURATION_WORDS):
        units = {"day", "week"} if topic.names("day", "week") else {"month", "year"}
        asked = [
            each for each in reading.durations if each.value.unit in units and each.value.months <= _LONGEST_MONTHS
        ]
        duration = reading.nearest(asked, topic)
        return _in_unit(duration, topic) if duration else None
    if topic.names(*_MONEY_WORDS) or (topic.names(*_COUNTED_WORDS) and reading.money):
        currencies = {word.upper() for word in topic.words} & _CURRENCIES
        amounts = [each for each in reading.money if not currencies or each.value.currency in currencies]
        money = reading.nearest(amounts, topic)
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
