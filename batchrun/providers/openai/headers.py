"""The headers of OpenAI's answers, said as the Messages API says them."""

import re
from collections.abc import Iterator, Mapping

from batchrun.providers.anthropic.rate_limit_headers import PREFIX

TOLD = "x-ratelimit"
SHARED = {"requests": ("requests",), "tokens": ("input-tokens", "output-tokens")}
"""Which limits here each limit there is. Input and output share one limit, so that either may be what is used up."""
OF_A_DAY = 10
"""A limit that takes so many minutes to be free again is not one of a minute, and says nothing of the pace."""
_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def as_messages_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, whose names are in lower case, with the limits as the Messages API would have told them."""
    return {**headers, **dict(_limits(headers))}


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for there, names in SHARED.items():
        limit, remaining = (headers.get(f"{TOLD}-{what}-{there}") for what in ("limit", "remaining"))
        if limit and not _is_of_a_day(limit, remaining or "", headers.get(f"{TOLD}-reset-{there}", "")):
            for name in names:
                yield f"{PREFIX}{name}-limit", limit
                yield f"{PREFIX}{name}-remaining", remaining or ""


def _is_of_a_day(limit: str, remaining: str, reset: str) -> bool:
    """Whether what was used of a limit comes back far too slowly for a limit of a minute."""
    try:
        used = (int(limit) - int(remaining)) / int(limit)
    except (ValueError, ZeroDivisionError):
        return False
    reset_s = sum(float(number) * _SECONDS[unit] for number, unit in _TIME.findall(reset))
    return used > 0 and reset_s / used > OF_A_DAY * 60
