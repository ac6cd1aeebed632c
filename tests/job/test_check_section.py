"""[[check]]: what a job file may demand of the output, and how its mistakes are told."""

from datetime import date, datetime
from pathlib import Path

import pytest
from small_job import HEAD

from batchrun.job.check_section import checked_fields
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError

GOOD = (
    HEAD
    + """\
[output.fields]
title = { type = "string", evidence = true }
quote = { type = "string", quote_of = "document" }
term = "integer?"
signed = "date?"
seen = "datetime"
parties = { type = "array", items = "string" }
place = { type = "object", fields = { town = "string" } }
[budget]
max_cost_usd = 5.00
"""
)


def checks_in(tmp_path: Path, *sections: str):
    path = tmp_path / "job.toml"
    path.write_text(GOOD + "".join(f'[[check]]\nname = "check {n}"\n{text}\n' for n, text in enumerate(sections)))
    return load_job(path).spec


ACCEPTED = {
    "a query": 'sql = "select * from good"',
    "a query with a comment": "sql = '''\n-- all\n/* of\nthem */ (from good)'''",
    "a query for a number": 'sql = "with a as (select 1) from a"\nmin = 1\nmax = 1',
    "nulls of a field that is never null": 'type = "null_rate"\nfield = "title"\nmax = 0',
    "nulls of many": 'type = "null_rate"\nfields = ["term", "place"]\nmin = 0.1\nmax = 1',
    "unique": 'type = "unique"\nfields = ["title", "signed"]',
    "numbers": 'type = "in_range"\nfield = "term"\nmin = 0.5',
    "days": 'type = "in_range"\nfield = "signed"\nmin = 2024-01-01\nmax = 2024-12-31',
    "times": 'type = "in_range"\nfield = "seen"\nmin = 2024-01-01T00:00:00+02:00',
    "distinct": 'type = "distinct_at_least"\nfield = "parties"\nmin = 3\nseverity = "warn"',
    "unsupported": 'type = "unsupported_rate"\nmax = 0.1',
    "unsupported of a quote": 'type = "unsupported_rate"\nfield = "quote"\nmax = 0.1',
    "drift": 'type = "drift"',
}


@pytest.mark.parametrize("section", ACCEPTED.values(), ids=ACCEPTED)
def test_it_loads(tmp_path, section):
    (check,) = checks_in(tmp_path, section).check
    assert check.name == "check 0"
    assert check.severity == ("warn" if "warn" in section else "error")


REFUSED = {
    "neither": ("", "a check needs `sql` or `type`"),
    "both": ('type = "drift"\nsql = "select 1"', "give `sql` or `type`, not both"),
    "no such type": ('type = "nul_rate"', 'did you mean "null_rate"?'),
    "a write": ('sql = "drop table good"', "this is no SELECT"),
    "a hidden write": ('sql = "-- select\\ndelete from good"', "this is no SELECT"),
    "comments without end": (f'sql = "{"/**/" * 5000}(/*"', "this is no SELECT"),
    "before the calendar": (
        'type = "in_range"\nfield = "seen"\nmin = 0001-01-01T00:00:00+02:00', "input should be a number or a date",
    ),
    "fields of a query": ('sql = "select 1"\nfield = "term"', "a query names its columns itself"),
    "a date for a query": ('sql = "select 1"\nmin = 2024-01-01', "`check[0].min`: input should be a number"),
    "a list as a bound": ('sql = "select 1"\nmin = [1]', "`check[0].min`: input should be a number or a date"),
    "truth as a bound": ('sql = "select 1"\nmin = true', "`check[0].min`: input should be a number or a date"),
    "a bound without end": ('sql = "select 1"\nmin = inf', "`check[0].min`: input should be a number or a date"),
    "misspelt field": ('type = "unique"\nfields = ["titel"]', "did you mean title?"),
    "field and fields": ('type = "unique"\nfield = "term"\nfields = ["title"]', "give `field` or `fields`, not both"),
    "twice": ('type = "unique"\nfields = ["title", "title"]', '"title" is there already'),
    "no field": ('type = "unique"', '"unique" has no field to look at'),
    "no bound": ('type = "null_rate"\nfield = "term"', '"null_rate" needs `max` or `min`'),
    "no share": ('type = "null_rate"\nfield = "term"\nmax = 5', "input should be a share, from 0 to 1"),
    "half a value": ('type = "distinct_at_least"\nfield = "term"\nmin = 0.5', "a whole number from 1 on"),
    "a bound without meaning": ('type = "distinct_at_least"\nfield = "term"\nmin = 1\nmax = 2', "has no `max`"),
    "a bound for drift": ('type = "drift"\nmax = 0.2', '"drift" has no `max`'),
    "upside down": ('type = "in_range"\nfield = "term"\nmin = 3\nmax = 1', "`min` is above `max`"),
    "upside down days": (
        'type = "in_range"\nfield = "signed"\nmin = 2024-02-01\nmax = 2024-01-01', "`min` is above `max`",
    ),
    "two types": ('type = "in_range"\nfield = "term"\nmin = 2024-02-01\nmax = 1', "this is another type"),
    "text in a range": ('type = "in_range"\nfield = "title"\nmin = 1', '"title" is of type string and has no order'),
    "a number for a date": ('type = "in_range"\nfield = "signed"\nmin = 1', "this is another type"),
    "a day for a time": ('type = "in_range"\nfield = "seen"\nmin = 2024-01-01', "this is another type"),
    "no quote": ('type = "unsupported_rate"\nfield = "term"\nmax = 0', '"term" is of type integer and has no quote'),
    "drift of an object": ('type = "drift"\nfield = "place"', "has no distribution"),
    "no severity": ('type = "drift"\nseverity = "warning"', 'did you mean "warn"?'),
    "unknown key": ('type = "drift"\nfeild = "term"', "unknown key `feild` in `check[0]`"),
}  # fmt: skip


@pytest.mark.parametrize(("section", "words"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(tmp_path, section, words):
    with pytest.raises(JobFileError) as caught:
        checks_in(tmp_path, section)
    assert words in caught.value.rendered
    assert len(caught.value.problems) == 1
    line = caught.value.rendered.split("job.toml:")[1].split(":")[0]
    assert int(line) > GOOD.count("\n"), "the place is in the section"


def test_every_wrong_section_is_told_at_once(tmp_path):
    with pytest.raises(JobFileError) as caught:
        checks_in(tmp_path, *(section for section, _ in REFUSED.values()))
    assert len(caught.value.problems) == len(REFUSED)


def test_names_differ(tmp_path):
    with pytest.raises(JobFileError, match=r'`check\[1\]\.name`: there is a check "check 0" already'):
        checks_in(tmp_path, 'type = "drift"\n[[check]]\nname = "check 0"\ntype = "drift"')


def test_bounds_are_what_the_output_holds(tmp_path):
    days, times = checks_in(tmp_path, ACCEPTED["days"], ACCEPTED["times"]).check
    assert (days.minimum, days.maximum) == (date(2024, 1, 1), date(2024, 12, 31))
    assert times.minimum == datetime(2023, 12, 31, 22), "in UTC"  # noqa: DTZ001 - as DuckDB has it


def test_without_a_name_all_fields_that_suit_are_looked_at(tmp_path):
    spec = checks_in(tmp_path, ACCEPTED["unsupported"], ACCEPTED["drift"])
    assert [checked_fields(check, spec.output) for check in spec.check] == [
        ("title", "quote"),
        ("title", "quote", "term", "signed", "seen", "parties"),
    ]
