"""Whether there is money for one more request, decided inside the transaction that reserves the money."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.budget.caps import Amount, Cap, Caps, CapUsage, Of, Per, most_in_flight_nusd, undated
from batchrun.store.ledger.batch_records import UNLIMITED, RemainingBudget
from batchrun.store.ledger.cap_usage import OF_MODEL, shared_cap_usages
from batchrun.store.ledger.records import CapExceeded

IN_PROGRESS = """
select (select count(*) from attempts where run_no = :run_no and state = 'open' and batch_no is null and OURS),
    exists (select 1 from attempts where run_no = :run_no and state = 'open' and batch_no is not null and OURS),
    exists (select 1 from attempts a where run_no != :run_no and state = 'open' and batch_no is null and OURS
        and (:tag is null
        or exists (select 1 from run_tags t where t.run_no = a.run_no and t.tag || '=' || t.value = :tag)))
""".replace("OURS", f"(:model is null or {OF_MODEL})")


def document_usage(
    connection: sqlite3.Connection, cap: Cap, run_no: int, doc_id: str, request_ids: Sequence[str]
) -> CapUsage:
    """Read how much a run has used of a document's cap; `request_ids` name the document's requests to each model.

    All attempts that the run has made for the document count, and all that it has made for these requests. The
    document's attempts may be of other requests, with a lower `max_tokens`; attempts of its requests may have been made
    for an identical document. The plus keeps SQLite from going through the whole run to find them.
    """
    marks = ", ".join("?" * len(request_ids))
    (used,) = connection.execute(
        "select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) from attempts where attempt_no in ("
        "select attempt_no from attempts where run_no = ? and doc_id = ?"
        " union select attempt_no from attempts where +run_no = ?"
        f" and request_no in (select request_no from requests where request_id in ({marks})))",
        (run_no, doc_id, run_no, *request_ids),
    ).fetchone()
    return CapUsage(cap, used)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCaps:
    """The caps on the requests of one run to one model, as far as they are used."""

    connection: sqlite3.Connection
    caps: Caps
    run_no: int
    model: str
    now: float
    """The time of the check, in seconds since 1970."""

    def all(self, *, planned: bool = False) -> list[CapUsage]:
        """Read the usage of every cap, the run's own first. What a lease service has left counts as room if planned."""
        committed_nusd, expected_nusd, tokens = self.connection.execute(
            "select committed_nusd, expected_nusd, tokens from runs where run_no = ?", (self.run_no,)
        ).fetchone()
        cap_usages = [CapUsage(self.caps.run, expected_nusd if self.caps.soft else committed_nusd)]
        if self.caps.ceiling:
            cap_usages.append(CapUsage(self.caps.ceiling, committed_nusd))
        if self.caps.tokens:
            cap_usages.append(CapUsage(self.caps.tokens, tokens))
        return cap_usages + shared_cap_usages(
            self.connection, self.caps.shared, model=self.model, now=self.now, planned=planned
        )

    def remaining_budget(self, *, planned: bool = False) -> RemainingBudget:
        """Find the least that the caps leave, for the cost, the tokens and the expected cost of requests."""
        least = dict.fromkeys(Of, UNLIMITED)
        for cap_usage in self.all(planned=planned):
            least[cap_usage.cap.of] = min(least[cap_usage.cap.of], cap_usage.remaining)
        return RemainingBudget(nusd=least[Of.COST], tokens=least[Of.TOKENS], expected_nusd=least[Of.EXPECTED])

    def refusal(self, amount: Amount) -> CapExceeded | None:
        """Find the cap that one more request would exceed. Returns None if the request may be sent."""
        cap_usages = self.all()
        for cap_usage in cap_usages:
            if not cap_usage.fits(amount):
                return self._exceeded(cap_usage)
        if self.caps.scarce_nusd is not None and self._too_much_in_flight(amount, self.caps.scarce_nusd):
            return self._exceeded(cap_usages[0])
        return None

    def _too_much_in_flight(self, amount: Amount, cap_nusd: int) -> bool:
        in_flight, count, held = self.connection.execute(
            "select coalesce(sum(reserved_nusd), 0), count(*), (select coalesce(sum(reserved_nusd), 0) from attempts"
            "  where run_no = :run_no and cost_nusd is null and state != 'open')"
            " from attempts where run_no = :run_no and state = 'open' and batch_no is null",
            {"run_no": self.run_no},
        ).fetchone()
        most_nusd = most_in_flight_nusd(cap_nusd=cap_nusd, held_nusd=held)
        return bool(count and in_flight + amount.nusd > most_nusd)

    def _exceeded(self, cap_usage: CapUsage) -> CapExceeded:
        model = cap_usage.cap.model
        open_attempts, in_batches, others = self.connection.execute(
            IN_PROGRESS, {"run_no": self.run_no, "tag": cap_usage.cap.tag, "model": model and undated(model)}
        ).fetchone()
        return CapExceeded(
            cap_usage.used,
            cap_usage.cap,
            open_attempts=open_attempts,
            in_batches=bool(in_batches),
            others=bool(others) and cap_usage.cap.per in {Per.DAY, Per.MONTH},
        )
