"""Each match rule at its edges: what is right, and what counts as a hit, as a value of the label and of the answer."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from batchrun.job.field_types import ColumnFields
from batchrun.job.match_rules import MatchRule, default_rule, rule_for, suiting_rules
from batchrun.quality.matching.match import Matched, match

FIELDS = TypeAdapter(ColumnFields).validate_python(
    {
        "text": "string",
        "word": {"enum": ["a", "b"]},
        "flag": "boolean?",
        "day": "date?",
        "time": "datetime",
        "count": "integer",
        "amount": "number",
        "tags": {"type": "array", "items": "string"},
        "numbers": {"type": "array", "items": "number"},
        "grid": {"type": "array", "items": {"type": "array", "items": "integer"}},
        "lines": {"type": "array", "items": {"type": "object", "fields": {"name": "string", "sum": "number?"}}},
        "buyer": {
            "type": "object",
            "fields": {"name": "string", "since": "date?", "tags": {"type": "array", "items": "string"}},
        },
    }
)
RULES = {name: default_rule(field) for name, field in FIELDS.items()}
HIT, WRONG = Matched(True, 1, 1, 1), Matched(False, 0, 1, 1)
NULLS, MISSED, INVENTED = Matched(True, 0, 0, 0), Matched(False, 0, 1, 0), Matched(False, 0, 0, 1)
LOOSE = MatchRule("number", tolerance=0.01)
NAMES, LEGAL = MatchRule("names"), MatchRule("names", ignore_legal_form=True)
TOKENS = MatchRule("tokens")
WHOLE = rule_for(FIELDS["tags"], MatchRule("exact"))

CASES = [
    ("nulls", RULES["text"], None, None, NULLS),
    ("blank is null", RULES["text"], " \n", None, NULLS),
    ("missed", RULES["text"], "a", "", MISSED),
    ("invented", RULES["text"], None, "a", INVENTED),
    ("0 is a value", RULES["count"], None, 0, INVENTED),
    ("0 against 0", RULES["count"], 0, 0, HIT),
    ("false is a value", RULES["flag"], False, None, MISSED),
    ("false against false", RULES["flag"], False, False, HIT),
    ("true is not 1", RULES["flag"], True, 1, WRONG),
    ("false is not 0", RULES["count"], 0, False, WRONG),
    ("empty list is null", RULES["tags"], [], None, NULLS),
    ("exact folds space", RULES["text"], "a\u00a0 b\n", "a b", HIT),
    ("exact folds NFC", RULES["text"], "Zu\u0308rich", "Z\u00fcrich", HIT),
    ("exact keeps case", RULES["word"], "A", "a", WRONG),
    ("exact keeps accents", RULES["text"], "Zurich", "Z\u00fcrich", WRONG),
    ("casefold", MatchRule("casefold"), "STRASSE", "stra\u00dfe", HIT),
    ("casefold keeps signs", MatchRule("casefold"), "a.", "A", WRONG),
    ("date in words", RULES["day"], "3 March 2024", "2024-03-03", HIT),
    ("date of another day", RULES["day"], "2024-03-04", "2024-03-03", WRONG),
    ("date that may be two", RULES["day"], "03/04/2024", "2024-04-03", WRONG),
    ("date that may be two, as text", RULES["day"], "03/04/2024", "03/04/2024", HIT),
    ("date of midnight", RULES["day"], datetime(2024, 3, 3, tzinfo=UTC), date(2024, 3, 3), HIT),
    ("date of a moment", MatchRule("date"), "2024-03-03T23:30:00Z", "2024-03-03", HIT),
    ("datetime in UTC", RULES["time"], "2024-03-03T01:00:00+02:00", "2024-03-02 23:00:00", HIT),
    ("datetime in words", RULES["time"], "3 March 2024, 2:30 pm", "2024-03-03T14:30:00Z", HIT),
    ("datetime of another second", RULES["time"], "2024-03-03T14:30:01Z", "2024-03-03T14:30:00Z", WRONG),
    ("number as written", RULES["amount"], "1.50", Decimal("1.5"), HIT),
    ("number of a float", RULES["amount"], "0.1", 0.1, HIT),
    ("number as a whole", RULES["amount"], 2.0, 2, HIT),
    ("number beside", RULES["amount"], 100, 100.0001, WRONG),
    ("number that may be two", RULES["amount"], "1,234", 1234, WRONG),
    ("number that is none", RULES["amount"], "about 5", "about  5", HIT),
    ("number within", LOOSE, 1000, 1010, HIT),
    ("number just without", LOOSE, 1000, Decimal("1010.01"), WRONG),
    ("number within below 1", LOOSE, 0.001, 0.011, HIT),
    ("number exactly at a float's tolerance", MatchRule("number", tolerance=0.1), 3, 3.3, HIT),
    ("number of one currency", RULES["amount"], "\u20ac1,234.50", "1234.50 EUR", HIT),
    ("number of another currency", MatchRule("number", tolerance=0.5), "$5", "\u20ac5", WRONG),
    ("number without a currency", RULES["amount"], "$5", 5, HIT),
    ("number with a currency", RULES["amount"], 5, "$5", HIT),
    ("names", NAMES, "A.B.C. \u2018Foods\u2019, Ltd", "ABC foods LTD.", HIT),
    ("names keep accents", NAMES, "Muller", "M\u00fcller", WRONG),
    ("names of wide letters", NAMES, "\uff21cme", "Acme", HIT),
    ("names keep vowel marks", NAMES, "\u0915\u0940", "\u0915\u0941", WRONG),
    ("names keep the legal form", NAMES, "Acme Ltd.", "Acme", WRONG),
    ("names of nothing but signs", NAMES, "--", "++", WRONG),
    ("legal form", LEGAL, "Acme GmbH & Co. KG", "ACME", HIT),
    ("legal form after a comma", LEGAL, "Acme,Inc.", "Acme", HIT),
    ("legal form alone is the name", LEGAL, "SE", "AG", WRONG),
    ("legal form in the middle", LEGAL, "Co Acme", "Acme", WRONG),
    ("tokens at one half", TOKENS, "a b", "A, c!", HIT),
    ("tokens below one half", TOKENS, "a b", "a c d", WRONG),
    ("tokens count repeats", TOKENS, "a a a", "a b c", WRONG),
    ("tokens with a threshold", MatchRule("tokens", threshold=0.9), "a b c", "a b d", WRONG),
    ("tokens without words", TOKENS, "-", "+", WRONG),
    ("set in any order", RULES["tags"], ["a", "b "], ["b", "a"], Matched(True, 2, 2, 2)),
    ("set counts repeats", RULES["tags"], ["a", "a"], ["a"], Matched(False, 1, 2, 1)),
    ("set without nulls", RULES["tags"], ["a", None, ""], ["a"], HIT),
    ("set of nulls", RULES["tags"], [None], [], NULLS),
    ("set missed", RULES["tags"], ["a", "b"], None, Matched(False, 0, 2, 0)),
    ("set invented", RULES["tags"], None, ["a", "b"], Matched(False, 0, 0, 2)),
    ("set of numbers", RULES["numbers"], [1, "2.0"], [2, 1.0], Matched(True, 2, 2, 2)),
    ("set of numbers is of numbers", RULES["numbers"], [1], [True], WRONG),
    ("set of lists", RULES["grid"], [[1, 2], [3]], [[3], [2, 1]], Matched(True, 2, 2, 2)),
    ("set of lists with repeats", RULES["grid"], [[1, 1]], [[1]], WRONG),
    ("set and text", RULES["tags"], "a", ["a"], WRONG),
    ("set of texts without list", RULES["tags"], "a", "a ", HIT),
    ("object", RULES["buyer"], {"name": "A"}, {"name": "A", "since": None, "tags": []}, HIT),
    ("object in parts", RULES["buyer"], {"name": "A", "since": "2024-01-02"}, {"name": "A"}, Matched(False, 1, 2, 1)),
    (
        "object of own rules",
        RULES["buyer"],
        {"name": "A", "since": "2 January 2024", "tags": ["x", "y"]},
        {"name": "B", "since": "2024-01-02", "tags": ["y", "x"]},
        Matched(False, 2, 3, 3),
    ),
    ("object of nulls", RULES["buyer"], {"name": None}, None, NULLS),
    ("object and text", RULES["buyer"], "A", {"name": "A", "since": "2024-01-02"}, Matched(False, 0, 1, 2)),
    ("whole list of lists", WHOLE, ["b", ["a"]], [["b", "a"]], WRONG),
    ("whole list in its order", WHOLE, ["a", "b"], ["b", "a"], WRONG),
    ("names in a list", rule_for(FIELDS["tags"], NAMES), ["A. B."], ["ab"], HIT),
]


@pytest.mark.parametrize(
    ("rule", "gold", "answer", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_rule(rule, gold, answer, expected):
    assert match(rule, gold, answer) == expected


LINES = [
    ("any order", [("a", 1), ("b", 2)], [("b", 2.0), ("a", 1)], Matched(True, 4, 4, 4)),
    ("one cell wrong", [("a", 1), ("b", 2)], [("b", 3), ("a", 1)], Matched(False, 3, 4, 4)),
    ("one cell missed", [("a", 1)], [("a", None)], Matched(False, 1, 2, 1)),
    ("an entry missed", [("a", 1), ("b", 2)], [("b", 2)], Matched(False, 2, 4, 2)),
    ("an entry invented", [("b", 2)], [("b", 2), ("c", None)], Matched(False, 2, 2, 3)),
    ("an entry twice", [("b", 2)], [("b", 2), ("b", 2)], Matched(False, 2, 2, 4)),
    ("paired for the most hits", [("a", 1), ("a", 2)], [("a", 2), ("c", 1)], Matched(False, 3, 4, 4)),
    ("nulls are no hit", [("a", None)], [("b", None)], WRONG),
    ("entries without a value", [("a", 1), (None, None)], [("a", 1)], Matched(True, 2, 2, 2)),
]


@pytest.mark.parametrize(("gold", "answer", "expected"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_entries(gold, answer, expected):
    entries = [[dict(zip(("name", "sum"), row, strict=True)) for row in rows] for rows in (gold, answer)]
    assert match(RULES["lines"], *entries) == expected


def test_members_that_the_job_does_not_have_are_not_compared():
    assert match(RULES["lines"], [{"name": "a", "page": 1}], [{"name": "a", "page": 2}]).right


@pytest.mark.parametrize(
    ("field", "suiting"),
    [
        ("text", ("exact", "casefold", "names", "tokens", "date", "datetime", "number")),
        ("tags", ("set", "exact", "casefold", "names", "date")),
        ("numbers", ("set", "exact")),
        ("lines", ("entries", "exact")),
        ("flag", ("exact",)),
        ("amount", ("number", "exact")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_rules_that_suit_a_field(field, suiting):
    assert suiting_rules(FIELDS[field]) == suiting


def test_every_rule_that_suits_takes_a_value_for_itself():
    values = {"day": "2024-01-02", "time": "2024-01-02T00:00:00Z", "count": 3, "amount": 0.5, "tags": ["a"]}
    values |= {"numbers": [1], "grid": [[1]], "lines": [{"name": "a"}], "buyer": {"name": "a"}, "flag": False}
    for field, definition in FIELDS.items():
        for name in suiting_rules(definition):
            value = values.get(field, "a")
            assert match(rule_for(definition, MatchRule(name)), value, value).right, (field, name)


def test_a_list_of_names_passes_its_wishes_on_to_the_entries():
    rule = rule_for(FIELDS["tags"], LEGAL)
    assert match(rule, ["Acme Ltd"], ["Acme"]) == HIT


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(allow_nan=True),
    st.sampled_from(
        ["a", "A", "a b", "b a", "\u20ac5", "5", "$5", "5 EUR", "3 March 2024", "2024-03-03", "Acme Ltd", "-"]
    ),
    st.text(max_size=4),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "sum", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SCALAR_RULES = [MatchRule(n) for n in ("exact", "casefold", "date", "datetime", "number", "tokens", "names")] + [LEGAL]
ALL_RULES = [*SCALAR_RULES, LOOSE, *RULES.values()]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*SCALAR_RULES, RULES["tags"], RULES["lines"], RULES["buyer"]]), JSON, JSON)
def test_label_and_answer_may_change_places(rule, one, other):
    forth, back = match(rule, one, other), match(rule, other, one)
    assert (forth.right, forth.hits, forth.gold, forth.given) == (back.right, back.hits, back.given, back.gold)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL_RULES), JSON, JSON)
def test_any_value_is_matched(rule, gold, answer):
    matched = match(rule, gold, answer)
    assert 0 <= matched.hits <= min(matched.gold, matched.given)
    assert matched.right == (matched.hits == matched.gold == matched.given)
    same = match(rule, gold, gold)
    assert same.right
    assert same.hits == same.gold == same.given
