"""Days and months, in UTC, as whole numbers of days since 1970."""

from datetime import date, timedelta

DAY_S = 86_400
_EPOCH = date(1970, 1, 1)


def day_of(seconds: float) -> int:
    """Find the day of a time in seconds since 1970."""
    return int(seconds // DAY_S)


def month_of(day: int) -> range:
    """List all days of the month that a day is in."""
    first = (_EPOCH + timedelta(days=day)).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return range((first - _EPOCH).days, (following - _EPOCH).days)
