"""The chain over settled attempts, by which a later change of the ledger shows.

Each link has the digest of an attempt as it was settled, with its reply and its output, and the digest of the link
before. An attempt that is changed for a good reason gets a further link, so that the last link of an attempt has the
digest of the attempt as it is. Whoever can write the file can write the whole chain anew: only a head that was noted
elsewhere shows that.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from batchrun.store.ledger.sqlite_errors import LedgerDamaged

SHORT = 12
"""How many characters of a head are shown to people."""
FACTS = """
a.attempt_no, r.request_id, a.run_no, a.batch_no, a.job, a.doc_id, a.state, a.model, a.cost_nusd, a.reserved_nusd,
a.reserved_tokens, a.price_no, a.input_tokens, a.cache_write_5m_tokens, a.cache_write_1h_tokens, a.cache_read_tokens,
a.output_tokens, a.thinking_tokens, a.stop_reason, a.api_request_id, a.cause, a.status, a.error_type, a.error_code,
a.message, a.started_at, a.ended_at, a.latency_s, a.first_byte_s, a.outcome, a.reason, a.escalated, a.turn,
p.raw, iif(a.outcome = 'succeeded' and r.attempt_no = a.attempt_no, r.output, null)
"""
"""What a link vouches for. The last two, a reply and an output, may be long."""
JOINS = "left join requests r using (request_no) left join replies p on p.attempt_no = a.attempt_no"
ONE = f"select {FACTS} from attempts a {JOINS} where a.attempt_no = ?"
LINKS = f"""
select c.link_no, c.attempt_no, c.facts, c.digest,
    not exists (select 1 from chain later where later.attempt_no = c.attempt_no and later.link_no > c.link_no),
    {FACTS}
from chain c left join attempts a on a.attempt_no = c.attempt_no {JOINS} order by c.link_no
"""
UNLINKED = """
select count(*), min(iif(attempt_no > ?, attempt_no, null)) from attempts a
where state != 'open' and not exists (select 1 from chain c where c.attempt_no = a.attempt_no)
"""
END = """
select (select value from meta where key = 'ledger_id'), settled_before, last_before, links, digest from chain_end
"""
HEAD_OF_RUN = """
select c.link_no, c.digest from chain c join attempts a using (attempt_no) where a.run_no = ?
order by c.link_no desc limit 1
"""

Fact = str | int | float | None


class Flaw(StrEnum):
    """How the ledger differs from what was written to it."""

    LINK_MISSING = "link_missing"
    LINK_WRONG = "link_wrong"
    """A link does not follow from the link before: it was changed, moved or inserted."""
    ATTEMPT_MISSING = "attempt_missing"
    ATTEMPT_CHANGED = "attempt_changed"
    END_WRONG = "end_wrong"
    """The chain does not end with the link that the ledger has recorded as the last."""
    ATTEMPT_INSERTED = "attempt_inserted"
    """A settled attempt has no link, and is no older than the chain."""
    BEGINNING_WRONG = "beginning_wrong"
    """There are more or fewer attempts without a link than there were when the chain began."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the ledger differs from what was written to it."""

    flaw: Flaw
    link_no: int | None = None
    attempt_no: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A link, by which the chain up to the link can be known again."""

    link_no: int
    digest: str
    """The digest in hexadecimal characters."""

    @property
    def short(self) -> str:
        """The beginning of the digest, for people."""
        return self.digest[:SHORT]


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk along the chain has found."""

    head: Head
    """The last link that is as it was written; its number is 0 if there is none."""
    settled_before: int
    """How many attempts were settled before the chain began: nothing vouches for these."""
    noted: Head | None
    """The link with the digest that was asked for; None if no digest was, or no link has the digest."""
    broken: Break | None


@dataclass(frozen=True, slots=True)
class _End:
    """The row of `chain_end`."""

    settled_before: int
    last_before: int
    first: bytes
    """What the first link follows."""
    links: int
    digest: bytes
    """The digest of the last link; the same as `first` if there is none."""


@dataclass(frozen=True, slots=True)
class _Link:
    """A link as the ledger has it, with the facts of its attempt now."""

    link_no: int
    attempt_no: int
    facts: bytes
    digest: bytes
    is_last: bool
    """Whether the attempt has no later link."""
    now: Sequence[Fact]


def facts_digest(facts: Sequence[Fact]) -> bytes:
    """Return the digest of the facts in `FACTS`."""
    *short, reply, output = facts
    return hashlib.sha256(json.dumps([*short, _sha(reply), _sha(output)]).encode()).digest()


def link_digest(before: bytes, attempt_no: int, facts: bytes) -> bytes:
    """Return the digest of a link that follows the digest `before`."""
    return hashlib.sha256(before + attempt_no.to_bytes(8, "big", signed=True) + facts).digest()


def first_digest(ledger_id: str, settled_before: int, last_before: int) -> bytes:
    """Return what the first link follows: the identity of the ledger, and what was there before the chain."""
    return hashlib.sha256(json.dumps([ledger_id, settled_before, last_before]).encode()).digest()


def _sha(text: Fact) -> str | None:
    return None if text is None else hashlib.sha256(str(text).encode()).hexdigest()


class Chain:
    """The chain of a ledger. Methods that write belong inside the transaction of what they link."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path

    def append(self, attempt_nos: Iterable[int]) -> None:
        """Link attempts that have just been settled."""
        end = self._end()
        links, digest = end.links, end.digest
        for attempt_no in attempt_nos:
            facts = facts_digest(self._connection.execute(ONE, (attempt_no,)).fetchone())
            links, digest = links + 1, link_digest(digest, attempt_no, facts)
            self._connection.execute("insert into chain values (?, ?, ?, ?)", (links, attempt_no, facts, digest))
        if links > end.links:
            self._connection.execute("update chain_end set links = ?, digest = ?", (links, digest))

    def amend(self, attempt_nos: Iterable[int]) -> None:
        """Link attempts again that were changed after their settlement. Attempts older than the chain get no link."""
        linked = "select 1 from chain where attempt_no = ? limit 1"
        self.append([number for number in attempt_nos if self._connection.execute(linked, (number,)).fetchone()])

    def head_of_run(self, run_no: int) -> Head | None:
        """Return the last link of a run's attempts. Returns None if no attempt of the run has a link."""
        row = self._connection.execute(HEAD_OF_RUN, (run_no,)).fetchone()
        return Head(row[0], row[1].hex()) if row else None

    def walk(self, noted: str = "") -> Walk:
        """Walk up to the first break, over the ledger as it is now, whatever a run writes meanwhile.

        `noted` is the beginning of a digest that the walk looks for. Raises LedgerDamaged.
        """
        self._connection.execute("begin")
        try:
            self._require_tables()
            return self._walked(self._end(), noted)
        finally:
            self._connection.execute("rollback")

    def _walked(self, end: _End, noted: str) -> Walk:
        head, found = Head(0, end.first.hex()), None
        for link in self._links():
            if broken := _broken(link, head):
                return Walk(head, end.settled_before, found, broken)
            head = Head(link.link_no, link.digest.hex())
            found = head if noted and head.digest.startswith(noted) else found
        return Walk(head, end.settled_before, found, self._broken_end(end, head))

    def _broken_end(self, end: _End, head: Head) -> Break | None:
        """Return what is wrong although every link up to the head follows from the link before."""
        if (head.link_no, head.digest) != (end.links, end.digest.hex()):
            return Break(Flaw.END_WRONG, end.links)
        unlinked, inserted = self._connection.execute(UNLINKED, (end.last_before,)).fetchone()
        if inserted is not None:
            return Break(Flaw.ATTEMPT_INSERTED, attempt_no=inserted)
        return Break(Flaw.BEGINNING_WRONG) if unlinked != end.settled_before else None

    def _links(self) -> Iterator[_Link]:
        for link_no, attempt_no, facts, digest, is_last, *now in self._connection.execute(LINKS):
            yield _Link(link_no, attempt_no, facts, digest, bool(is_last), now)

    def _end(self) -> _End:
        row = self._connection.execute(END).fetchone()
        if row is None:
            raise LedgerDamaged(self._path, "the end of the chain over its attempts is missing")
        ledger_id, settled_before, last_before, links, digest = row
        first = first_digest(ledger_id, settled_before, last_before)
        return _End(settled_before, last_before, first, links, first if digest is None else digest)

    def _require_tables(self) -> None:
        query = "select count(*) from sqlite_master where type = 'table' and name in ('chain', 'chain_end')"
        if self._connection.execute(query).fetchone() != (2,):
            raise LedgerDamaged(self._path, "the chain over its attempts is missing")


def _broken(link: _Link, before: Head) -> Break | None:
    """Return what is wrong with the link that is to follow the head `before`."""
    number = before.link_no + 1
    if link.link_no > number:
        return Break(Flaw.LINK_MISSING, number)
    if link.link_no < number or link.digest != link_digest(bytes.fromhex(before.digest), link.attempt_no, link.facts):
        return Break(Flaw.LINK_WRONG, link.link_no, link.attempt_no)
    if link.now[0] is None:
        return Break(Flaw.ATTEMPT_MISSING, number, link.attempt_no)
    if link.is_last and link.facts != facts_digest(link.now):
        return Break(Flaw.ATTEMPT_CHANGED, number, link.attempt_no)
    return None
