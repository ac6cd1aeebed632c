"""Fields that are asked in groups: one row, a cached document, and no group that is paid twice."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from grouped_jobs import RATES, bill_nusd, contract, grouped, mixed_fields, simulated
from scripted_provider import BAD_KEY, ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.answers.form import ModeName
from batchrun.answers.xml_words import SCHEMA_LINE
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply, Usage
from batchrun.request import Request
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow

FOUR = 'a = "string"\nb = "string"\nc = "string"\nd = "string?"'
GROUPS = {"a": "ab", "c": "cd"}
"""Two groups of these fields, by the first of each."""
LONG = contract("Long Street", clauses=40)


@dataclass
class Answering(ScriptedProvider):
    """Answers the fields that a request asks for, unless the script has something else for the first of them."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    async def send(self, request: Request) -> Reply:
        self.bodies.append(json.loads(request.wire))
        self.ids.add(request.request_id)
        names = asked(self.bodies[-1])
        if steps := self.script.get(names[0]):
            return await self._follow(steps.pop(0), request)
        values = {name: name.upper() for name in names}
        if "output_config" in self.bodies[-1] and "format" in self.bodies[-1]["output_config"]:
            return answer(values)
        return answer("<answer>" + "".join(f"<{name}>{value}</{name}>" for name, value in values.items()) + "</answer>")

    @property
    def groups(self) -> list[str]:
        """The fields that each request asked for."""
        return ["".join(asked(body)) for body in self.bodies]


def asked(body: dict[str, Any]) -> list[str]:
    """The fields that a request asks for: by its schema, or by the schema in its last words."""
    if form := body.get("output_config", {}).get("format"):
        return list(form["schema"]["properties"])
    content = body["messages"][0]["content"]
    words = content if isinstance(content, str) else content[-1]["text"]
    return list(json.loads(words.rpartition(SCHEMA_LINE)[2])["properties"])


def submitted(project: TrialProject, **options: Any) -> tuple[Summary, dict[str, Any]]:
    """Submit to a simulator; its books say what is really billed."""
    with simulated() as (server, factory):
        summary = project.submit(factory, **options)  # type: ignore[arg-type]
        return summary, server.books.summary()


@pytest.mark.parametrize("mode", ["json_schema", "xml"])
def test_369_mixed_fields_are_filled(project: TrialProject, mode: ModeName) -> None:
    grouped(project, mode, fields=mixed_fields(369))
    for number in range(2):
        project.document(f"{number}.txt", contract(f"Street {number}", clauses=30))

    summary, books = submitted(project)

    plan = summary.plan
    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert books["billed"] == 2 * plan.turns == plan.estimate.requests
    assert plan.turns > 10
    columns = [name for name, *_ in project.rows("describe trial") if name.startswith("f")]
    assert columns == [f"f{number:03}" for number in range(369)]
    required = [name for number, name in enumerate(columns) if number % 8 in {3, 5, 6, 7}]
    complete = " and ".join(f"{name} is not null" for name in required)
    assert project.rows(f"select count(*) from trial where {complete}") == [(2,)]
    assert summary.totals is not None
    assert summary.totals.cost_nusd == bill_nusd(books)
    assert plan.estimate.cost_nusd.low <= bill_nusd(books) <= plan.estimate.cost_nusd.high
    prompts = plan.estimate.cost_nusd.mean - plan.estimate.output.mean * RATES.output
    assert prompts == pytest.approx(bill_nusd(books) - books["output_tokens"] * RATES.output, rel=0.15)
    assert (books["cache_read_tokens"] > 0) == (mode == "xml")


def test_the_groups_of_a_document_read_what_the_first_of_them_wrote(project: TrialProject) -> None:
    grouped(project, "xml", fields=mixed_fields(40), groups=8)
    for number in range(3):
        project.document(f"{number}.txt", contract(f"Street {number}", clauses=40))

    summary, books = submitted(project)

    written = books["cache_write_5m_tokens"]
    assert summary.plan.caching[summary.plan.choice.route].document_ttl == "5m"
    assert written > 3 * 2_000
    assert books["cache_read_tokens"] == 7 * written
    assert books["cache_write_1h_tokens"] == 0
    reserved = project.ask("select max(cost_nusd * 1.0 / reserved_nusd) from attempts")
    assert reserved[0][0] <= 1, "the worst case covers the write of the whole prompt"


@pytest.mark.parametrize(
    ("mode", "groups", "text", "cache", "marked"),
    [
        ("xml", 4, LONG, "auto", 4),
        ("xml", 4, LONG, "off", 0),
        ("xml", 1, LONG, "auto", 0),
        ("xml", 4, "A short text.", "auto", 0),
        ("json_schema", 4, LONG, "auto", 0),
    ],
    ids=["in groups", "switched off", "one request", "too short", "schema first"],
)
def test_what_is_marked(project: TrialProject, mode: ModeName, groups: int, text: str, cache: str, marked: int) -> None:
    prompt = f'cache = "{cache}"\nuser = "{{{{ doc.text }}}}"'
    grouped(project, mode, fields=FOUR, groups=groups, prompt=prompt)
    project.document("a.txt", text)
    provider = Answering()

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert project.rows("select a, b, c, d from trial") == [("A", "B", "C", "D")]
    blocks = [body["messages"][0]["content"] for body in provider.bodies]
    first = [content[0] for content in blocks if isinstance(content, list)]
    assert first == [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}] * marked
    assert len(provider.ids) == 1
    assert summary.plan.turns == groups
    assert summary.plan.pays_each_turn == (mode == "json_schema")


def test_a_field_that_is_added_is_one_turn_and_no_document_is_marked(project: TrialProject) -> None:
    grouped(project, "xml", fields=FOUR, groups=2)
    project.document("a.txt", LONG)
    project.submit(Answering())
    grouped(project, "xml", fields=FOUR + '\ne = "string"', groups=2)
    provider = Answering()

    summary = project.submit(provider)

    assert provider.groups == ["e"]
    assert isinstance(provider.bodies[0]["messages"][0]["content"], str)
    assert summary.plan.turns == 1
    assert summary.plan.caching[summary.plan.choice.route].document_ttl is None


@pytest.mark.parametrize("mode", ["json_schema", "xml"])
def test_a_process_that_dies_between_two_groups_goes_on_with_the_missing_ones(
    project: TrialProject, mode: ModeName
) -> None:
    grouped(project, mode, fields=FOUR, groups=4)
    project.document("a.txt", LONG)
    first, second = Answering({"c": [BAD_KEY]}), Answering()
    project.submit(first)

    plan = project.plan()
    summary = project.submit(second)

    assert (first.groups, second.groups) == (["a", "b", "c"], ["c", "d"])
    assert (plan.turns, plan.estimate.requests) == (2, 2)
    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert project.ask("select count(*) from attempts where cost_nusd > 0") == [(4,)]


def test_a_group_that_failed_is_tried_again_alone(project: TrialProject) -> None:
    grouped(project, "json_schema", fields=FOUR, groups=2)
    project.documents(2)
    first, second = Answering({"c": [answer({}), answer({})]}), Answering()
    failed = project.submit(first)

    summary = project.submit(second, Selection(again=frozenset({Outcome.INVALID})))

    assert failed.outcomes == {Outcome.INVALID: 2}
    assert Counter(second.groups) == {"cd": 2}
    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert project.rows("select a, b, c, d from trial") == [("A", "B", "C", "D")] * 2


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_other_groups_make_no_new_work(project: TrialProject, groups: int) -> None:
    grouped(project, "json_schema", fields=FOUR, groups=3)
    project.documents(2)
    project.submit(Answering())
    grouped(project, "json_schema", fields=FOUR, groups=groups)

    plan = project.plan()

    assert plan.to_send == 0


def test_the_next_plan_knows_how_long_the_replies_of_each_group_are(project: TrialProject) -> None:
    grouped(project, "json_schema", fields=FOUR, groups=2)
    project.documents(60)
    lengths = {"a": 40, "c": 90}
    provider = Answering(
        {
            name: [answer(dict.fromkeys(pair, "x"), usage=Usage(input_tokens=100, output_tokens=lengths[name]))] * 60
            for name, pair in GROUPS.items()
        }
    )
    project.submit(provider)
    for number in range(60, 80):
        project.document(f"{number:04}.txt", f"text {number}")

    plan = project.plan()

    assert plan.estimate.output.mean == pytest.approx(20 * sum(lengths.values()), rel=0.1)


@pytest.mark.parametrize("mode", ["json_schema", "xml"])
def test_one_more_field_on_short_documents_costs_two_fifths_of_a_rerun_at_most(
    project: TrialProject, mode: ModeName, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bills, plans = [], []
    for reasks_all in (False, True):
        one = project if reasks_all else TrialProject(tmp_path_factory.mktemp("delta"))
        for number in range(4):
            one.document(f"{number}.txt", contract(f"Street {number}", clauses=4))
        grouped(one, mode, fields=mixed_fields(24))
        submitted(one)
        grouped(one, mode, fields=mixed_fields(24) + '\nmore = "date?"')
        summary, books = submitted(one, options=SubmitOptions(reasks_all=reasks_all))
        assert summary.outcomes == {Outcome.SUCCEEDED: 4}
        bills.append(bill_nusd(books))
        plans.append(summary.plan)

    delta, rerun = bills
    partly = plans[0].partly
    assert delta <= 0.4 * rerun
    assert partly is not None
    assert (partly.documents, partly.fields) == (4, ("more",))
    for plan, bill, price in zip(plans, bills, (partly.nusd, partly.whole_nusd), strict=True):
        assert price == pytest.approx(bill, rel=0.4)
        assert price == pytest.approx(plan.estimate.cost_nusd.mean, rel=0.01)
