"""The books of a lease service and the ledgers of its holders: no cap is passed, whatever is lost or late."""

import sqlite3
import tempfile
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batchrun.budget.caps import Amount, Cap, CapUsage, Of, Origin, Per
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.leases.books import Books, Stale, new_grant
from batchrun.leases.messages import LEASE_S, MARGIN_S, Answer, Statement
from batchrun.store.ledger.leases import NOTHING, Holder, Lease, forget, lower, period_of, take, told, within_leases

NOW = 1_790_000_000.0
DAY = Cap(Per.DAY, 1_000, "budget.max_cost_per_day_usd", Origin.LEASES, left=0)
MONTH = Cap(Per.MONTH, 1_600, "budget.max_cost_per_month_usd", Origin.LEASES, left=0)
TOKENS = Cap(Per.DAY, 9_000, "budget.max_tokens_per_day", Origin.LEASES, of=Of.TOKENS, left=0)
CAPS = (DAY, MONTH, TOKENS)
LAYOUT = resources.files("batchrun.store.migrations").joinpath("21_leases.sql").read_text("utf-8")


@dataclass
class Host:
    """A ledger as far as leases go: its grants, and what it has used."""

    connection: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect(":memory:", isolation_level=None))
    used: dict[Cap, int] = field(default_factory=lambda: dict.fromkeys(CAPS, 0))

    def __post_init__(self) -> None:
        if not self.connection.execute("select 1 from sqlite_master").fetchone():
            self.connection.executescript(LAYOUT)

    @property
    def usages(self) -> list[CapUsage]:
        return [CapUsage(cap, used) for cap, used in self.used.items()]

    @property
    def name(self) -> str | None:
        row = self.connection.execute("select holder from lease_holder").fetchone()
        return row and row[0]

    def granted(self, cap: Cap) -> int:
        row = self.connection.execute("select granted from leases where cap = ?", (cap.kind,)).fetchone()
        return row[0] if row else 0

    def reserve(self, amount: Amount, *, now: float = NOW) -> bool:
        """Reserve, if the ledger's own check lets it."""
        fits = all(one.fits(amount) for one in within_leases(self.connection, self.usages, now=now, planned=False))
        if fits:
            self.used = {cap: used + amount.of(cap.of) for cap, used in self.used.items()}
        return fits

    def asks(self, amount: Amount = NOTHING, *, now: float = NOW) -> Statement:
        return Statement(*self.told(amount, now=now))

    def told(self, amount: Amount, *, now: float) -> tuple[Holder, str, tuple[Lease, ...]]:
        holder, leases = told(self.connection, self.usages, amount, now=now)
        return holder, "host", leases

    def gives_back(self, *, now: float = NOW) -> Statement:
        lower(self.connection, self.usages, now=now)
        return self.asks(now=now)

    def hears(self, asked: Statement, answer: Answer | None, *, now: float = NOW) -> None:
        if answer is None:
            forget(self.connection, asked.holder)
        else:
            take(self.connection, asked.holder, answer.leases, expires_at=now + answer.lease_s - MARGIN_S)

    def copied(self) -> "Host":
        other = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.backup(other)
        return Host(other, dict(self.used))


def answered(books: Books, statement: Statement, *, now: float = NOW) -> Answer | None:
    try:
        return books.exchange(statement, now=now)
    except Stale:
        return None


def exchanged(books: Books, host: Host, statement: Statement, *, now: float = NOW) -> bool:
    """Bring a statement to the service, and the answer back."""
    answer = answered(books, statement, now=now)
    host.hears(statement, answer, now=now)
    return answer is not None


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "leases.sqlite3", CAPS)


def granted(books: Books, cap: Cap) -> dict[str, int]:
    return {one.holder: one.granted for one in books.grants(now=NOW) if one.cap.kind == cap.kind}


class Organisation(RuleBasedStateMachine):
    """Three hosts and a service, which starts anew now and then. Messages are lost, late and repeated, in any order."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.books = Books(Path(self.folder.name) / "leases.sqlite3", CAPS)
        self.hosts = [Host(), Host(), Host()]
        self.asked: list[tuple[Host, Statement]] = []
        self.answers: list[tuple[Host, Statement, Answer | None]] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(which=st.integers(0, 2), nusd=st.integers(1, 300))
    def sends(self, which: int, nusd: int) -> None:
        host, amount = self.hosts[which], Amount(nusd, nusd * 5)
        if not host.reserve(amount):
            statement = host.asks(amount)
            exchanged(self.books, host, statement)
            host.reserve(amount)

    @rule(which=st.integers(0, 2), nusd=st.integers(1, 300))
    def asks(self, which: int, nusd: int) -> None:
        self.asked.append((self.hosts[which], self.hosts[which].asks(Amount(nusd, nusd * 5))))

    @rule(which=st.integers(0, 2))
    def gives_back(self, which: int) -> None:
        self.asked.append((self.hosts[which], self.hosts[which].gives_back()))

    @rule(which=st.integers(0, 2))
    def settles(self, which: int) -> None:
        exchanged(self.books, self.hosts[which], self.hosts[which].gives_back())

    @rule(which=st.integers(0, 2), nusd=st.integers(1, 100))
    def is_answered_for_less(self, which: int, nusd: int) -> None:
        host = self.hosts[which]
        host.used = {cap: max(0, used - Amount(nusd, nusd * 5).of(cap.of)) for cap, used in host.used.items()}

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), repeated=st.booleans())
    def arrives(self, data: st.DataObject, repeated: bool) -> None:
        at = data.draw(st.integers(0, len(self.asked) - 1))
        host, statement = self.asked[at]
        if not repeated:
            del self.asked[at]
        self.answers.append((host, statement, answered(self.books, statement)))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def is_heard(self, data: st.DataObject, lost: bool) -> None:
        host, statement, answer = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        if not lost:
            host.hears(statement, answer)

    @rule()
    def starts_anew(self) -> None:
        self.books = Books(self.books.path, CAPS)

    @invariant()
    def no_cap_is_passed(self) -> None:
        for cap in CAPS:
            down = granted(self.books, cap)
            assert sum(down.values()) <= cap.limit
            assert sum(host.used[cap] for host in self.hosts) <= cap.limit
            for host in self.hosts:
                assert host.used[cap] <= max(host.granted(cap), down.get(host.name or "", 0))
                assert host.granted(cap) <= down.get(host.name or "", 0)


TestOrganisation = Organisation.TestCase
TestOrganisation.settings = settings(max_examples=12, stateful_step_count=30)


@pytest.mark.parametrize(
    ("lease", "before", "others", "begins", "expected"),
    [
        (Lease("c", 1, granted=0, used=0, needs=100), None, 0, False, 100 + 1_000 // 16),
        (Lease("c", 1, granted=0, used=0, needs=100), None, 950, False, 50),
        (Lease("c", 1, granted=0, used=0, needs=100), None, 1_000, False, 0),
        (Lease("c", 1, granted=300, used=100, needs=200), 300, 0, False, 300),
        (Lease("c", 1, granted=100, used=100, needs=100), 300, 0, True, 100),
        (Lease("c", 1, granted=100, used=100, needs=100), 300, 0, False, 300),
        (Lease("c", 1, granted=500, used=400, needs=400), None, 0, False, 500),
        (Lease("c", 1, granted=0, used=400, needs=450), None, 900, False, 400),
    ],
    ids=["and a sixteenth of the rest", "what is left", "nothing left", "has enough", "given back", "kept in an epoch",
         "unknown to these books", "spent before there was a service"],
)  # fmt: skip
def test_what_a_holder_has_from_now_on(
    lease: Lease, before: int | None, others: int, begins: bool, expected: int
) -> None:
    assert new_grant(lease, before=before, others=others, limit=1_000, begins=begins) == expected


def test_an_answer_that_was_lost_is_asked_again_and_nothing_is_granted_twice(books: Books) -> None:
    host, amount = Host(), Amount(100)
    books.exchange(host.asks(amount), now=NOW)
    down = granted(books, DAY)
    again = Books(books.path, CAPS)
    exchanged(again, host, host.asks(amount))
    assert granted(again, DAY) == down
    assert host.granted(DAY) == down[host.name or ""]


def test_a_holder_that_dies_keeps_what_it_was_granted_until_its_next_run(books: Books) -> None:
    dead, other = Host(), Host()
    exchanged(books, dead, dead.asks(Amount(900)))
    assert dead.reserve(Amount(200))
    exchanged(books, other, other.asks(Amount(500)))
    assert other.granted(DAY) < 500
    exchanged(books, dead, dead.gives_back())
    assert granted(books, DAY)[dead.name or ""] == dead.granted(DAY) == 200
    exchanged(books, other, other.asks(Amount(500)))
    assert other.granted(DAY) >= 500


def test_nothing_is_reserved_on_a_lease_that_has_expired_until_it_is_renewed(books: Books) -> None:
    host = Host()
    exchanged(books, host, host.asks(Amount(100)))
    late = NOW + LEASE_S - MARGIN_S
    assert host.reserve(Amount(10), now=late - 1)
    assert not host.reserve(Amount(10), now=late)
    exchanged(books, host, host.asks(Amount(10), now=late), now=late)
    assert host.reserve(Amount(10), now=late)


def test_a_copy_of_a_ledger_begins_as_another_holder(books: Books) -> None:
    host = Host()
    exchanged(books, host, host.asks(Amount(100)))
    copied = host.copied()
    assert exchanged(books, host, host.gives_back())
    assert not exchanged(books, copied, copied.gives_back())
    assert exchanged(books, copied, copied.asks(Amount(50)))
    assert copied.name != host.name
    assert len(granted(books, DAY)) == 2


def test_a_copy_that_runs_first_makes_a_new_holder_of_the_first_one(books: Books) -> None:
    host = Host()
    exchanged(books, host, host.asks(Amount(100)))
    host.gives_back()  # which the service never hears of
    copied = host.copied()
    assert exchanged(books, copied, copied.gives_back())
    assert not exchanged(books, host, host.gives_back())
    assert host.granted(DAY) == 0


def test_a_service_that_was_not_heard_a_hundred_times_takes_the_ledger_for_another(books: Books) -> None:
    host = Host()
    exchanged(books, host, host.asks(Amount(100)))
    for _ in range(99):
        host.gives_back()
    assert exchanged(books, host, host.gives_back())
    for _ in range(101):
        host.gives_back()
    assert not exchanged(books, host, host.gives_back())


def test_a_clock_that_is_wrong_is_told_so(books: Books) -> None:
    host = Host()
    with pytest.raises(UsageProblem, match="more than an hour apart"):
        books.exchange(host.asks(Amount(1), now=NOW + 2 * 86_400), now=NOW)
    assert books.grants(now=NOW) == []


def test_a_cap_that_the_service_no_longer_has_is_left_out(books: Books) -> None:
    host, fewer = Host(), Books(books.path, [DAY])
    answer = fewer.exchange(host.asks(Amount(1)), now=NOW)
    assert [one.cap for one in answer.leases] == [DAY.kind]


def test_a_dead_holder_is_settled_only_when_its_lease_has_expired(books: Books) -> None:
    dead = Host()
    exchanged(books, dead, dead.asks(Amount(800)))
    name = dead.name or ""
    with pytest.raises(UsageProblem, match="not expired"):
        books.settle_dead(name, billed_nusd=100, now=NOW + LEASE_S - 1)
    with pytest.raises(UsageProblem, match="not known"):
        books.settle_dead("0" * 16, billed_nusd=100, now=NOW + LEASE_S)
    books.settle_dead(name, billed_nusd=100, now=NOW + LEASE_S)
    assert granted(books, DAY)[name] == granted(books, MONTH)[name] == 100
    assert not exchanged(books, dead, dead.asks(Amount(1)))  # it comes back all the same
    assert dead.granted(DAY) == 0
    exchanged(books, dead, dead.asks(Amount(1)))
    assert dead.name != name


def test_the_next_day_has_its_own_grants_and_the_month_goes_on(books: Books) -> None:
    host, tomorrow = Host(), NOW + 86_400
    exchanged(books, host, host.asks(Amount(900)))
    host.used, host_had = {DAY: 0, MONTH: 900, TOKENS: 0}, host.granted(MONTH)
    exchanged(books, host, host.asks(Amount(600), now=tomorrow), now=tomorrow)
    assert period_of(MONTH, NOW) == period_of(MONTH, tomorrow)
    day, month, _ = (cap.left for cap in books.caps_left(now=tomorrow))
    assert (day, month) == (1_000 - 600 - 1_000 // 16, 1_600 - 1_500 - (1_600 - host_had) // 16)
    assert host.reserve(Amount(600), now=tomorrow)


def test_books_that_are_new_damaged_or_gone_are_said_in_words(tmp_path: Path) -> None:
    path, host = tmp_path / "leases.sqlite3", Host()
    books = Books(path, CAPS)
    assert books.are_empty
    exchanged(books, host, host.asks(Amount(100)))
    assert not Books(path, CAPS).are_empty
    path.unlink()
    with pytest.raises(EnvironmentProblem, match="are gone"):
        books.exchange(host.asks(Amount(900)), now=NOW)
    (tmp_path / "damaged").write_text("no database at all" * 100)
    with pytest.raises(EnvironmentProblem, match="are damaged") as damaged:
        Books(tmp_path / "damaged", CAPS)
    assert "restore them from a backup" in (damaged.value.hint or "")


def test_what_was_granted_counts_at_once_in_books_that_do_not_know_it(tmp_path: Path) -> None:
    host, other = Host(), Host()
    exchanged(Books(tmp_path / "lost", CAPS), host, host.asks(Amount(900)))
    assert host.reserve(Amount(900))
    begun_anew = Books(tmp_path / "new", CAPS)
    exchanged(begun_anew, host, host.asks(Amount(1)))
    exchanged(begun_anew, other, other.asks(Amount(500)))
    assert sum(granted(begun_anew, DAY).values()) <= DAY.limit


def test_a_cap_that_was_lowered_takes_nothing_back_and_grants_nothing_more(books: Books) -> None:
    host, other, lowered = Host(), Host(), replace(DAY, limit=300)
    exchanged(books, host, host.asks(Amount(500)))
    had, books = host.granted(DAY), Books(books.path, [lowered])
    exchanged(books, host, host.asks(Amount(600)))
    exchanged(books, other, other.asks(Amount(1)))
    assert granted(books, lowered) == {host.name: had, other.name: 0}
    exchanged(books, host, host.gives_back())
    exchanged(books, other, other.asks(Amount(200)))
    assert other.granted(DAY) >= 200
    assert sum(granted(books, lowered).values()) <= 300
