"""Answers that can be trusted, proved on known contracts with a stand-in that damages its answers in known ways."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from known_answers import (
    FALSE_QUOTES,
    NORMALISED,
    REPAIRED,
    TRUE_QUOTES,
    BatchedStandin,
    Standin,
    as_printed,
    asked_in,
    seldom,
)
from known_contracts import FIELDS, LAWS, KnownContract, known_contract
from scripted_batches_memory import WallClock
from trial_project import TrialProject

from batchrun import cli
from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.workflow.open_job import SubmitOptions

pytestmark = pytest.mark.slow

MODES = ("json_schema", "tool", "xml")
MODEL = 'name = "claude-haiku-4-5"\nmax_tokens = 2000'
PAYMENTS = (
    'payments = { type = "array", items = { type = "object", fields = { due = "date", amount = "number" } }, '
    "page_size = 50, evidence = false%s }"
)
SMALL = 'max_requests = 100\npoll_interval = "10s"\nmax_poll_interval = "20s"\nreconcile_wait = "60s"'
QUOTED = ("buyer", "signed", "fee", "term", "law", "renews")


def given(
    project: TrialProject,
    contracts: Mapping[str, KnownContract],
    output: str = "",
    fields: str = "\n".join(FIELDS.values()),
    *,
    as_pdf: bool = False,
    **more: str,
) -> None:
    """Write the contracts and the job."""
    for doc_id, contract in contracts.items():
        data = contract.pdf if as_pdf else contract.text.encode()
        (project.root / doc_id).write_bytes(data)
    project.job(**{
        "source": 'type = "files"\ninclude = ["docs/*"]',
        "model": MODEL,
        "prompt": 'user = "{{ doc.id }}\\n{{ doc.text }}"',
        "output": output,
        "output_fields": fields,
        "budget": "max_cost_usd = 1000",
        **more,
    })  # fmt: skip


def known(count: int, *, first: int = 0, ending: str = "txt", **more: int) -> dict[str, KnownContract]:
    """Draw contracts, by the name of the document."""
    return {f"docs/{seed:04}.{ending}": known_contract(seed, **more) for seed in range(first, first + count)}


def rows(project: TrialProject, *names: str) -> dict[str, Any]:
    """The values of the output, by document, as an answer has them."""
    found = project.rows(
        f"select doc_id, to_json({{{', '.join(f'{name}: {name}' for name in names)}}})::varchar from trial"
    )
    return {doc_id: json.loads(text) for doc_id, text in found}


def evidence(project: TrialProject) -> dict[str, Any]:
    """What the output says of each document's evidence."""
    return {doc_id: json.loads(told) for doc_id, told in project.rows("select doc_id, _evidence::varchar from trial")}


TRUE_NORMALISED = {mode: ("spelled",) if mode == "xml" else NORMALISED for mode in MODES}


@pytest.mark.parametrize(
    ("mode", "damage"), [(mode, damage) for mode in MODES for damage in [*TRUE_NORMALISED[mode], *REPAIRED]]
)
def test_fields_are_right_after_normalising_and_repair(project: TrialProject, mode: str, damage: str) -> None:
    contracts = known(4)
    given(project, contracts, f'mode = "{mode}"')
    standin = Standin(contracts, damage=lambda _, number, __: damage if number == 1 else "none")

    summary = project.submit(standin)

    assert summary.outcomes == {Outcome.SUCCEEDED: 4}
    assert rows(project, *FIELDS) == {doc_id: contract.values for doc_id, contract in contracts.items()}
    assert sum(standin.answered.values()) == (4 if damage in NORMALISED else 8)
    assert_ledger_is_whole(project)


def assert_ledger_is_whole(project: TrialProject) -> None:
    """`batchrun verify` finds nothing."""
    with contextlib.chdir(project.root):
        assert cli.run(["verify"]) == ExitCode.OK


def test_a_text_alone_is_mended_too(project: TrialProject) -> None:
    contracts = known(6)
    given(project, contracts, 'mode = "text"', f'law = {{ type = "string", pattern = "^({"|".join(LAWS)})$" }}')
    standin = Standin(
        contracts, damage=lambda _, number, __: ("words", "empty", "cut")[number % 3] if number < 2 else "none"
    )

    summary = project.submit(standin)

    assert summary.outcomes == {Outcome.SUCCEEDED: 6}
    assert rows(project, "law") == {doc_id: {"law": contract.values["law"]} for doc_id, contract in contracts.items()}
    assert_attempts_are_told(project, standin)


@pytest.mark.parametrize("has_count", [True, False], ids=["count", "no count"])
def test_lists_of_a_thousand_entries_are_complete(project: TrialProject, has_count: bool) -> None:
    contracts = known(6, payments=1_000, clauses=4)
    counted = 'payment_count = "integer"\n' if has_count else ""
    fields = "\n".join([*FIELDS.values(), counted + PAYMENTS % (', count = "payment_count"' if has_count else "")])
    given(project, contracts, "max_repairs = 3", fields, model='name = "claude-haiku-4-5"\nmax_tokens = 3000')
    standin = Standin(contracts, damage=seldom(0.14, *REPAIRED), calls_complete=not has_count)

    summary = project.submit(standin)

    assert summary.outcomes == {Outcome.SUCCEEDED: 6}
    found = rows(project, *FIELDS, "payments")
    assert found == {
        doc_id: contract.values | {"payments": contract.payments} for doc_id, contract in contracts.items()
    }
    assert_attempts_are_told(project, standin)
    assert_ledger_is_whole(project)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("has_count", [True, False], ids=["count", "no count"])
@pytest.mark.parametrize("damage", ["none", *REPAIRED])
def test_long_lists_are_complete(project: TrialProject, mode: str, damage: str, has_count: bool) -> None:
    contracts = known(1, payments=320, clauses=4)
    counted = 'payment_count = "integer"\n' if has_count else ""
    fields = counted + PAYMENTS % (', count = "payment_count"' if has_count else "")
    given(project, contracts, f'mode = "{mode}"', fields, model='name = "claude-haiku-4-5"\nmax_tokens = 3000')
    standin = Standin(contracts, damage=lambda _, number, __: damage if number in {1, 4} else "none")
    standin.calls_complete = not has_count

    summary = project.submit(standin)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    ((found,),) = (row.values() for row in rows(project, "payments").values())
    assert found == contracts["docs/0000.txt"].payments
    results = [body["messages"][-1]["content"] for body in standin.bodies if mode == "tool"]
    told = [block.get("is_error", False) for blocks in results if isinstance(blocks, list) for block in blocks]
    assert sum(told) <= 2, "a good page is no error"


def test_true_quotes_are_located_on_their_pages(project: TrialProject) -> None:
    contracts = known(400, ending="pdf")
    given(project, contracts, 'evidence = true\nunsupported = "null"', as_pdf=True)
    makers = list(TRUE_QUOTES.values())
    number = {doc_id: place for place, doc_id in enumerate(contracts)}
    standin = Standin(
        contracts, quoting=lambda doc_id, name: makers[(number[doc_id] + QUOTED.index(name)) % len(makers)]
    )

    project.submit(standin)

    told = evidence(project)
    wrong = [
        (doc_id, name, told[doc_id][name], contract.found_on[name])
        for doc_id, contract in contracts.items()
        for name in QUOTED
        if tuple(told[doc_id][name].get("pages", ())) != contract.found_on[name] or "problem" in told[doc_id][name]
    ]
    assert len(wrong) <= 0.01 * len(contracts) * len(QUOTED), wrong
    found = rows(project, *FIELDS)
    assert found == {doc_id: contract.values for doc_id, contract in contracts.items()}


@pytest.mark.parametrize("kind", FALSE_QUOTES)
@pytest.mark.parametrize("misreads", [True, False], ids=["misread", "right"])
def test_no_false_quote_is_believed(project: TrialProject, kind: str, misreads: bool) -> None:
    contracts = known(200, ending="pdf")
    given(project, contracts, 'evidence = true\nunsupported = "null"\non_invalid = "null_fields"', as_pdf=True)
    standin = Standin(contracts, quoting=lambda *_: FALSE_QUOTES[kind], misreads=misreads)

    project.submit(standin)

    told = evidence(project)
    believed = [(doc_id, name, told[doc_id][name]) for doc_id in contracts for name in QUOTED
                if "problem" not in told[doc_id][name]]  # fmt: skip
    assert believed == []
    found = rows(project, *QUOTED)
    assert found == {doc_id: dict.fromkeys(QUOTED) for doc_id in contracts}


def test_one_document_of_a_thousand_is_left_without_a_row_when_a_seventh_of_the_replies_is_broken(
    project: TrialProject,
) -> None:
    contracts = known(2_000, clauses=1)
    given(project, contracts, "max_repairs = 3", run="max_concurrency = 20")
    standin = Standin(contracts, damage=seldom(0.14, *REPAIRED), repairs_well=0.0)

    summary = project.submit(standin)

    assert summary.outcomes[Outcome.SUCCEEDED] >= 1_998
    found = rows(project, *FIELDS)
    assert len(found) == summary.outcomes[Outcome.SUCCEEDED]
    assert found == {doc_id: contracts[doc_id].values for doc_id in found}
    assert_attempts_are_told(project, standin)


def assert_attempts_are_told(project: TrialProject, standin: Standin) -> None:
    """Each row has the number of its replies, and the ledger an attempt for each."""
    told = dict(project.rows("select doc_id, _attempts from trial"))
    assert told == {doc_id: standin.answered[doc_id] for doc_id in told}
    ((settled,),) = project.ask("select count(*) from attempts")
    assert settled == standin.answered.total()


def test_batches_mend_a_seventh_of_the_replies_too(project: TrialProject, clock: WallClock) -> None:
    contracts = known(300, first=5_000, clauses=1)
    given(project, contracts, "max_repairs = 3", run='route = "batch"', batch=SMALL)
    api = BatchedStandin(clock, standin=Standin(contracts, damage=seldom(0.14, *REPAIRED), repairs_well=0.0))

    summary = project.submit(api, options=SubmitOptions())

    assert summary.outcomes == {Outcome.SUCCEEDED: 300}
    assert rows(project, *FIELDS) == {doc_id: contract.values for doc_id, contract in contracts.items()}
    assert_attempts_are_told(project, api.standin)


EVERYTHING = ", ".join(("doc_id", *FIELDS, "_attempts", "_problems::varchar", "_evidence::varchar"))
DAMAGE = seldom(0.5, *REPAIRED, *NORMALISED)


@pytest.mark.parametrize(
    ("mode", "count"),
    [*((mode, 12) for mode in ("json_schema", "tool")), ("json_schema", 300)],
)
def test_batches_give_the_rows_that_streaming_gives(
    project: TrialProject, clock: WallClock, tmp_path: Path, mode: str, count: int
) -> None:
    contracts = known(count, clauses=3)
    batched = TrialProject(tmp_path / "batched")
    output = f'mode = "{mode}"\nmax_repairs = 3\nevidence = true\nunsupported = "null"\non_invalid = "null_fields"'
    makers = [*TRUE_QUOTES.values(), *FALSE_QUOTES.values()]
    api = BatchedStandin(clock)
    streaming, api.standin = (
        Standin(
            contracts,
            damage=DAMAGE,
            quoting=lambda doc_id, name: makers[len(doc_id + name + contracts[doc_id].values["buyer"]) % len(makers)],
        )
        for _ in range(2)
    )
    given(project, contracts, output)
    given(batched, contracts, output, run='route = "batch"', batch=SMALL)

    project.submit(streaming)
    batched.submit(api, options=SubmitOptions())

    assert api.standin.answered == streaming.answered
    assert batched.rows(f"select {EVERYTHING} from trial order by doc_id") == project.rows(
        f"select {EVERYTHING} from trial order by doc_id"
    )
    assert len(batched.rows()) >= 0.9 * count


def billed(project: TrialProject) -> int:
    """What the attempts of the last run cost."""
    ((cost_nusd,),) = project.ask(
        "select sum(cost_nusd) from attempts where run_no = (select max(run_no) from attempts)"
    )
    return int(cost_nusd)


@pytest.mark.parametrize("mode", MODES)
def test_an_added_field_is_billed_as_planned(project: TrialProject, mode: str) -> None:
    contracts = known(40, clauses=6)
    first, added = list(FIELDS.values())[:-2], "\n".join(FIELDS.values())
    given(project, contracts, f'mode = "{mode}"\nmax_repairs = 2', "\n".join(first))
    standin = Standin(contracts, damage=seldom(0.2, "half", "words", "empty"))
    project.submit(standin)
    given(project, contracts, f'mode = "{mode}"\nmax_repairs = 2', added)
    replies = standin.answered.total()

    plan = project.plan()
    project.submit(standin)

    assert plan.partly is not None
    assert plan.partly.fields == ("renews", "seller")
    assert plan.estimate.cost_nusd.low <= billed(project) <= plan.estimate.cost_nusd.high
    assert rows(project, *FIELDS) == {doc_id: contract.values for doc_id, contract in contracts.items()}
    asked = [asked_in(body).names for body in standin.bodies[replies:]]
    assert asked == [["renews", "seller"]] * len(asked)
    assert len(asked) > len(contracts), "some were mended"


def test_repairs_of_the_past_are_in_the_bill_that_is_planned(project: TrialProject) -> None:
    contracts = known(120, clauses=2)
    earlier = dict(list(contracts.items())[:80])
    given(project, earlier, "max_repairs = 2")
    standin = Standin(contracts, damage=seldom(0.3, "half", "words", "empty"))
    project.submit(standin)
    given(project, contracts, "max_repairs = 2")

    plan = project.plan()
    project.submit(standin)

    assert plan.to_send == 40
    assert plan.estimate.cost_nusd.low <= billed(project) <= plan.estimate.cost_nusd.high


def test_pages_of_the_past_are_in_the_bill_that_is_planned(project: TrialProject) -> None:
    contracts = known(24, payments=160, clauses=2)
    earlier = dict(list(contracts.items())[:16])
    given(project, earlier, "max_repairs = 2", PAYMENTS % "")
    standin = Standin(contracts)
    project.submit(standin)
    given(project, contracts, "max_repairs = 2", PAYMENTS % "")

    plan = project.plan()
    project.submit(standin)

    assert plan.to_send == 8
    assert plan.estimate.cost_nusd.low <= billed(project) <= plan.estimate.cost_nusd.high


def test_long_lists_come_in_batches_too(project: TrialProject, clock: WallClock) -> None:
    contracts = known(5, payments=180, clauses=4)
    fields = "\n".join([*FIELDS.values(), PAYMENTS % ""])
    given(project, contracts, "max_repairs = 3\ngroups = 2", fields, run='route = "batch"', batch=SMALL)
    api = BatchedStandin(clock, standin=Standin(contracts, damage=seldom(0.2, *REPAIRED)))

    summary = project.submit(api, options=SubmitOptions())

    assert summary.outcomes == {Outcome.SUCCEEDED: 5}
    assert rows(project, *FIELDS, "payments") == {
        doc_id: contract.values | {"payments": contract.payments} for doc_id, contract in contracts.items()
    }
    assert_attempts_are_told(project, api.standin)
    assert_ledger_is_whole(project)


def test_each_part_of_a_long_contract_is_believed_only_for_what_it_says(project: TrialProject) -> None:
    contracts = known(6, ending="pdf", clauses=60)
    source = (
        'type = "files"\ninclude = ["docs/*"]\non_oversize = "split"\nsplit_tokens = 1_500\nsplit_overlap_tokens = 100'
    )
    given(project, contracts, 'evidence = true\nunsupported = "null"\nmax_repairs = 2', as_pdf=True, source=source)
    standin = Standin(contracts, quoting=lambda *_: as_printed, damage=seldom(0.2, *REPAIRED))

    summary = project.submit(standin)

    assert set(summary.outcomes) == {Outcome.SUCCEEDED}
    assert rows(project, *FIELDS) == {doc_id: contract.values for doc_id, contract in contracts.items()}
    told = evidence(project)
    assert {doc_id: {name: tuple(told[doc_id][name]["pages"]) for name in QUOTED} for doc_id in contracts} == {
        doc_id: contract.found_on for doc_id, contract in contracts.items()
    }
    assert dict(project.rows("select doc_id, _attempts from trial")) == {
        doc_id: sum(count for part, count in standin.answered.items() if part.startswith(doc_id))
        for doc_id in contracts
    }
