"""Answers that can be trusted, proved on known contracts with a stand-in that damages its answers in known ways."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from known_answers import FALSE_QUOTES, NORMALISED, REPAIRED, TRUE_QUOTES, Standin
from known_contracts import FIELDS, KnownContract, known_contract
from trial_project import TrialProject

from batchrun.outcome import Outcome

MODES = ("json_schema", "tool", "xml")
MODEL = 'name = "claude-haiku-4-5"\nmax_tokens = 2000'
PAYMENTS = (
    'payments = { type = "array", items = { type = "object", fields = { due = "date", amount = "number" } }, '
    "page_size = 50, evidence = false%s }"
)
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


def known(count: int, *, ending: str = "txt", **more: int) -> dict[str, KnownContract]:
    """Draw contracts, by the name of the document."""
    return {f"docs/{seed:04}.{ending}": known_contract(seed, **more) for seed in range(count)}


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


def test_true_quotes_are_located_on_their_pages(project: TrialProject) -> None:
    contracts = known(20, ending="pdf")
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
    contracts = known(20, ending="pdf")
    given(project, contracts, 'evidence = true\nunsupported = "null"\non_invalid = "null_fields"', as_pdf=True)
    standin = Standin(contracts, quoting=lambda *_: FALSE_QUOTES[kind], misreads=misreads)

    project.submit(standin)

    told = evidence(project)
    believed = [(doc_id, name, told[doc_id][name]) for doc_id in contracts for name in QUOTED
                if "problem" not in told[doc_id][name]]  # fmt: skip
    assert believed == []
    found = rows(project, *QUOTED)
    assert found == {doc_id: dict.fromkeys(QUOTED) for doc_id in contracts}
