"""A cascade before anything is sent: which known answers the cascade does not take, and how many will pass on."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrun.catalog.price import ModelPrice
from batchrun.estimation.estimate import Estimator
from batchrun.planning.weighing import Asked
from batchrun.store.ledger.cascades import Answer, answer_of, recent_answers, succeeded
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.cascade_cost import Share, calibrating_share, share
from batchrun.strategy.cascade_rules import AcceptanceRules, no_evidence
from batchrun.strategy.model_chain import ModelChain


def known_answers(ledger: Ledger, asked: Iterable[Asked]) -> Mapping[str, Answer]:
    """Look up the answers to documents' requests, those to the last model left out, by request id."""
    return succeeded(ledger, {request_id for each in asked for request_id, _, _ in each[:-1]})


def violating_requests(
    rules: AcceptanceRules,
    answers: Mapping[str, Answer],
    documents: Iterable[tuple[Sequence[str], str | None]],
) -> frozenset[str]:
    """Find the requests that have an answer which the cascade does not take; returns their ids.

    `documents` has the ids of each document's requests, and the document's text where evidence is looked for.
    """
    return frozenset(
        request_id
        for request_ids, text in documents
        for request_id in request_ids
        if (answer := answers.get(request_id)) and rules.violation(answer.output or {}, text, answer.findings)
    )


def answer_pairs(ledger: Ledger, doc_ids: Sequence[str]) -> list[tuple[Answer, Answer | None]]:
    """Read the answers of the first and the last model to documents of the plan that the first model has answered.

    The second answer is None if the last model was not asked, or its request has not ended.
    """
    rows = ledger.connection.execute(
        "with asked as (select doc_id,"
        "  (select key from json_each(planned.asked) order by id limit 1) as first,"
        "  (select key from json_each(planned.asked) order by id desc limit 1) as last"
        "  from planned where doc_id in (select value from json_each(?)) and asked is not null)"
        " select f.outcome, f.output, f.findings, a.escalated, l.outcome, l.output, l.findings, null"
        " from asked join requests f on f.request_id = first left join attempts a on a.attempt_no = f.attempt_no"
        " left join requests l on l.request_id = last where f.outcome is not null order by asked.doc_id",
        (json.dumps(doc_ids),),
    )
    return [(answer_of(row[:4]), answer_of(row[4:]) if row[4] else None) for row in rows]


@dataclass(frozen=True, slots=True)
class LaterModels:
    """What a plan knows of the models after the first."""

    estimators: Sequence[Estimator]
    shares: Sequence[Share]
    """The share, for each later model, of the previous model's answers that pass on to it."""
    standing: Sequence[float]
    """The share of the plan's requests that goes to each model, the first included."""


def later_models(
    ledger: Ledger, chain: ModelChain, job: str, fingerprint: str, *, estimator: Callable[[ModelPrice], Estimator]
) -> LaterModels | None:
    """Look at the job's own answers and at its plan. Returns None if the chain is no cascade."""
    if (rules := chain.acceptance_rules) is None:
        return None
    names = [chain_model.price.name for chain_model in chain.models]
    planned = dict(ledger.connection.execute("select model, count(*) from to_send group by 1").fetchall())
    total = sum(planned.values())
    shares = [calibrating_share(rules.calibrate, total)] if rules.is_calibrating else []
    for number, name in enumerate(names[len(shares) : -1]):
        answers = recent_answers(ledger, job, fingerprint=fingerprint, model=name)
        shares.append(share(sum(was_passed_on(one, chain, number) for one in answers), len(answers)))
    return LaterModels(
        [estimator(chain_model.price) for chain_model in chain.models[1:]],
        shares,
        [planned.get(name, 0) / total if total else float(number == 0) for number, name in enumerate(names)],
    )


def was_passed_on(answer: Answer, chain: ModelChain, model_no: int) -> bool:
    """Whether the cascade as it is now would pass an answer on. For evidence the finding of that time counts."""
    assert chain.acceptance_rules is not None
    if chain.escalated(model_no, answer.outcome, answer.output, None, answer.findings):
        return True
    return answer.escalated in [no_evidence(name) for name in chain.acceptance_rules.evidence]
