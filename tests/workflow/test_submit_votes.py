"""Votes: each document is asked several times, and the row has the values of most answers."""

import json
from typing import Any

import pytest
from scripted_provider import BAD_KEY, answer, lost
from test_submit_turns import Recording
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection

pytestmark = pytest.mark.slow

FIELDS = 'title = "string"\nn = "integer?"'
REFUSED = answer("", stop_reason="refusal")
A, B, C = ({"title": title, "n": 1} for title in "ABC")


def voting(project: TrialProject, votes: int = 3, output: str = "max_repairs = 0", **more: str) -> None:
    """A job with so many votes."""
    project.job(**{"output": f"votes = {votes}\n{output}", "output_fields": FIELDS} | more)


def scripted(*replies: Any) -> Recording:
    """What the only document is answered."""
    return Recording({"text 0": [answer(one) if isinstance(one, dict) else one for one in replies]})


def rows(project: TrialProject) -> list[tuple[Any, ...]]:
    """The rows of the output, with the agreement as JSON."""
    found = project.rows("select doc_id, title, n, _agreement, _attempts from trial order by doc_id")
    return [(*first, json.loads(agreement) if agreement else None, attempts) for *first, agreement, attempts in found]


def test_a_third_vote_is_asked_where_two_differ(project: TrialProject) -> None:
    voting(project)
    project.documents(2)
    provider = Recording({"text 0": [answer(A), answer(A)], "text 1": [answer(A), answer(B), answer(B)]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert rows(project) == [
        ("docs/0000.txt", "A", 1, {"title": 1.0, "n": 1.0}, 2),
        ("docs/0001.txt", "B", 1, {"title": 0.6667, "n": 1.0}, 3),
    ]
    assert len({json.dumps(body) for body in provider.bodies}) == 2, "a vote asks the same again"
    assert len(set(provider.ids)) == 2
    assert project.ask("select count(*), sum(outcome = 'succeeded') from attempts") == [(5, 5)]
    assert project.ask("select distinct turn, partial from requests") == [(None, None)]
    found = summary.findings
    assert found is not None
    assert (found.voted, found.votes) == (2, 5)
    assert list(found.agreement.items()) == [("title", pytest.approx(0.83335)), ("n", 1.0)]


def test_a_process_that_died_between_votes_goes_on_with_the_next(project: TrialProject) -> None:
    voting(project)
    project.documents(1)
    project.submit(scripted(A, BAD_KEY))
    assert project.statuses() == {"0000.txt": "pending"}
    project.submit(scripted(B, BAD_KEY))
    provider = scripted(B)

    project.submit(provider)

    assert len(provider.bodies) == 1
    assert rows(project) == [("docs/0000.txt", "B", 1, {"title": 0.6667, "n": 1.0}, 3)]


def test_votes_that_fail(project: TrialProject) -> None:
    voting(project)
    project.documents(1)

    summary = project.submit(scripted(A, B, REFUSED))

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert rows(project) == [("docs/0000.txt", "A", 1, {"title": 0.3333, "n": 0.6667}, 3)]
    assert project.ask("select outcome, reason is null from attempts") == [
        ("succeeded", 1),
        ("succeeded", 1),
        ("refused", 0),
    ]
    assert project.ask("select outcome, reason from requests") == [("succeeded", None)]


def test_a_document_most_of_whose_votes_fail_is_tried_again_with_the_vote_that_is_there(project: TrialProject) -> None:
    voting(project)
    project.documents(1)
    summary = project.submit(scripted(REFUSED, A, REFUSED))
    assert summary.outcomes == {Outcome.REFUSED: 1}
    provider = scripted(A)

    project.submit(provider, Selection(again=frozenset({Outcome.REFUSED})))

    assert len(provider.bodies) == 1
    assert rows(project) == [("docs/0000.txt", "A", 1, {"title": 1.0, "n": 1.0}, 4)]


def test_an_answer_without_votes_is_the_first_vote(project: TrialProject) -> None:
    project.job(output_fields=FIELDS)
    project.documents(2)
    once = project.plan().estimate.cost_nusd.mean
    before = Recording(default=answer(A))
    project.submit(before)
    voting(project)
    provider = Recording({"text 0": [answer(B), answer(A)]}, default=answer(A))

    plan = project.plan()
    project.submit(provider)

    assert (plan.estimate.requests, plan.turns, plan.partly) == (3, 2, None)
    assert plan.estimate.cost_nusd.mean == pytest.approx(1.5 * once)
    assert len(provider.bodies) == 3
    assert provider.bodies[0] == before.bodies[0]
    assert not {*provider.ids} & {*before.ids}
    assert rows(project) == [
        ("docs/0000.txt", "A", 1, {"title": 0.6667, "n": 1.0}, 2),
        ("docs/0001.txt", "A", 1, {"title": 1.0, "n": 1.0}, 1),
    ]
    assert project.plan().to_send == 0


@pytest.mark.parametrize(
    ("votes", "fields", "replies"),
    [(1, FIELDS, 0), (5, FIELDS, 3), (3, 'title = "string"\nn = "integer?"\nm = "integer?"', 2)],
    ids=["no votes", "more votes", "one more field"],
)
def test_what_is_kept_of_an_answer_with_votes(project: TrialProject, votes: int, fields: str, replies: int) -> None:
    voting(project)
    project.documents(1)
    project.submit(scripted(A))
    voting(project, votes, output_fields=fields)
    provider = scripted(B | {"m": 1} if "m" in fields else B)

    project.submit(provider)

    assert len(provider.bodies) == replies
    assert project.rows("select title from trial") == [("B" if replies else "A",)]


def test_the_plan_expects_two_to_three_votes_until_it_has_a_past(project: TrialProject) -> None:
    project.job(output_fields=FIELDS)
    project.documents(8)
    once = project.plan().estimate
    voting(project)
    first = project.plan()
    script = {f"text {number}": [answer(A), answer(B), answer(A)] for number in range(2)}
    project.submit(Recording(script, default=answer(A)))
    for number in range(8, 16):
        project.document(f"{number:04}.txt", f"text {number}")
    learnt = project.plan()

    assert first.votes is not None
    assert (first.votes.low, first.votes.mean, first.votes.high) == (2, 2.5, 3)
    assert first.estimate.cost_nusd.mean == pytest.approx(2.5 * once.cost_nusd.mean)
    assert first.estimate.cost_nusd.low < 2.1 * once.cost_nusd.mean
    assert first.estimate.cost_nusd.high > 3 * once.cost_nusd.mean
    assert (first.estimate.documents, first.estimate.requests, first.turns) == (8, 20, 3)
    assert learnt.votes is not None
    assert learnt.votes.mean == pytest.approx(2.3), "6 of 2, 2 of 3, and one more of each"
    assert 2 <= learnt.votes.low < 2.3 < learnt.votes.high < 3
    assert learnt.estimate.requests == 18


def test_votes_share_the_document_from_the_prompt_cache(project: TrialProject) -> None:
    voting(project)
    project.document("0000.txt", text := "word " * 6_000)
    provider = Recording({text: [answer(A), answer(B), answer(A)]}, default=answer(A))

    project.submit(provider)

    marked = [body["messages"][0]["content"] for body in provider.bodies]
    assert marked == [[{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]] * 3
    assert project.plans[-1].caching[project.plans[-1].choice.route].document_ttl == "5m"


def test_groups_of_fields_are_asked_in_every_vote(project: TrialProject) -> None:
    voting(project, output="groups = 2")
    project.documents(1)
    provider = scripted({"title": "A"}, {"n": 1}, {"title": "A"}, {"n": 2}, {"title": "A"}, {"n": 2})

    plan = project.plan()
    project.submit(provider)

    assert (plan.turns, plan.estimate.requests) == (6, 5)
    assert rows(project) == [("docs/0000.txt", "A", 2, {"title": 1.0, "n": 0.6667}, 6)]


def test_an_answer_that_is_lost_is_asked_again_as_the_same_vote(project: TrialProject) -> None:
    voting(project)
    project.documents(1)

    project.submit(scripted(A, lost(), A))

    assert rows(project) == [("docs/0000.txt", "A", 1, {"title": 1.0, "n": 1.0}, 2)]


def test_votes_over_the_parts_of_a_long_document(project: TrialProject) -> None:
    source = 'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "split"\nmax_document_tokens = 300'
    voting(project, source=source)
    project.document("0000.txt", "\n\n".join(f"Paragraph {number} says nothing of note." for number in range(50)))
    sent: dict[str, int] = {}

    async def reply(request: Any) -> Any:
        prompt = json.loads(request.body)["messages"][0]["content"]
        sent[prompt] = sent.get(prompt, 0) + 1
        return answer(B if "Paragraph 0 " in prompt and sent[prompt] == 1 else A)

    project.submit(Recording(default=reply))

    ((_, title, _, agreement, replies),) = rows(project)
    assert (title, agreement["title"], agreement["n"]) == ("A", 0.6667, 1.0)
    assert replies == 2 * len(sent) + 1
