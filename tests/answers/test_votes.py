"""The majority of several answers to one request, and which votes are asked."""

import dataclasses
import itertools

import pytest

from batchrun.answers.findings import Findings
from batchrun.answers.form import AnswerForm
from batchrun.answers.progress import BEGINNING, Progress, Turn
from batchrun.answers.turns import Mending, Step, choices, first_turn, next_step
from batchrun.answers.validation import Judgement
from batchrun.answers.votes import Vote, has_failed, is_settled, majority
from batchrun.outcome import Outcome

SCHEMA = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
FORM = AnswerForm(SCHEMA, SCHEMA, votes=3)
FAILED = Vote(None, Findings(attempts=2, repairs=1))
INVALID = Judgement(Outcome.INVALID, reason="a: required")
REFUSED = Judgement(Outcome.REFUSED, reason="the model refused")


def votes_on_a(values: str) -> list[Vote]:
    """A vote for each character; a dot is a vote that failed."""
    return [FAILED if value == "." else Vote({"a": value}) for value in values]


@pytest.mark.parametrize(
    ("values", "value", "share"),
    [
        ("xyy", "y", 0.6667),
        ("xyz", "x", 0.3333),
        ("x.y", "x", 0.3333),
        (".yy", "y", 0.6667),
        ("yxxyz", "y", 0.4),
        ("zxxyz", "z", 0.4),
        ("xyyzw", "y", 0.4),
    ],
)
def test_most_votes_win_and_of_equals_the_first(values: str, value: str, share: float) -> None:
    output, found = majority(["a"], votes_on_a(values))
    assert (output, found.agreement, found.votes) == ({"a": value}, {"a": share}, len(values))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ada  Ltd\n", "Ada Ltd", True),
        ("Ada Ltd", "ada Ltd", False),
        (1, 1.0, True),
        (1, True, False),
        ([1, 2], [2, 1], False),
        ({"x": 1, "y": [None]}, {"y": [None], "x": 1}, True),
        (None, "", False),
    ],
)
def test_what_is_the_same(one: object, other: object, same: bool) -> None:
    _, found = majority(["a"], [Vote({"a": one}), Vote({"a": other})])
    assert found.agreement["a"] == (1.0 if same else 0.5)


@pytest.mark.parametrize("most", [3, 5])
def test_no_vote_is_left_out_that_could_change_a_value(most: int) -> None:
    for number in range(1, most):
        for values in itertools.product("xyz", repeat=number):
            votes = votes_on_a("".join(values))
            possible = itertools.product("xyzw", repeat=most - number)
            ends = {majority(["a"], [*votes, *votes_on_a("".join(more))])[0]["a"] for more in possible}
            is_over = max(map(values.count, values)) > most // 2
            assert is_settled(["a"], votes, most) == is_over, values
            assert len(ends) == 1 or not is_over, values
            assert len(ends) > 1 or is_over or most > 3, values


def test_more_than_half_of_the_votes_need_an_answer() -> None:
    assert not is_settled(["a"], votes_on_a("x."), 3)
    assert is_settled(["a"], votes_on_a("x.x"), 3)
    assert [has_failed(votes_on_a(values), 3) for values in (".", "x.", ".x.", "..")] == [False, False, True, True]


def test_a_value_that_became_null_for_a_problem_is_no_vote() -> None:
    nulled = Vote({"a": None}, Findings(problems={"a": "a: no date"}))
    output, found = majority(["a"], [nulled, Vote({"a": 3}), Vote({"a": 4})])
    assert (output, found.problems, found.agreement) == ({"a": 3}, {}, {"a": 0.3333})

    output, found = majority(["a"], [nulled, nulled, FAILED])
    assert (output, found.problems, found.agreement) == ({"a": None}, {"a": "a: no date"}, {"a": 0.0})


def test_what_is_found_out_comes_from_the_vote_that_gave_the_value() -> None:
    first = Vote({"a": 1, "b": 1}, Findings(1, originals={"a": "one"}, evidence={"a": "first", "b": "first"}))
    second = Vote({"a": 2, "b": 1}, Findings(2, 1, originals={"a": "two"}, evidence={"a": "second", "b": "second"}))
    output, found = majority(["a", "b"], [first, second, second])
    assert output == {"a": 2, "b": 1}
    assert found.evidence == {"a": "second", "b": "first"}
    assert found.originals == {"a": "two"}
    assert (found.attempts, found.repairs, found.votes) == (5, 2, 3)


def answered(a: object, b: object = 0) -> Judgement:
    return Judgement(Outcome.SUCCEEDED, output={"a": a, "b": b})


def asked(form: AnswerForm, *judgements: Judgement, progress: Progress = BEGINNING, max_repairs: int = 0) -> list[Step]:
    """The steps that follow from these replies, one after the other."""
    mending = Mending(max_repairs=max_repairs, most_tokens=1_000)
    steps = []
    for number, judgement in enumerate(judgements, 1):
        step = next_step(form, progress, judgement, attempt_no=number, max_tokens=100, mending=mending)
        kept = step.progress
        assert Progress.of(kept.turn_json, kept.partial_json) == kept, "the next process knows as much"
        steps.append(step)
        progress = kept
    return steps


def test_a_third_vote_is_asked_only_where_two_differ() -> None:
    alike = asked(FORM, answered(1), answered(1))
    assert [step.outcome for step in alike] == [None, Outcome.SUCCEEDED]
    assert alike[-1].output == {"a": 1, "b": 0}

    differ = asked(FORM, answered(1, "x"), answered(2, "x"), answered(2, "y"))
    assert [step.outcome for step in differ] == [None, None, Outcome.SUCCEEDED]
    assert [step.progress.turn for step in differ] == [Turn()] * 3
    assert differ[-1].output == {"a": 2, "b": "x"}
    assert differ[-1].progress.findings.agreement == {"a": 0.6667, "b": 0.6667}


def test_one_vote_of_three_may_fail() -> None:
    steps = asked(FORM, answered(1), REFUSED, answered(1))
    assert [step.outcome for step in steps] == [None, None, Outcome.SUCCEEDED]
    assert steps[-1].progress.findings.agreement == {"a": 0.6667, "b": 0.6667}

    last = asked(FORM, answered(1), answered(2), REFUSED)[-1]
    assert (last.outcome, last.output) == (Outcome.SUCCEEDED, {"a": 1, "b": 0})


def test_a_request_most_of_whose_votes_fail_fails() -> None:
    steps = asked(FORM, INVALID, answered(1), REFUSED)
    assert [step.outcome for step in steps] == [None, None, Outcome.REFUSED]
    kept = steps[-1].progress
    assert [vote.output for vote in kept.votes] == [{"a": 1, "b": 0}]
    assert kept.findings.attempts == 2

    assert [step.outcome for step in asked(FORM, answered(1), progress=kept)] == [Outcome.SUCCEEDED], "a retry"


def test_a_vote_is_mended_before_the_next_one_is_asked() -> None:
    steps = asked(FORM, INVALID, answered(1), answered(1), max_repairs=1)
    assert [step.progress.turn.repairs for step in steps] == [1, 0, 0]
    found = steps[-1].progress.findings
    assert (found.attempts, found.repairs, found.votes) == (3, 1, 2)


def test_every_vote_asks_for_all_groups() -> None:
    form = dataclasses.replace(FORM, groups=(("a",), ("b",)))
    a, b = (Judgement(Outcome.SUCCEEDED, output={name: 1}) for name in "ab")
    steps = asked(form, a, b, a, b, progress=Progress(first_turn(form, {})))
    assert [step.progress.turn.fields for step in steps] == [("b",), ("a",), ("b",), ()]
    assert steps[-1].output == {"a": 1, "b": 1}
    assert choices(form, {"a": 1}) == (("b",), ("a",), ("b",))


def test_what_is_certain_to_be_asked() -> None:
    assert choices(FORM, {}) == (("a", "b"), ("a", "b"))
    assert choices(FORM, {}, [Vote({"a": 1, "b": 1})]) == ()
    assert choices(dataclasses.replace(FORM, votes=1), {}) == ()


def test_a_form_without_votes_has_the_name_that_it_always_had() -> None:
    plain, voted = dataclasses.replace(FORM, votes=1), FORM
    assert "votes" not in plain.as_json
    assert AnswerForm.from_json(plain.as_json) == plain
    assert AnswerForm.from_json(voted.as_json) == voted
    assert plain.sha != voted.sha
