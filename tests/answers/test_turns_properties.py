"""Turns over forms and judgements that nobody chose: they end, they lose nothing, and they ask for each field once."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.answers.field_problems import FieldProblem
from batchrun.answers.form import AnswerForm, PageRule
from batchrun.answers.progress import BEGINNING, Progress, Turn
from batchrun.answers.turns import MOST_PAGES, Findings, Mending, Step, choices, first_turn, next_step
from batchrun.answers.validation import Judgement
from batchrun.outcome import Outcome

NAMES = tuple("abcdefgh")
MENDINGS = st.builds(
    Mending,
    max_repairs=st.integers(0, 3),
    most_tokens=st.sampled_from([100, 150, 400]),
    passed_on=st.sampled_from([frozenset[str](), frozenset({"truncated"}), frozenset({"invalid"})]),
)
VALUES = st.one_of(st.none(), st.integers(0, 9), st.text(max_size=3), st.booleans())
ENTRIES = st.lists(st.integers(0, 3), max_size=4)


@st.composite
def forms(draw: st.DrawFn) -> AnswerForm:
    """Draw a form: some fields are lists in pages, some have quotes, and they may be asked for in groups."""
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    paged = [name for name in names if draw(st.booleans())]
    quoted = [name for name in names if draw(st.booleans())]
    count = draw(st.sampled_from([None, *(name for name in names if name not in paged)]))
    pages = {name: PageRule(4, f"{name}_complete", count) for name in paged}
    properties: dict[str, Any] = {}
    for name in names:
        properties |= {f"{name}_quote": {"type": "string"}} if name in quoted else {}
        properties[name] = {"type": "array" if name in paged else "string"}
        properties |= {f"{name}_complete": {"type": "boolean"}} if name in paged else {}
    schema = {"properties": properties, "required": list(properties)}
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(names) - 1)), max_size=3)))
    groups = [names[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(names)], strict=True) if names[begin:end]]
    return AnswerForm(
        schema,
        schema,
        groups=tuple(groups) if len(groups) > 1 else (),
        pages=pages,
        quotes={name: f"{name}_quote" for name in quoted},
    )


@dataclass
class Conversation:
    """A model that answers as it is drawn, and what was asked of it."""

    draw: Any
    form: AnswerForm
    mending: Mending
    asked: list[tuple[str, ...]]
    answered: dict[str, Any]
    called_complete: dict[str, bool] = field(default_factory=dict)

    def hold(self, progress: Progress) -> Step:
        """Take turns until there is an outcome."""
        for attempt_no in range(1, 2_000):
            judgement = self._judgement(progress)
            max_tokens = progress.turn.max_tokens or 100
            step = next_step(
                self.form, progress, judgement, attempt_no=attempt_no, max_tokens=max_tokens, mending=self.mending
            )
            assert Progress.of(step.progress.turn_json, step.progress.partial_json) == step.progress
            self._check(progress, judgement, step)
            if step.outcome is not None:
                return step
            progress = step.progress
        raise AssertionError("the turns never end")

    def _judgement(self, progress: Progress) -> Judgement:
        kind = self.draw(st.sampled_from(["ok"] * 30 + ["invalid", "truncated", "full", "refused"]))
        if kind == "ok":
            return self._answer(progress.turn)
        outcome = {"invalid": Outcome.INVALID, "refused": Outcome.REFUSED}.get(kind, Outcome.TRUNCATED)
        return Judgement(outcome, reason=kind, too_few_tokens=kind == "truncated")

    def _answer(self, turn: Turn) -> Judgement:
        fields = turn.fields or self.form.fields
        output: dict[str, Any] = {}
        for name in fields:
            if name in self.form.pages:
                output[name] = self.draw(st.one_of(st.none(), ENTRIES))
                output[self.form.pages[name].complete] = self.draw(st.booleans())
            else:
                output[name] = self.draw(VALUES)
        nulled = [name for name in fields if output[name] is None and self.draw(st.booleans())]
        problems = tuple(FieldProblem(name, name, f"{name}: odd") for name in nulled)
        return Judgement(Outcome.SUCCEEDED, output, problems=problems)

    def check_lists(self, step: Step) -> None:
        """No list is cut in silence."""
        assert step.output is not None
        for name, was_called_complete in self.called_complete.items():
            entries, count = step.output[name], step.output.get(self.form.pages[name].count or "")
            is_told = was_called_complete or name in step.progress.findings.problems
            assert is_told or entries is None or len(entries) == count

    def _check(self, before: Progress, judgement: Judgement, step: Step) -> None:
        turn = before.turn
        fields = turn.fields or self.form.fields
        if judgement.output is not None:
            if not turn.goes_on:
                again = set(fields) & set(self.answered)
                assert not again, f"{again} are asked for again"
            self.asked.append(fields)
            self.called_complete |= {
                name: judgement.output[rule.complete] for name, rule in self.form.pages.items() if name in fields
            }
            self.answered |= {name: judgement.output[name] for name in fields if name not in self.form.pages}
            self.answered |= {name: ... for name in fields if name in self.form.pages}
        elif step.outcome is None:
            assert step.progress.turn.fields == turn.fields, "a mended turn asks for the same fields"
            assert step.progress.turn.goes_on == turn.goes_on, "and for the same page"
            assert step.progress.values == before.values
        known = step.progress.values if step.outcome is not Outcome.SUCCEEDED else step.output
        assert known is not None
        for name, value in self.answered.items():
            assert name in known, f"{name} is lost"
            assert value is ... or known[name] == value


@given(st.data(), forms(), MENDINGS)
def test_turns_end_and_lose_nothing(data: st.DataObject, form: AnswerForm, mending: Mending) -> None:
    conversation = Conversation(data.draw, form, mending, [], {})

    step = conversation.hold(BEGINNING if not form.groups else Progress(first_turn(form, {})))

    if step.outcome is Outcome.SUCCEEDED:
        assert step.output is not None
        assert set(step.output) == set(form.fields)
        assert set(conversation.answered) == set(form.fields)
        assert step.progress.values == {}
        conversation.check_lists(step)


@given(st.data(), forms(), MENDINGS, st.sets(st.sampled_from(NAMES)))
def test_what_is_answered_already_is_not_asked_for(
    data: st.DataObject, form: AnswerForm, mending: Mending, known: set[str]
) -> None:
    values = {name: [1, 2] if name in form.pages else "known" for name in form.fields if name in known}
    if not form.missing(values):
        return
    answered = {name: ... if name in form.pages else value for name, value in values.items()}
    conversation = Conversation(data.draw, form, mending, [], answered)

    step = conversation.hold(Progress(first_turn(form, values), values, Findings()))

    if step.outcome is Outcome.SUCCEEDED:
        assert step.output is not None
        assert {name: step.output[name] for name in values} == values
        asked = [
            fields for number, fields in enumerate(conversation.asked) if fields not in conversation.asked[:number]
        ]
        planned = list(choices(form, values) or (form.fields,))
        assert [fields for fields in asked if fields in planned] == planned


@pytest.mark.parametrize("repeats", [True, False], ids=["the same page", "other entries"])
def test_a_list_that_never_ends_is_asked_for_so_often_and_no_more(repeats: bool) -> None:
    form = AnswerForm({"properties": {"a": {}, "a_complete": {}}}, pages={"a": PageRule(2, "a_complete")})
    progress, asked = BEGINNING, 0
    while True:
        page = [1, 2] if repeats else [asked, asked + 0.5]
        judgement = Judgement(Outcome.SUCCEEDED, {"a": page, "a_complete": False})
        step = next_step(
            form, progress, judgement, attempt_no=1, max_tokens=9, mending=Mending(max_repairs=0, most_tokens=9)
        )
        asked, progress = asked + 1, step.progress
        if step.outcome:
            break

    assert asked == (2 if repeats else MOST_PAGES)
    assert step.output is not None
    assert step.output["a"] == ([1, 2] if repeats else [half / 2 for half in range(2 * MOST_PAGES)])
    assert "not called complete" in step.progress.findings.problems["a"]


def test_a_list_that_comes_entry_by_entry_is_asked_for_no_more_often() -> None:
    form = AnswerForm({"properties": {"a": {}, "a_complete": {}}}, pages={"a": PageRule(50, "a_complete")})
    progress, asked, outcome = BEGINNING, 0, None
    while outcome is None:
        step = next_step(
            form,
            progress,
            Judgement(Outcome.SUCCEEDED, {"a": [asked], "a_complete": False}),
            attempt_no=1,
            max_tokens=9,
            mending=Mending(max_repairs=0, most_tokens=9),
        )
        asked, progress, outcome = asked + 1, step.progress, step.outcome

    assert asked == MOST_PAGES
    assert step.output == {"a": list(range(MOST_PAGES))}
