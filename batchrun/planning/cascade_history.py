"""A cascade before anything is sent: which known answers are not good enough, and how many more there will be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrun.catalog.price import ModelPrice
from batchrun.document import Document, Unreadable
from batchrun.estimation.estimate import Estimator
from batchrun.planning.plan_tokens import SENT
from batchrun.planning.request_builder import Preparer
from batchrun.request import Request
from batchrun.store.ledger.cascades import Answer, outputs, recent_answers
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.cascade_cost import Share, share
from batchrun.strategy.cascade_rules import no_evidence
from batchrun.strategy.model_chain import Ladder


def unmet_requests(
    ledger: Ledger,
    ladder: Ladder,
    preparer: Preparer,
    page: Iterable[Document | Unreadable],
    rungs: Mapping[str, Sequence[Request]],
) -> frozenset[str]:
    """Those of the page's requests that have an answer which the cascade does not take, by request id.

    `rungs` are each document's requests to every model.
    """
    demands = ladder.demands
    if demands is None or not demands.words:
        return frozenset()
    found = outputs(ledger, {one.request_id for each in rungs.values() for one in each[:-1]})
    unmet = set[str]()
    for document in page:
        if isinstance(document, Unreadable):
            continue
        known = [one.request_id for one in rungs.get(document.doc_id, ())[:-1] if one.request_id in found]
        text = preparer.text(document) if known and demands.evidence else None
        unmet.update(one for one in known if demands.unmet(found[one], text))
    return frozenset(unmet)


@dataclass(frozen=True, slots=True)
class LaterModels:
    """What a plan knows of the models after the first."""

    estimators: Sequence[Estimator]
    shares: Sequence[Share]
    """That each of them is asked about, of the answers of the one before."""
    standing: Sequence[float]
    """Which share of the plan's requests goes to each model, the first included."""


def later_models(
    ledger: Ledger, ladder: Ladder, job: str, fingerprint: str, *, estimator: Callable[[ModelPrice], Estimator]
) -> LaterModels | None:
    """Look at the job's own answers and at its plan; None when the ladder is no cascade."""
    if ladder.demands is None:
        return None
    names = [rung.price.name for rung in ladder.rungs]
    shares = []
    for number, name in enumerate(names[:-1]):
        answers = recent_answers(ledger, job, fingerprint=fingerprint, model=name)
        shares.append(share(sum(was_passed_on(one, ladder, number) for one in answers), len(answers)))
    planned = planned_models(ledger)
    total = sum(planned.values())
    return LaterModels(
        [estimator(rung.price) for rung in ladder.rungs[1:]],
        shares,
        [planned.get(name, 0) / total if total else float(number == 0) for number, name in enumerate(names)],
    )


def was_passed_on(answer: Answer, ladder: Ladder, rung: int) -> bool:
    """Whether the cascade as it is now would pass an answer on. Of evidence only what was found then is known."""
    assert ladder.demands is not None
    if ladder.escalated(rung, answer.outcome, answer.output, None):
        return True
    return answer.escalated in [no_evidence(name) for name in ladder.demands.evidence]


def planned_models(ledger: Ledger) -> dict[str, int]:
    """How many of the plan's requests to send go to each model."""
    rows = ledger.connection.execute(
        "select model, count(*) from planned where chosen and kind in (select value from json_each(?)) group by 1",
        (SENT,),
    )
    return dict(rows.fetchall())
