"""The caps of a run that has no cap but its own."""

from batchrun.budget.caps import Cap, Caps, Origin, Per
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs


def run_cap(limit: int) -> Cap:
    return Cap(Per.RUN, limit, "budget.max_cost_usd", Origin.JOB)


def run_caps(ledger: Ledger, run_no: int) -> Caps:
    """The cap that the ledger has for the run."""
    return Caps(run=run_cap(Runs(ledger).one(run_no).cap_nusd))
