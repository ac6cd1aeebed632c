"""Merging: one value for each field by its rule, what the overlap repeats once, and which parts gave each value."""

import random
import re
import time
from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.answers.merge import Merged, MergeRule, Origin, merge
from batchrun.document import Document, Place
from batchrun.documents.split import split


def of(values, rule, key=(), **options) -> tuple[object, Origin]:
    """Merge the answers of parts for one field."""
    merged = merge([{"field": value} for value in values], {"field": MergeRule(rule, key)}, **options)
    assert set(merged.values) == set(merged.provenance) == {"field"}
    return merged.values["field"], merged.provenance["field"]


# name: (what the parts answered, rule, merged, parts that gave it)
CHOICES = {
    "the first that says something": ([None, "", " \n", "b", "c"], "first", "b", (4,)),
    "every part that says the same": (["a", "b", "a"], "first", "a", (1, 3)),
    "the last": (["a", "b", None], "last", "b", (2,)),
    "zero says something": ([None, 0, 5], "first", 0, (2,)),
    "false says something": ([False, True], "first", False, (1,)),
    "the largest number": ([3, None, 10, Decimal("10.0")], "max", 10, (3, 4)),
    "the smallest number": ([Decimal("0.1"), 3], "min", Decimal("0.1"), (1,)),
    "the latest day": (["2024-12-31", "2025-01-01", None], "max", "2025-01-01", (2,)),
    "the earliest time": (["2024-12-31 10:00:00.5", "2024-12-31 10:00:00"], "min", "2024-12-31 10:00:00", (2,)),
    "true in any part": ([False, True, False], "max", True, (2,)),
    "false in any part": ([True, False], "min", False, (2,)),
    "the most frequent": (["a", "b", None, "b"], "vote", "b", (2, 4)),
    "the earliest of the most frequent": (["b", "a", "a", "b", "c"], "vote", "b", (1, 4)),
    "an object": ([{"n": None}, {"n": 2}], "first", {"n": 2}, (2,)),
    "the vote on an object": ([{"n": 1}, {"n": 2}, {"n": 2}], "vote", {"n": 2}, (2, 3)),
    "texts": (["a", None, "b"], "concat", "a\n\nb", (1, 3)),
    "the first list": ([[], ["b"], ["c"]], "first", ["b"], (2,)),
}


@pytest.mark.parametrize(("values", "rule", "expected", "parts"), CHOICES.values(), ids=CHOICES)
def test_rule(values, rule, expected, parts):
    assert of(values, rule) == (expected, Origin(parts))


def test_true_is_not_the_number_one():
    assert of([True, 1, 1], "vote") == (1, Origin((2, 3)))


def test_values_stay_as_they_are():
    exact = Decimal("1234567890.12345678901234567890")
    value, _ = of([None, exact], "first")
    assert value is exact


@pytest.mark.parametrize("rule", ["first", "last", "max", "min", "vote", "concat", "all"])
@pytest.mark.parametrize("nothing", [None, "", [], {"n": None}], ids=str)
def test_if_no_part_says_anything_the_first_answer_holds(rule, nothing):
    assert of([nothing, None], rule) == (nothing, Origin(()))


def test_a_part_without_an_answer_counts_as_a_part():
    rules = {"title": MergeRule("first"), "items": MergeRule("all")}
    merged = merge([None, {"title": "a", "items": ["x"]}, None, {"title": "b", "items": ["x"]}], rules)
    assert merged == Merged(
        values={"title": "a", "items": ["x", "x"]},  # parts 2 and 4 share no text
        provenance={"title": Origin((2,)), "items": Origin((2, 4), ((2,), (4,)))},
    )


def test_without_any_answer_there_is_nothing_to_merge():
    with pytest.raises(ValueError, match="no part"):
        merge([None, None], {"title": MergeRule("first")})


# name: (lists of the parts, merged, parts of each item)
LISTS = {
    "nothing in common": ([["a"], ["b"]], ["a", "b"], ((1,), (2,))),
    "the overlap": ([["a", "b"], ["b", "c"]], ["a", "b", "c"], ((1,), (1, 2), (2,))),
    "white space apart": ([["a", "b c"], ["b\n c"]], ["a", "b c"], ((1,), (1, 2))),
    "equal items of one part": ([["a", "a"], ["b", "b"]], ["a", "a", "b", "b"], ((1,), (1,), (2,), (2,))),
    "equal items, one of them shared": ([["a", "a"], ["a", "b"]], ["a", "a", "b"], ((1,), (1, 2), (2,))),
    "equal items far from the cut": (
        [["a", "b", "c", "d"], ["e", "f", "g", "a"]],
        ["a", "b", "c", "d", "e", "f", "g", "a"],
        ((1,), (1,), (1,), (1,), (2,), (2,), (2,), (2,)),
    ),
    "torn at both ends": ([["a", "b", "c"], ["?", "b", "c", "d"]], ["a", "b", "c", "?", "d"], None),
    "torn behind": ([["a", "b", "?"], ["b", "c"]], ["a", "b", "?", "c"], ((1,), (1, 2), (1,), (2,))),
    "a short part that is all overlap": ([["a"], ["a"], ["a", "b"]], ["a", "b"], ((1, 2, 3), (3,))),
    "parts that are no neighbours": ([["a"], [], ["a"]], ["a", "a"], ((1,), (3,))),
    "a part without a list": ([["a"], None, ["b"]], ["a", "b"], ((1,), (3,))),
    "objects": ([[{"n": 1}], [{"n": 1}, {"n": 2}]], [{"n": 1}, {"n": 2}], ((1, 2), (2,))),
    "null items": ([[None, "a"], ["a", None]], [None, "a", None], ((1,), (1, 2), (2,))),
}


@pytest.mark.parametrize(("lists", "expected", "parts"), LISTS.values(), ids=LISTS)
def test_all_items_and_those_of_the_overlap_once(lists, expected, parts):
    value, origin = of(lists, "all")
    assert value == expected
    assert parts is None or origin.items == parts


def test_without_an_overlap_every_item_stays():
    assert of([["a"], ["a"]], "all", overlapping=False) == (["a", "a"], Origin((1, 2), ((1,), (2,))))


def test_concat_appends_whole_lists():
    assert of([["a"], ["a", "b"]], "concat") == (["a", "a", "b"], Origin((1, 2), ((1,), (2,), (2,))))


def entry(name, **values):
    return {"name": name, "usd": None, "terms": None, "tags": [], **values}


# name: (lists of the parts, merged)
NAMED = {
    "one entry for a name, in any parts": (
        [[entry("A", usd=1)], [entry("B")], [entry("A", usd=1)]],
        [entry("A", usd=1), entry("B")],
    ),
    "filled from both": (
        [[entry("A", usd=1)], [entry("A", terms="net")]],
        [entry("A", usd=1, terms="net")],
    ),
    "the first wins": ([[entry("A", usd=1)], [entry("A", usd=2)]], [entry("A", usd=1)]),
    "the fuller text": (
        [[entry("A", terms="net 3")], [entry("A", terms="net 30 days")]],
        [entry("A", terms="net 30 days")],
    ),
    "the fuller list": ([[entry("A", tags=["x"])], [entry("A", tags=["y", "x"])]], [entry("A", tags=["y", "x"])]),
    "another list": ([[entry("A", tags=["x"])], [entry("A", tags=["y", "z"])]], [entry("A", tags=["x"])]),
    "white space in names": ([[entry("A  B")], [entry("A\nB", usd=2)]], [entry("A  B", usd=2)]),
    "a name twice in one part": (
        [[entry("A", usd=1), entry("A", usd=2)], [entry("A", usd=2, terms="net"), entry("A", usd=1)]],
        [entry("A", usd=1), entry("A", usd=2, terms="net")],
    ),
    "without a name": (
        [[entry(None, usd=1), entry("", usd=2)], [entry("", usd=2), entry(None, usd=3)]],
        [entry(None, usd=1), entry("", usd=2), entry(None, usd=3)],
    ),
    "null instead of an entry": ([[None, entry("A")], [entry("A")]], [None, entry("A")]),
}


@pytest.mark.parametrize(("lists", "expected"), NAMED.values(), ids=NAMED)
def test_entries_with_one_name_are_one_entry(lists, expected):
    value, origin = of(lists, "all", ("name",))
    assert value == expected
    assert origin.items is not None
    assert len(origin.items) == len(expected)


def test_a_name_may_have_several_fields():
    rows = [[entry("A", usd=1), entry("A", usd=2)], [entry("A", usd=2, terms="net")]]
    assert of(rows, "all", ("name", "usd")) == (
        [entry("A", usd=1), entry("A", usd=2, terms="net")],
        Origin((1, 2), ((1,), (1, 2))),
    )


WORDS = st.sampled_from(["a", "b", "c", None])
ROWS = st.lists(st.fixed_dictionaries({"name": WORDS, "usd": st.sampled_from([None, 0, 1])}), max_size=6)


@given(parts=st.lists(ROWS, min_size=1, max_size=5), key=st.sampled_from([(), ("name",), ("name", "usd")]))
def test_no_item_is_lost_or_made_up(parts, key):
    value, origin = of(parts, "all", key)
    if not any(parts):
        assert value == []
        return
    assert origin.items is not None
    assert len(origin.items) == len(value)
    told = Counter(number for item in origin.items for number in item)
    assert told == Counter({number: len(rows) for number, rows in enumerate(parts, 1) if rows})
    for number, rows in enumerate(parts, 1):
        of_part = [row["name"] for row, item in zip(value, origin.items, strict=True) if number in item]
        assert Counter(of_part) == Counter(row["name"] for row in rows)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), overlap=st.integers(0, 5))
def test_a_list_in_overlapping_stretches_is_the_list_again(sizes, overlap):
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    items = [f"entry {number}" for number in range(ends[-1])]
    parts = [items[max(0, end - size - overlap) : end] for size, end in zip(sizes, ends, strict=True)]
    assert of(parts, "all")[0] == items


@pytest.mark.slow
def test_lists_of_thousands_are_merged_at_once():
    same, other = [[{"name": "A", "usd": n % 7} for n in range(5_000)]] * 3, [[f"{n}" for n in range(20_000)]] * 3
    began = time.process_time()
    of(same, "all", ("name",))
    of(same, "all")
    of(other, "all")
    assert time.process_time() - began < 10


# --- the proof: a document of 300 pages with 1,000 planted entries

FILLER = ["the", "parties", "agree", "that", "this", "section", "applies", "to", "goods", "of", "any", "kind"]
LINE = re.compile(r"^Entry (\w+): (\w+) pays \$([\d.]+) until ([\d-]+)\.$", re.MULTILINE)


def planted(*, repeats: bool) -> tuple[Document, list[dict[str, object]]]:
    """Write 300 pages with 1,000 entries at random places. With `repeats`, every fifth of them is the same."""
    draw = random.Random(15)
    pages: list[list[str]] = [[] for _ in range(300)]
    for number in sorted(draw.randrange(300) for _ in range(1_000)):
        pages[number].append("")
    rows, places, text = [], [], ""
    for number, page in enumerate(pages, 1):
        places.append(Place("page", str(number), len(text)))
        for _ in page:
            text += " ".join(draw.choices(FILLER, k=draw.randrange(20, 200))) + draw.choice([".\n", ".\n\n"])
            row = {"no": f"N{len(rows):04}", "who": f"P{draw.randrange(30)}", "usd": "9.50", "until": "2030-01-01"}
            if repeats and len(rows) % 5 == 0:
                row |= {"no": "FEE", "who": "P0"}
            rows.append(row)
            text += f"Entry {row['no']}: {row['who']} pays ${row['usd']} until {row['until']}.\n"
        text += " ".join(draw.choices(FILLER, k=200)) + ".\n"
    return Document("long.pdf", "long.pdf", text, places=tuple(places), pages=300), rows


def answer(text: str) -> dict[str, object]:
    """Find every entry that stands whole in a text, as a model would."""
    return {"rows": [dict(zip(("no", "who", "usd", "until"), found, strict=True)) for found in LINE.findall(text)]}


def quarter(text: str) -> int:
    return -(-len(text) // 4)


@pytest.mark.parametrize(("most_tokens", "overlap"), [(1_000, 200), (4_000, 200), (20_000, 200), (150_000, 1_000)])
@pytest.mark.parametrize("key", [(), ("no",)], ids=["without a key", "with a key"])
def test_every_planted_entry_is_in_the_merged_answer_once(most_tokens, overlap, key):
    document, rows = planted(repeats=False)
    segments = split(document, most_tokens=most_tokens, overlap_tokens=overlap, count=quarter)
    assert len(segments) > 1
    answers = [answer(document.text[one.start : one.end]) for one in segments]
    assert sum(len(one["rows"]) for one in answers) > 1_000, "no entry stands in an overlap"
    merged = merge(answers, {"rows": MergeRule("all", key)})
    assert merged.values["rows"] == rows
    for row, parts in zip(rows, merged.provenance["rows"].items or (), strict=True):
        assert parts == tuple(number for number, one in enumerate(answers, 1) if row in one["rows"])


def test_planted_entries_that_are_truly_equal_all_stay():
    document, rows = planted(repeats=True)
    segments = split(document, most_tokens=10_000, overlap_tokens=400, count=quarter)
    answers = [answer(document.text[one.start : one.end]) for one in segments]
    assert merge(answers, {"rows": MergeRule("all")}).values["rows"] == rows


def test_planted_entries_that_the_end_of_a_part_tears_are_whole_with_a_key():
    document, rows = planted(repeats=False)
    segments = split(document, most_tokens=4_000, overlap_tokens=200, count=quarter)
    answers = [answer(document.text[one.start : one.end]) for one in segments]
    torn = 0
    for one, following in pairwise(answers):
        if one["rows"][-1] in following["rows"]:
            one["rows"][-1] = {**one["rows"][-1], "who": "P", "until": None}
            torn += 1
    assert torn > 10
    assert merge(answers, {"rows": MergeRule("all", ("no",))}).values["rows"] == rows
