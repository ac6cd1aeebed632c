"""The costs of attempts, added up by day, model, job, run or document, and by class of token."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from batchrun.catalog.price import PriceRow, Rates
from batchrun.reply import Usage
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.prices import COLUMNS


class By(StrEnum):
    """What attempts are grouped by."""

    DAY = "day"
    MODEL = "model"
    JOB = "job"
    RUN = "run"
    DOCUMENT = "document"
    TAG = "tag"
    """The value of the tag that the filter names."""


NAMES: Mapping[By, Mapping[str, str]] = {
    By.DAY: {"day": "strftime('%Y-%m-%d', a.started_at, 'unixepoch')"},
    # The name that was asked for: an answer may come under another name of the same model.
    By.MODEL: {"model": "coalesce(p.model, a.model, '')"},
    By.JOB: {"job": "a.job"},
    By.RUN: {"run": "runs.run_id", "job": "a.job"},
    By.DOCUMENT: {"job": "a.job", "document": "a.doc_id"},
    By.TAG: {"tag": "coalesce((select value from run_tags t where t.run_no = a.run_no and t.tag = :tag), '')"},
}
"""The names of a group, each with the SQL that finds it."""
ORDER = {By.RUN: "a.run_no"}
"""What groups are ordered by; groups that are not here are ordered by name."""

# A class of token costs its tokens at its price, divided and rounded down attempt by attempt. Output costs what remains
# of the attempt's cost, so that the classes add up to this cost: rounding moves less than 5 nano-USD an attempt.
# However attempts are grouped, their sums agree to the last nano-USD, because each attempt is split in the same way.
SUMS = """
    count(*),
    coalesce(sum(a.cost_nusd), 0),
    coalesce(sum(case when a.cost_nusd is null and a.state != 'open' then a.reserved_nusd end), 0),
    coalesce(sum(case when a.state = 'open' then a.reserved_nusd end), 0),
    count(case when a.state != 'open' and a.outcome is not 'succeeded' then 1 end),
    coalesce(sum(case when a.state != 'open' and a.outcome is not 'succeeded' then a.cost_nusd end), 0),
    coalesce(sum(case when a.price_no is null then a.cost_nusd end), 0),
    coalesce(sum(a.input_tokens), 0),
    coalesce(sum(a.cache_write_5m_tokens), 0),
    coalesce(sum(a.cache_write_1h_tokens), 0),
    coalesce(sum(a.cache_read_tokens), 0),
    coalesce(sum(a.output_tokens), 0),
    sum(a.thinking_tokens),
    coalesce(sum(a.input_tokens * p.input_nusd / p.divisor), 0),
    coalesce(sum(a.cache_write_5m_tokens * p.cache_write_5m_nusd / p.divisor), 0),
    coalesce(sum(a.cache_write_1h_tokens * p.cache_write_1h_nusd / p.divisor), 0),
    coalesce(sum(a.cache_read_tokens * p.cache_read_nusd / p.divisor), 0)
"""
CHOSEN = """
from attempts a join runs using (run_no) left join prices p using (price_no)
where {} and (:since is null or a.started_at >= :since)
    and (:until is null or a.started_at < :until)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFilter:
    """Which attempts count; times in seconds since 1970."""

    run_nos: Sequence[int] | None = None
    """The runs whose attempts count; None for all runs."""
    since: float | None = None
    until: float | None = None
    """The first moment whose attempts no longer count."""
    tag: str | None = None
    """The tag that `By.TAG` groups by; it leaves no attempt out."""


@dataclass(frozen=True, slots=True)
class ClassCosts:
    """The cost of each class of token, in nano-USD."""

    input: int
    cache_write_5m: int
    cache_write_1h: int
    cache_read: int
    output: int


@dataclass(frozen=True, slots=True)
class Spending:
    """The sums of one group of attempts; money in nano-USD."""

    names: tuple[str, ...]
    """The names of the group, as in `NAMES`; none for the total."""
    documents: int
    attempts: int
    cost_nusd: int
    """The cost of all answers."""
    held_nusd: int
    """The worst cases of answers that were lost or stated no usage: they may have been billed."""
    open_nusd: int
    """What is reserved for requests in progress."""
    failed: int
    """How many attempts brought no row: they did not settle their request, or settled it as failed."""
    failed_nusd: int
    """The part of the cost that failed attempts have."""
    unclassed_nusd: int
    """The part of the cost without a price row: earlier versions recorded none."""
    tokens: Usage
    classes: ClassCosts
    """The cost of each class; the classes add up to the cost without `unclassed_nusd`."""


@dataclass(frozen=True, slots=True)
class UsedPrice:
    """A price row, with the attempts that were priced by the row."""

    attempts: int
    cost_nusd: int
    row: PriceRow


class Costs:
    """The costs of attempts. Inside `one_moment` all answers are about the same state of the ledger."""

    def __init__(self, ledger: Ledger, meant: CostFilter) -> None:
        self._connection, self.tag = ledger.connection, meant.tag
        runs = None if meant.run_nos is None else json.dumps(list(meant.run_nos))
        self._chosen = CHOSEN.format("true" if runs is None else "a.run_no in (select value from json_each(:runs))")
        self._values = {"runs": runs, "since": meant.since, "until": meant.until, "tag": meant.tag}

    def tags(self) -> list[str]:
        """List the tags that runs of the ledger have, whichever runs count."""
        return [tag for (tag,) in self._connection.execute("select distinct tag from run_tags order by 1")]

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Read the ledger as it is now, whatever a run writes meanwhile."""
        self._connection.execute("begin")
        try:
            yield
        finally:
            self._connection.execute("rollback")

    def groups(self, by: By) -> Iterator[Spending]:
        """Yield the groups one by one, since there may be as many as documents: by name, runs as they began."""
        names = ", ".join(NAMES[by].values())
        order = ORDER.get(by, names)
        documents = {} if by is By.DOCUMENT else self._documents(by)  # by document each group is one
        rows = self._connection.execute(
            f"select {names}, {SUMS} {self._chosen} group by {order} order by {order}", self._values
        )
        for row in rows:
            named = row[: len(NAMES[by])]
            yield _spending(named, row[len(named) :], documents.get(named, 1))

    def total(self) -> Spending:
        """Add up all attempts that count."""
        sums = self._connection.execute(f"select {SUMS} {self._chosen}", self._values).fetchone()
        counted = f"select count(*) from (select distinct a.job, a.doc_id {self._chosen})"
        return _spending((), sums, self._connection.execute(counted, self._values).fetchone()[0])

    def adopted(self) -> int:
        """Count the answers that were adopted from the output, whose cost nobody knows."""
        query = (
            "select count(*) from adopted join runs using (run_no) where (:runs is null or run_no in"
            " (select value from json_each(:runs))) and (:since is null or runs.started_at >= :since)"
            " and (:until is null or runs.started_at < :until)"
        )
        return int(self._connection.execute(query, self._values).fetchone()[0])

    def longest_names(self, by: By) -> tuple[int, ...]:
        """Find how many characters the longest of each name has."""
        lengths = ", ".join(f"coalesce(max(length({name})), 0)" for name in NAMES[by].values())
        return tuple(self._connection.execute(f"select {lengths} {self._chosen}", self._values).fetchone())

    def prices(self) -> list[UsedPrice]:
        """List the price rows that were used, by model and date."""
        columns = ", ".join(f"p.{name}" for name in COLUMNS)
        rows = self._connection.execute(
            f"select count(*), sum(a.cost_nusd), {columns} {self._chosen} and p.price_no is not null"
            " group by p.price_no order by p.model, p.table_date, p.valid_from, p.divisor, p.above_tokens, p.price_no",
            self._values,
        )
        return [UsedPrice(attempts, cost_nusd, _price_row(*row)) for attempts, cost_nusd, *row in rows]

    def _documents(self, by: By) -> dict[tuple[str, ...], int]:
        named = ", ".join(f"{found} as name_{name}" for name, found in NAMES[by].items())
        names = ", ".join(f"name_{name}" for name in NAMES[by])
        rows = self._connection.execute(
            f"select {names}, count(*) from (select distinct {named}, a.job, a.doc_id {self._chosen}) group by {names}",
            self._values,
        )
        return {row[:-1]: row[-1] for row in rows}


@dataclass(frozen=True, slots=True)
class ModelUse:
    """When a model was asked last, and what has been spent on the model since some moment."""

    model: str
    last_at: float
    """The start of the last attempt, in seconds since 1970."""
    cost_nusd: int
    held_nusd: int
    """What is reserved for requests in progress and for lost answers."""


def model_uses(ledger: Ledger, *, since: float) -> list[ModelUse]:
    """List the models that were ever asked; only attempts that began after `since` cost anything here."""
    cost = "coalesce(sum(case when a.started_at >= ? then {} end), 0)"
    held = cost.format("case when a.cost_nusd is null then a.reserved_nusd end")
    rows = ledger.connection.execute(
        f"select {NAMES[By.MODEL]['model']}, max(a.started_at), {cost.format('a.cost_nusd')}, {held}"
        " from attempts a left join prices p using (price_no) group by 1",
        (since, since),
    )
    return [ModelUse(*row) for row in rows]


def _spending(names: tuple[str, ...], sums: tuple[int, ...], documents: int) -> Spending:
    attempts, cost_nusd, held_nusd, open_nusd, failed, failed_nusd, unclassed_nusd = sums[:7]
    fresh, write_5m, write_1h, read = sums[13:]
    output = cost_nusd - unclassed_nusd - fresh - write_5m - write_1h - read
    return Spending(
        names, documents, attempts, cost_nusd, held_nusd, open_nusd, failed, failed_nusd, unclassed_nusd,
        Usage(*sums[7:13]), ClassCosts(fresh, write_5m, write_1h, read, output),
    )  # fmt: skip


def _price_row(
    model: str, made: str, valid_from: str | None, source: str, above_tokens: int | None, divisor: int, *rates: int
) -> PriceRow:
    begins = date.fromisoformat(valid_from) if valid_from else None
    return PriceRow(model, date.fromisoformat(made), begins, source, above_tokens, divisor, Rates(*rates))
