"""A quote that stands in the document supports a value only if the quote says the value."""

import pytest

from batchrun.answers.evidence.located import MISSING, NO_TEXT, Located
from batchrun.answers.evidence.value_check import check_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1500, "pay $1,500 within"),
        (1500.5, "pay $1,500.50 within"),
        (1500.0, "pay EUR 1,500 within"),
        (7517549, "7.517.549 shares"),
        (24, "twenty-four (24) months"),
        (24, "a term of twenty-four months"),
        (250000, "two hundred and fifty thousand dollars"),
        (2500000, "$2.5 million"),
        (5, "a rate of 5%"),
        (0.05, "a rate of five percent"),
        (-5, "at -5 degrees"),
        (3, "3-5 years"),
        (5, "3-5 years"),
        (2024, "on March 3, 2024"),
        ("2024-03-03", "on 3 March 2024"),
        ("2024-03-03T00:00:00", "on March 3rd, 2024"),
        ("2012-01-05", "as of the 5th day of January, 2012"),
        ("2012-01-05", "dated 2012-01-05"),
        ("2024-04-03", "on 03/04/2024"),
        ("2024-03-04", "on 03/04/2024"),
        ("Acme Inc", "between ACME, Inc. and Beta"),
        ("Müller", "Frau Mu\u0308ller"),
        ("24 months", "a term of twenty-four (24) months"),
        ("January 5, 2012", "the 5th day of January, 2012"),
        ("$1500", "pay $1,500.00 within"),
        ("State of New York", "the laws of the State of\nNew York govern"),
    ],
)
def test_what_a_passage_says_supports_the_value(value: object, text: str) -> None:
    assert check_value(value, Located("exact", text=text)) == "supported"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1500, "pay $15,00 or $150 within"),
        (15, "a term of 1.5 years"),
        (5, "at -5 degrees"),
        (24, "a term of 240 months"),
        ("2024-03-03", "on 4 March 2024"),
        ("2024-03-03", "on 31 March 2024"),
        ("2024-02-30", "on 30/02/2024 or so"),
        ("Acme", "between Acmeon Ltd. and Beta"),
        ("24 months", "a term of 24 days"),
        ("€1500", "pay $1,500"),
        ("Beta Corp", "Beta LLC and Corp"),
    ],
)
def test_what_a_passage_does_not_say_does_not_support_the_value(value: object, text: str) -> None:
    assert check_value(value, Located("exact", text=text)) == "unsupported"


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        [],
        ["Acme"],
        {"name": "Acme"},
        "",
        " - ",
        float("nan"),
        float("inf"),
        "word " * 30,
        "x" * 30_000,
    ],
    ids=repr,
)
def test_some_values_cannot_be_checked(value: object) -> None:
    assert check_value(value, Located("exact", text="between Acme and Beta")) == "not_checkable"


def test_nothing_is_checked_without_a_passage() -> None:
    assert check_value(5, MISSING) == "not_checkable"
    assert check_value("Acme", NO_TEXT) == "not_checkable"


def test_numbers_without_an_end_are_no_trouble() -> None:
    passage = Located("exact", text="1" * 15_000 + " and 1,1" * 500)
    assert check_value(10**6_000, passage) == "unsupported"
    assert check_value("9" * 10_000, passage) == "unsupported"
