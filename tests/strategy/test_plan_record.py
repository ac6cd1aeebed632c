"""A plan as JSON and back: the same plan, whichever version wrote it, and never too much of it."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from trial_project import TrialProject

from batchrun.strategy.plan import Kind, Plan, PlanProblem
from batchrun.strategy.plan_record import (
    MOST_CHARACTERS,
    MOST_ENTRIES,
    VERSION,
    BrokenRecord,
    plan_from_json,
    to_json,
)
from batchrun.strategy.routes import Route

OF_VERSION_1 = Path(__file__).with_name("plan_of_version_1.json")
"""A plan with a cascade, a cached prefix, problems, caps of days and a deadline, as it was written first."""


@pytest.fixture
def plan(project: TrialProject) -> Plan:
    """A plan with something in each of its corners."""
    system = "Read every word of it. " * 1_500
    project.job(
        model="max_tokens = 100",
        cascade='models = ["claude-haiku-4-5", "claude-sonnet-4-6"]',
        prompt=f'system = "{system}"\nuser = "{{{{ doc.text }}}}"',
        run='route = "auto"\ndeadline = "20m"',
        budget="max_cost_usd = 3.5\nmax_cost_per_document_usd = 1\npartial = true",
    )
    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_per_day_usd = 2\n")
    project.documents(3)
    project.document("empty.txt", "")
    return project.plan()


def changed(text: str, **keys: Any) -> str:
    """The JSON with other values."""
    return json.dumps(json.loads(text) | keys)


def test_it_is_the_same_plan(plan: Plan) -> None:
    assert plan.cascade
    assert plan.caching[Route.STREAM].ttl
    assert plan.problems
    assert plan.caps.shared
    assert plan.caps.document
    assert plan_from_json(to_json(plan)) == plan


def test_its_keys_are_the_names_of_its_fields(plan: Plan) -> None:
    written = json.loads(to_json(plan))
    assert written.keys() == {"version", *asdict(plan)}
    assert written["version"] == VERSION
    assert written["chosen"]["estimate"]["cost_nusd"].keys() == {"mean", "low", "high"}


def test_a_plan_of_version_1_is_read() -> None:
    plan = plan_from_json(OF_VERSION_1.read_text())
    assert (plan.job, plan.model, plan.to_send, plan.documents) == ("trial", "claude-haiku-4-5", 3, 4)
    assert (plan.counts[Kind.NEW], plan.counts[Kind.EMPTY], plan.counts[Kind.RETRY]) == (3, 1, 0)
    assert plan.problems == (PlanProblem("docs/empty.txt", Kind.EMPTY, "the document is empty"),)
    assert plan.earlier_models == ("claude-haiku-4-5",)
    assert plan.choice.route is Route.STREAM
    assert [forecast.name for forecast in plan.forecasts] == ["stream", "stream+cache", "batch", "batch+cache"]
    assert plan.cap_nusd == 3_500_000_000
    assert plan.deadline_s == 1_200.0
    written, old = json.loads(to_json(plan)), json.loads(OF_VERSION_1.read_text())
    assert shared(written, old) == old, "nothing of it is forgotten"


def shared(written: Any, old: Any) -> Any:
    """The JSON without the keys that its records did not have at first."""
    match written, old:
        case dict(), dict():
            return {key: shared(written[key], value) for key, value in old.items()}
        case list(), list() if len(written) == len(old):
            return [shared(one, other) for one, other in zip(written, old, strict=True)]
        case _:
            return written


def test_what_a_later_version_writes_besides_is_passed_over(plan: Plan) -> None:
    text = to_json(plan)
    found = json.loads(text)
    later = changed(
        text,
        version=VERSION + 1,
        moon="full",
        counts=found["counts"] | {"deferred": 7},
        caching=found["caching"] | {"pigeon": {"ttl": "2h"}},
        estimate=found["estimate"] | {"carbon_g": 1.5},
    )
    assert plan_from_json(later) == plan


def test_a_key_that_has_a_default_may_be_missing(plan: Plan) -> None:
    written = json.loads(to_json(plan))
    del written["cascade"]
    assert plan_from_json(json.dumps(written)) == replace(plan, cascade=None)


def test_a_kind_that_an_earlier_version_did_not_know_counts_nothing(plan: Plan) -> None:
    counts = json.loads(to_json(plan))["counts"]
    del counts["in_batch"]
    assert plan_from_json(changed(to_json(plan), counts=counts)).unsettled == plan.unsettled


BROKEN = {
    "cut off": ('{"version": 1, "job"', "Expecting ':' delimiter: line 1 column 21 (char 20)"),
    "no object": ("[1, 2]", "the whole: Input should be a dictionary or an instance of Plan"),
    "no text": ("", "Expecting value: line 1 column 1 (char 0)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_plan_is_refused_with_the_reason(case: str) -> None:
    text, why = BROKEN[case]
    with pytest.raises(BrokenRecord) as caught:
        plan_from_json(text)
    assert str(caught.value) == f"the ledger's Plan is not as it was written: {why}"


def test_a_value_of_another_type_is_named(plan: Plan) -> None:
    estimate = json.loads(to_json(plan))["estimate"] | {"cost_nusd": {"mean": "much", "low": 1, "high": 2}}
    with pytest.raises(BrokenRecord, match=r"written: estimate\.cost_nusd\.mean: Input should be a valid number"):
        plan_from_json(changed(to_json(plan), estimate=estimate))


def test_it_is_bounded_whatever_documents_and_the_api_say(plan: Plan) -> None:
    long = PlanProblem("d" * 10 * MOST_CHARACTERS, Kind.UNREADABLE, "\ud800 half a character")
    large = replace(
        plan, problems=(long,) * 2 * MOST_ENTRIES, notes={f"note {number}": 1 for number in range(3 * MOST_ENTRIES)}
    )
    read = plan_from_json(to_json(large))
    assert len(read.problems) == len(read.notes) == MOST_ENTRIES
    assert read.problems[0] == PlanProblem("d" * MOST_CHARACTERS, Kind.UNREADABLE, "? half a character")
