import pytest

from batchrun.estimation.interval import Interval
from batchrun.estimation.reply_length_prior import output_prior


def fields(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def prior(schema, *, max_tokens=100_000, thinks=False, effort=None):
    return output_prior(schema, max_tokens=max_tokens, thinks=thinks, effort=effort)


STRING, INTEGER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "actual"),
    # Schemas of structured replies that others recorded, and the output tokens they took.
    [
        (fields(output=INTEGER), 9),
        (fields(amount={"anyOf": [{"type": "number"}, STRING]}), 10),
        (fields(city=STRING, country=STRING, population=INTEGER), 18),
        (fields(integer_a=INTEGER, integer_b=INTEGER, answer=INTEGER), 25),
        (fields(title=STRING, author=STRING, rating=INTEGER), 30),
        (fields(title=STRING, author=fields(first_name=STRING, last_name=STRING), rating=INTEGER), 36),
    ],
)
def test_recorded_replies_are_within_the_interval(schema, actual):
    guess = prior(schema)
    assert guess.low <= actual <= guess.high


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (fields(a=STRING), fields(a=STRING, b=STRING)),
        (fields(a=INTEGER), fields(a=STRING)),
        (fields(a=STRING), fields(a={"type": "array", "items": STRING})),
        (fields(a={"anyOf": [STRING, {"type": "null"}]}), fields(a=STRING)),
        (fields(a={"type": ["string", "null"]}), fields(a=STRING)),
        (fields(a={"type": "string", "format": "date"}), fields(a={"type": "string", "format": "date-time"})),
        (fields(a={"enum": ["x", None]}), fields(a={"enum": ["a rather long value of an enumeration", None]})),
        (fields(a=STRING), fields(a_name_that_is_considerably_longer=STRING)),
    ],
)
def test_more_to_say_takes_more_tokens(less, more):
    assert prior(less).mean < prior(more).mean


def test_thinking_counts_and_grows_with_effort():
    schema = fields(a=STRING)
    means = [prior(schema, thinks=True, effort=effort).mean for effort in ("low", "medium", "high", "xhigh", "max")]
    assert means == sorted(means)
    assert prior(schema).mean < means[0]
    assert prior(schema, thinks=True).mean == means[2]
    assert prior(schema, effort="max") == prior(schema)


def test_nothing_is_longer_than_max_tokens():
    assert prior(fields(a=STRING), max_tokens=8, thinks=True, effort="max") == Interval(8, 8, 8)
    capped = prior(fields(a=STRING), max_tokens=1_000, thinks=True, effort="high")
    assert capped.low < capped.mean < capped.high == 1_000


def test_thinking_stays_within_its_budget():
    schema = fields(a=STRING)
    kept = output_prior(schema, max_tokens=100_000, thinks=True, effort=None, budget_tokens=1_024)

    assert kept.high - prior(schema).high == 1_024
    assert kept.mean == prior(schema, thinks=True).mean
