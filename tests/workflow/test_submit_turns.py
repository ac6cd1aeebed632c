"""Answers that take more than one turn: mended ones, and ones that ask only for what is new."""

import json
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.answers.progress import Progress, Turn
from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.workflow.open_job import SubmitOptions

TITLE = {"title": "a title"}
CUT = answer('{"title": "a', stop_reason="max_tokens")


class Recording(ScriptedProvider):
    """Remembers the bodies as they are sent, and the ids of the requests."""

    def __init__(self, script: dict[str, list[Any]] | None = None, **more: Any) -> None:
        super().__init__(script or {}, **more)
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []

    async def send(self, request: Request) -> Reply:
        self.bodies.append(json.loads(request.wire))
        self.ids.append(request.request_id)
        return await super().send(request)


def asked(provider: Recording) -> list[list[str]]:
    """The fields that each request asked for."""
    return [list(body["output_config"]["format"]["schema"]["properties"]) for body in provider.bodies]


def stored(project: TrialProject, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of the output."""
    return project.rows(f"select {columns} from trial order by doc_id")


def mending(project: TrialProject, **sections: str) -> None:
    """Write the job file of somebody who says nothing of mending."""
    project.job(**{"output": "", **sections})


def test_a_reply_that_is_no_row_is_shown_to_the_model_with_its_problem(project: TrialProject) -> None:
    mending(project)
    project.documents(1)
    provider = Recording({"text 0": [answer({"name": "x"}), answer(TITLE)]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    first, second = provider.bodies
    assert second["messages"][0] == first["messages"][0]
    assert second["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": '{"name": "x"}'}]}
    assert "title: required" in second["messages"][2]["content"]
    assert len(set(provider.ids)) == 1, "the request keeps its name"
    assert stored(project, "title") == [("a title",)]
    kept = "select turn is not null, outcome, reason from attempts"
    assert project.ask(kept) == [
        (0, "invalid", "title: required; the reply: 'name' is no field"),
        (1, "succeeded", None),
    ]
    assert json.loads(project.ask("select findings from requests")[0][0]) == {"attempts": 2, "repairs": 1}
    assert project.ask("select turn, partial from requests") == [(None, None)]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_reply_is_repaired_so_often_and_no_more(project: TrialProject, most: int) -> None:
    project.job(output=f"max_repairs = {most}")
    project.documents(1)
    provider = Recording({"text 0": [answer({})]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.INVALID: 1}
    assert summary.exit_code == ExitCode.SOME_FAILED
    assert len(provider.bodies) == 1 + most
    assert len({json.dumps(body) for body in provider.bodies}) == min(len(provider.bodies), 2)


def test_an_answer_that_is_cut_short_is_asked_once_with_twice_the_tokens(project: TrialProject) -> None:
    mending(project)
    project.documents(2)
    provider = Recording({"text 0": [CUT, answer(TITLE)], "text 1": [CUT]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1, Outcome.TRUNCATED: 1}
    assert sorted(body["max_tokens"] for body in provider.bodies) == [100, 100, 200, 200]


def test_a_process_that_died_between_the_turns_goes_on_with_the_repair(project: TrialProject) -> None:
    mending(project)
    project.documents(1)
    project.submit(Recording({"text 0": [answer({}), _interrupted()]}))
    provider = Recording({"text 0": [answer(TITLE)]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert [len(body["messages"]) for body in provider.bodies] == [3]
    assert "title: required" in provider.bodies[0]["messages"][2]["content"]


def _interrupted() -> Any:
    from scripted_provider import BAD_KEY

    return BAD_KEY


def test_a_field_that_is_added_is_asked_alone(project: TrialProject) -> None:
    mending(project)
    project.documents(2)
    project.submit(Recording())
    mending(project, output_fields='title = "string"\nday = "date?"')
    provider = Recording(default=answer({"day": "2024-03-01"}))

    plan = project.plan()
    summary = project.submit(provider)
    again = project.submit(Recording())

    assert plan.to_send == 2
    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert asked(provider) == [["day"], ["day"]]
    assert [row[0] for row in stored(project, "title || ' ' || day")] == ["a title 2024-03-01"] * 2
    assert again.plan.to_send == 0


@pytest.mark.slow
def test_a_field_that_is_described_in_other_words_is_asked_alone_and_again_and_again(project: TrialProject) -> None:
    mending(project)
    project.documents(1)
    project.submit(Recording())
    for number in range(3):
        mending(project, output_fields=f'title = "string"\nday = {{ type = "string", description = "{number}" }}')
        provider = Recording(default=answer({"day": str(number)}))
        project.submit(provider)
        assert asked(provider) == [["day"]]
        assert stored(project, "title, day") == [("a title", str(number))]


def test_without_a_field_nothing_is_asked(project: TrialProject) -> None:
    mending(project, output_fields='title = "string"\nday = "string"')
    project.documents(2)
    project.submit(Recording(default=answer({"title": "t", "day": "d"})))
    mending(project)
    provider = Recording()

    summary = project.submit(provider)

    assert provider.bodies == []
    assert summary.exit_code == ExitCode.OK
    assert stored(project, "title") == [("t",), ("t",)]
    assert project.plan().to_send == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"prompt": 'user = "Now: {{ doc.text }}"'}, {"model": 'name = "claude-sonnet-4-6"\nmax_tokens = 100'}],
    ids=["another prompt", "another model"],
)
def test_under_another_prompt_everything_is_asked_again(project: TrialProject, change: dict[str, str]) -> None:
    mending(project)
    project.documents(1)
    project.submit(Recording())
    mending(project, output_fields='title = "string"\nday = "date?"', **change)
    provider = Recording(default=answer({"title": "other", "day": None}))

    project.submit(provider)

    assert asked(provider) == [["title", "day"]]
    assert stored(project, "title") == [("other",)]


def test_a_document_that_has_changed_is_asked_for_everything(project: TrialProject) -> None:
    mending(project)
    project.documents(1)
    project.submit(Recording())
    project.document("0000.txt", "another text")
    mending(project, output_fields='title = "string"\nday = "date?"')
    provider = Recording(default=answer({"title": "other", "day": None}))

    project.submit(provider)

    assert asked(provider) == [["title", "day"]]


@pytest.mark.slow
def test_the_plan_has_both_prices_and_all_fields_can_be_asked_again(project: TrialProject) -> None:
    mending(project)
    project.documents(3)
    project.submit(Recording())
    mending(project, output_fields='title = "string"\nday = "date?"')
    provider = Recording(default=answer({"title": "other", "day": None}))

    plan = project.plan()
    project.submit(provider, options=SubmitOptions(reasks_all=True))

    assert plan.partly is not None
    assert (plan.partly.documents, plan.partly.fields) == (3, ("day",))
    assert plan.partly.nusd < plan.partly.whole_nusd
    assert round(plan.estimate.cost_nusd.mean) == pytest.approx(plan.partly.nusd, abs=1)
    assert asked(provider) == [["title", "day"]] * 3


def test_repairs_of_the_past_are_planned(project: TrialProject) -> None:
    mending(project)
    project.documents(40)
    script = {f"text {number}": [answer({}), answer(TITLE)] for number in range(0, 40, 4)}
    project.submit(Recording(script))
    for number in range(40, 80):
        project.document(f"{number:04}.txt", f"text {number}")
    plain = project.plan().estimate.cost_nusd

    with project.opened() as opened:
        opened.ledger.connection.execute("update attempts set turn = null")
    without = project.plan().estimate.cost_nusd

    assert plain.mean == pytest.approx(without.mean * 1.25, rel=0.1)
    assert plain.high > without.high


class AskedOnByAnother(Recording):
    """Brings the request of another document to its next turn while a document is asked, as another run would."""

    def __init__(self, project: TrialProject) -> None:
        super().__init__()
        self.project = project

    async def send(self, request: Request) -> Reply:
        if not self.bodies:
            change = "update requests set turn = ? where request_id != ?"
            self.project.ask(change, Progress(Turn(max_tokens=77)).turn_json, request.request_id, commit=True)
        return await super().send(request)


def test_a_request_that_somebody_else_has_asked_on_is_asked_what_is_due(project: TrialProject) -> None:
    mending(project, run="max_concurrency = 1")
    project.documents(2)
    provider = AskedOnByAnother(project)

    project.submit(provider)

    assert [body["max_tokens"] for body in provider.bodies] == [100, 77]


@pytest.mark.slow
def test_the_whole_conversation_is_reserved_where_few_of_the_fields_are_asked(project: TrialProject) -> None:
    title = f'title = {{ type = "string", description = "{"words " * 800}" }}'
    mending(project, output_fields=title)
    project.documents(1)
    project.submit(Recording())
    mending(project, output_fields=f'{title}\nday = "date?"')
    wrong = "x" * 3_000

    project.submit(Recording({"text 0": [answer({"day": wrong}), answer({"day": None})]}))

    (_,), (alone,), (repair,) = project.ask("select reserved_tokens from attempts order by attempt_no")
    assert repair > alone + len(wrong)


def test_without_a_field_its_findings_are_gone_too(project: TrialProject) -> None:
    nulls = 'max_repairs = 0\non_invalid = "null_fields"'
    mending(project, output=nulls, output_fields='title = "string?"\nday = "date?"')
    project.documents(1)
    project.submit(Recording(default=answer({"title": 1.5, "day": "some day"})))
    mending(project, output=nulls, output_fields='title = "string?"')

    project.submit(Recording())

    findings = [json.loads(found) for (found,) in project.ask("select findings from requests order by request_no")]
    assert [sorted(found["problems"]) for found in findings if "problems" in found] == [["day"]]
    assert findings[-1] == {"attempts": 1, "originals": {"title": 1.5}}
