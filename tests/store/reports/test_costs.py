"""What was spent: sums that agree to the nano-USD with plain arithmetic, however they are grouped."""

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_caps import run_caps

from batchrun.budget.caps import Amount
from batchrun.catalog.price import ModelPrice
from batchrun.catalog.price_table import load_prices
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.connection import SCRIPTS, create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Pending, RunPlan, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.costs import By, CostFilter, Costs, Spending

TABLE = load_prices(today=date(2026, 11, 21))
HAIKU = TABLE.model("claude-haiku-5-5")
SMALL = Usage(10, output_tokens=5)
DAY_S = 86_400.0
FIRST = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


class Account:
    """A ledger with two jobs, to which attempts are added that ended in every way."""

    def __init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("pragma foreign_keys = on")
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        self.runs = {
            (job, run): Runs(self.ledger).begin_run(plan(job), run_id=f"{job}-{run}") for run in (1, 2) for job in "ab"
        }

    def attempt(self, made: "Made") -> None:
        run_no, run = self.runs[made.job, made.run], self.ledger.connection.execute
        name = f"{made.job} {made.run} {self.ledger.next_seq()}"
        (request_no,) = run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, ?, 1, 'prose')"
            " returning request_no",
            (name, made.price.name),
        ).fetchone()
        pending = Pending(0, DocumentRef(made.document, "s"), request_no, name, 1, TextClass.PROSE, None)
        attempt_no = self.ledger.reserve(
            pending,
            Amount(made.reserved_nusd),
            run_no=run_no,
            job=made.job,
            model=made.price.name,
            caps=run_caps(self.ledger, run_no),
        )
        assert isinstance(attempt_no, int)
        run("update attempts set started_at = ? where attempt_no = ?", (FIRST + made.day * DAY_S + 1, attempt_no))
        if made.how != "open":
            with self.ledger.transaction():
                self.ledger.settle(made.settlement(attempt_no))
        if made.how == "unrecorded":
            run("update attempts set price_no = null where attempt_no = ?", (attempt_no,))

    def committed(self) -> int:
        return int(self.ledger.connection.execute("select sum(committed_nusd) from runs").fetchone()[0])


def plan(job: str) -> RunPlan:
    return RunPlan(
        job=job, job_path=f"jobs/{job}.toml", fingerprint="f", model="m", simulated=False, documents=3, to_send=3,
        cap_nusd=10**18, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
        tags={"team": "legal", "matter": job} if job == "a" else {"matter": job},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Made:
    """An attempt, as a test makes it."""

    job: str = "a"
    run: int = 1
    document: str = "d"
    day: int = 0
    price: ModelPrice = HAIKU
    usage: Usage = SMALL
    how: str = "succeeded"
    reserved_nusd: int = 1_000

    @property
    def answered(self) -> bool:
        return self.how in {"succeeded", "invalid", "unrecorded"}

    @property
    def cost_nusd(self) -> int:
        return self.price.cost_nusd(self.usage) if self.answered else 0

    def settlement(self, attempt_no: int) -> Settlement:
        if self.answered or self.how == "untold":
            usage = self.usage if self.answered else None
            return Settlement(
                attempt_no=attempt_no,
                state="answered",
                cost_nusd=self.price.cost_nusd(usage) if usage else None,
                price=self.price.row(usage) if usage else None,
                outcome=Outcome.INVALID if self.how == "invalid" else Outcome.SUCCEEDED,
                output="{}",
                reply=Reply("{}", "end_turn", usage, f"{self.price.name}-snapshot", "req", "{}"),
            )
        failure = Failure(cause=Cause.TIMEOUT, message="no answer")
        lost = self.how == "lost"
        return Settlement(
            attempt_no=attempt_no, state="unknown" if lost else "failed", cost_nusd=None if lost else 0, failure=failure
        )


counts = st.integers(0, 60_000)
attempts = st.builds(
    Made,
    job=st.sampled_from("ab"),
    run=st.sampled_from([1, 2]),
    document=st.sampled_from(["d1", "d2", "d \x1b3"]),
    day=st.integers(0, 3),
    price=st.sampled_from([
        *(TABLE.model(name) for name in ("claude-haiku-5-5", "claude-sonnet-5-5")),
        *(TABLE.model(name).in_batches for name in ("claude-haiku-5-5", "claude-opus-5")),
        replace(TABLE.model("claude-sonnet-5-5"), valid_from=date(2027, 1, 1), source="a file"),
    ]),
    usage=st.builds(Usage, counts, counts, counts, counts, counts, st.none() | st.just(0) | st.just(7)),
    how=st.sampled_from(["succeeded", "invalid", "unrecorded", "failed", "lost", "untold", "open"]),
    reserved_nusd=st.integers(0, 10**9),
)  # fmt: skip

KEYS = {
    By.DAY: lambda made: (f"2026-11-{1 + made.day:02}",),
    By.JOB: lambda made: (made.job,),
    By.RUN: lambda made: (f"{made.job}-{made.run}", made.job),
    By.DOCUMENT: lambda made: (made.job, made.document),
    By.TAG: lambda made: ("legal" if made.job == "a" else "",),
}


def key_of(by: By, made: Made) -> tuple[str, ...]:
    if by is By.MODEL:  # an answer without a price row tells only the name that it came under
        answered = made.how in {"unrecorded", "untold"}
        return (f"{made.price.name}-snapshot" if answered else made.price.name,)
    return KEYS[by](made)


def classes_of(made: Made) -> tuple[int, ...]:
    """What each class cost: rounded down, and the output what is left."""
    if not made.answered or made.how == "unrecorded":
        return (0,) * 5
    row = made.price.row(made.usage)
    *inputs, _ = (
        getattr(made.usage, f"{name}_tokens") * getattr(row.rates, name) // row.divisor
        for name in ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
    )
    return (*inputs, made.cost_nusd - sum(inputs))


def expected(names: tuple[str, ...], made: list[Made]) -> Spending:
    """The same in plain Python."""
    failed = [one for one in made if one.how in {"invalid", "failed", "lost"}]
    held = [one for one in made if one.how in {"lost", "untold"}]
    told = [one.usage for one in made if one.answered]
    thought = [one.thinking_tokens for one in told if one.thinking_tokens is not None]
    classes = [sum(column) for column in zip(*[classes_of(one) for one in made], strict=True)]
    return Spending(
        names=names,
        attempts=len(made),
        documents=len({(one.job, one.document) for one in made}),
        cost_nusd=sum(one.cost_nusd for one in made),
        held_nusd=sum(one.reserved_nusd for one in held),
        open_nusd=sum(one.reserved_nusd for one in made if one.how == "open"),
        failed=len(failed),
        failed_nusd=sum(one.cost_nusd for one in failed),
        unclassed_nusd=sum(one.cost_nusd for one in made if one.how == "unrecorded"),
        tokens=Usage(
            *[sum(column) for column in zip(*[astuple(one)[:5] for one in [Usage(), *told]], strict=True)],
            thinking_tokens=sum(thought) if thought else None,
        ),
        classes=type(NOTHING.classes)(*classes),
    )


NOTHING = Costs(Account().ledger, CostFilter()).total()


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(made=st.lists(attempts, min_size=1, max_size=12), by=st.sampled_from(list(By)))
def test_the_sums_are_those_of_plain_arithmetic(made: list[Made], by: By) -> None:
    account = Account()
    groups = defaultdict(list)
    for one in made:
        account.attempt(one)
        groups[key_of(by, one)].append(one)
    costs = Costs(account.ledger, CostFilter(tag="team"))
    found, total = list(costs.groups(by)), costs.total()

    assert {group.names: group for group in found} == {names: expected(names, ones) for names, ones in groups.items()}
    assert total == expected((), made)
    assert total.cost_nusd + total.held_nusd + total.open_nusd == account.committed()
    assert sum(astuple(total.classes)) + total.unclassed_nusd == total.cost_nusd
    assert sum(used.cost_nusd for used in costs.prices()) == total.cost_nusd - total.unclassed_nusd
    assert costs.longest_names(by) == tuple(max(map(len, column)) for column in zip(*groups, strict=True))


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(usage=st.builds(Usage, counts, counts, counts, counts, counts))
def test_what_rounding_moves_is_less_than_5_nano_usd_an_attempt(usage: Usage) -> None:
    account, price = Account(), TABLE.model("claude-haiku-5-5").in_batches
    account.attempt(Made(price=price, usage=usage))
    exact = usage.output_tokens * price.row(usage).rates.output / 2
    assert 0 <= Costs(account.ledger, CostFilter()).total().classes.output - exact < 5


@pytest.fixture
def account() -> Account:
    made = Account()
    for job, run, day in (("b", 1, 3), ("a", 1, 0), ("a", 2, 1), ("a", 2, 2)):
        made.attempt(Made(job=job, run=run, day=day, document=f"d{day}"))
    return made


ONE = HAIKU.cost_nusd(SMALL)


@pytest.mark.parametrize(
    ("meant", "days"),
    [
        (CostFilter(), [0, 1, 2, 3]),
        (CostFilter(run_nos=[]), []),
        (CostFilter(run_nos=[1]), [0]),
        (CostFilter(since=FIRST + DAY_S), [1, 2, 3]),
        (CostFilter(since=FIRST + DAY_S, until=FIRST + 3 * DAY_S), [1, 2]),
        (CostFilter(run_nos=[3], until=FIRST + 2 * DAY_S), [1]),
    ],
)
def test_only_what_is_meant_is_added_up(account: Account, meant: CostFilter, days: list[int]) -> None:
    costs = Costs(account.ledger, meant)
    assert [group.names for group in costs.groups(By.DAY)] == [(f"2026-11-{1 + day:02}",) for day in days]
    assert costs.total().cost_nusd == len(days) * ONE
    assert sum(used.attempts for used in costs.prices()) == len(days)


def test_runs_come_as_they_began(account: Account) -> None:
    assert [group.names for group in Costs(account.ledger, CostFilter()).groups(By.RUN)] == [
        ("a-1", "a"), ("b-1", "b"), ("a-2", "a"),
    ]  # fmt: skip


def test_nothing_was_spent() -> None:
    costs = Costs(Account().ledger, CostFilter())
    assert (costs.total().attempts, costs.total().cost_nusd, list(costs.groups(By.DAY)), costs.prices()) == (
        0,
        0,
        [],
        [],
    )


# --- the price rows


def test_a_price_row_is_kept_once(account: Account) -> None:
    assert account.ledger.connection.execute("select count(*) from prices").fetchone() == (1,)
    account.ledger = Ledger(account.ledger.connection, None)  # as another process opens it
    account.attempt(Made())
    assert account.ledger.connection.execute("select count(*) from prices").fetchone() == (1,)


def test_each_band_route_day_and_table_is_a_row_of_its_own() -> None:
    account, price = Account(), TABLE.model("claude-haiku-5-5")
    different = [
        price,
        price.in_batches,
        replace(price, valid_from=date(2027, 1, 1)),
        replace(price, source="a file"),
        replace(price, table_date=date(2026, 12, 1)),
        TABLE.model("claude-opus-5"),
    ]
    made = [Made(price=one) for one in different] + [Made(usage=Usage(100_001))]
    for one in made * 2:
        account.attempt(one)
    used = Costs(account.ledger, CostFilter()).prices()
    assert [one.attempts for one in used] == [2] * len(made)
    assert {one.row for one in used} == {one.price.row(one.usage) for one in made}


def test_a_row_whose_transaction_is_rolled_back_is_not_believed_to_be_there() -> None:
    account = Account()
    account.attempt(Made(how="open"))

    def settle_and_fail() -> None:
        with account.ledger.transaction():
            account.ledger.settle(Made().settlement(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        settle_and_fail()
    other = Made(price=TABLE.model("claude-opus-5"))
    account.attempt(other)
    with account.ledger.transaction():
        account.ledger.settle(Made().settlement(1))
    used = {one.row.model: one.cost_nusd for one in Costs(account.ledger, CostFilter()).prices()}
    assert used == {"claude-haiku-5-5": ONE, "claude-opus-5": other.cost_nusd}


# --- ledgers of version 3


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with an answer in it that was priced before prices were recorded."""
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for script in SCRIPTS[:3]:
            connection.executescript(resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
        connection.executescript(
            "insert into meta values ('ledger_id', 'x'), ('sequence', 3);"
            "insert into runs (run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
            " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
            " values ('r', 'a', 'jobs/a.toml', 'f', 'm', 0, 'finished', 1, 1, 1000, 1, 1, 1, 1, 'h', 100.0);"
            "insert into requests (request_id, model, counted_tokens, text_class) values ('q', 'm', 10, 'prose');"
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at,"
            " outcome, model, input_tokens, output_tokens)"
            " values (1, 1, 'a', 'd', 'answered', 50, 20, 100.0, 'succeeded', 'm', 7, 3);"
            "pragma user_version = 3;"
        )
    with contextlib.closing(Ledger.open(path)) as ledger:
        yield ledger


def test_what_was_priced_before_has_its_cost_and_no_classes(old: Ledger) -> None:
    total = Costs(old, CostFilter()).total()
    assert (total.cost_nusd, total.unclassed_nusd, sum(astuple(total.classes))) == (20, 20, 0)
    assert (total.tokens.input_tokens, total.tokens.output_tokens) == (7, 3)
    assert Costs(old, CostFilter()).prices() == []
