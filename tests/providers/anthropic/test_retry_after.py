"""When the API says to come back."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.providers.anthropic.retry_after import LONGEST_S, retry_after_s, server_time

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"

CASES: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing": ({}, None),
    "seconds": ({"retry-after": "7"}, 7),
    "a fraction": ({"retry-after": "0.5"}, 0.5),
    "spaces": ({"retry-after": " 3 "}, 3),
    "zero": ({"retry-after": "0"}, 0),
    "milliseconds": ({"retry-after-ms": "250"}, 0.25),
    "milliseconds before seconds": ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    "nonsense in milliseconds": ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
    "a date, by the server's clock": ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": DATE}, 30),
    "a date in another zone": ({"retry-after": "Wed, 21 Oct 2026 09:28:30 +0200", "date": DATE}, 30),
    "a date of no zone": ({"retry-after": "Wed, 21 Oct 2026 07:28:30 -0000", "date": DATE}, 30),
    "a date that is over": ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": DATE}, 0),
    "a date far away": ({"retry-after": "Wed, 21 Oct 2126 07:27:00 GMT", "date": DATE}, LONGEST_S),
    "negative": ({"retry-after": "-5"}, 0),
    "a day": ({"retry-after": "86400"}, LONGEST_S),
    "huge": ({"retry-after": "1e300"}, LONGEST_S),
    "infinite": ({"retry-after": "inf"}, None),
    "not a number": ({"retry-after": "nan"}, None),
    "empty": ({"retry-after": ""}, None),
    "words": ({"retry-after": "later"}, None),
    "a year that no date can hold": ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, None),
    "an offset that no date can hold": ({"retry-after": "Wed, 21 Oct 2026 07:28:00 +99999999999"}, None),
    "an offset beyond the last year": ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2300", "date": DATE}, None),
    "a date that cannot be read beside": ({"retry-after": "5", "date": "Wed, 21 Oct 2026 07:28:00 +9999999"}, 5),
    "a novel": ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" + " " * 10_000 + "x"}, None),
    "an impossible date": ({"retry-after": "Wed, 31 Feb 2026 07:28:00 GMT", "date": DATE}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_headers_say(case: str) -> None:
    headers, seconds = CASES[case]

    assert retry_after_s(headers) == seconds


def test_without_the_servers_clock_ours_counts() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)

    assert 95 < (retry_after_s({"retry-after": until}) or 0) <= 100


ODD_DATES = st.builds(
    "{}, {:02} {} {} {}:{}:{} {}{}".format,
    st.sampled_from(["Wed", "Xyz"]),
    st.integers(0, 99),
    st.sampled_from(["Oct", "Feb", "Dec", "x"]),
    st.integers(0, 10**20),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["+", "-", "GMT", ""]),
    st.integers(0, 10**12),
)


@given(ODD_DATES, ODD_DATES)
def test_no_date_ever_raises(until: str, date: str) -> None:
    seconds = retry_after_s({"retry-after": until, "date": date})

    assert seconds is None or 0 <= seconds <= LONGEST_S
    server_time({"date": date})


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()))
def test_no_header_is_ever_more_than_a_wait(headers: dict[str, str]) -> None:
    seconds = retry_after_s(headers)

    assert seconds is None or 0 <= seconds <= LONGEST_S
