"""What a walk along the chain over settled attempts has found, as text and as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from batchrun.cli.next_command import command
from batchrun.cli.views.format import below_here, count
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, readable_json
from batchrun.store.ledger.chain import Break, Flaw, Walk
from batchrun.store.ledger.ledger import Ledger

LOST_HEAD = "links were removed or written anew since it was noted, or it is of another ledger"
WORDS: Mapping[Flaw, str] = {
    Flaw.LINK_MISSING: "{link} is missing",
    Flaw.LINK_WRONG: "{link}, {attempt}, does not follow from the link before: changed, moved or inserted",
    Flaw.ATTEMPT_MISSING: "{link}, {attempt}: the attempt was removed",
    Flaw.ATTEMPT_CHANGED: "{link}, {attempt}: the attempt, its reply or its output was changed after it was settled",
    Flaw.END_WRONG: "the ledger has recorded {link} as the last, and the chain ends otherwise, with {last}",
    Flaw.ATTEMPT_INSERTED: "{attempt} has no link, so it was inserted",
    Flaw.BEGINNING_WRONG: "there are more or fewer attempts without a link than when the chain began",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """A walk, and what was asked for."""

    walk: Walk
    path: Path | None
    """The ledger; None if there is no file yet."""
    asked: str
    """The beginning of the head to look for; empty if no head was named."""
    attempt: str
    """The document and job of the attempt that is wrong; empty if there is none."""
    simulated: bool

    @classmethod
    def of(cls, ledger: Ledger, asked: str, *, simulated: bool) -> Self:
        """Walk along the chain of a ledger. Raises LedgerDamaged."""
        walk = ledger.chain.walk(asked)
        attempt_no = walk.broken.attempt_no if walk.broken else None
        row = ledger.connection.execute(
            "select doc_id, job from attempts where attempt_no = ?", (attempt_no,)
        ).fetchone()
        return cls(walk, ledger.path, asked, f"{row[0]} of job {row[1]}" if row else "", simulated)

    @property
    def lacks_head(self) -> bool:
        """Whether a head was asked for that the chain does not have up to its first break."""
        return bool(self.asked) and self.walk.noted is None

    @property
    def holds(self) -> bool:
        """Whether the ledger is as it was written, as far as the chain and the noted head tell."""
        return not self.walk.broken and not self.lacks_head


def show(verified: Verified, terminal: Terminal) -> None:
    """Print what was found; with -q only what is wrong."""
    if terminal.json:
        terminal.result(readable_json(as_json(verified)))
    elif not verified.holds or not terminal.quiet:
        stamp = terminal.simulated_stamp(verified.simulated)
        terminal.result(f"{stamp}ledger {ledger_name(verified)}\n" + "\n".join(lines(verified)))


def lines(verified: Verified) -> Iterator[str]:
    """Say up to where the chain holds, what is wrong behind, and what the chain says nothing of."""
    walk = verified.walk
    links = count(walk.head.link_no, "link")
    yield f"  intact   {links}" + (f", head {walk.head.short}" if walk.head.link_no else "")
    if walk.noted:
        yield f"  noted    head {walk.noted.short} is link {walk.noted.link_no:,}"
    if walk.settled_before:
        yield f"  before   {count(walk.settled_before, 'attempt')}, older than the chain, which tells nothing of them"
    if walk.broken:
        yield f"  broken   {broken_words(walk.broken, verified)}"
    elif verified.lacks_head:
        yield f"  broken   no link has the head {verified.asked}: {LOST_HEAD}"
    if not verified.holds:
        yield f"  next     {command('docs', None, ['trust'])}"


def broken_words(broken: Break, verified: Verified) -> str:
    """Name the first link that is wrong, and say what is wrong."""
    of = f" for {escape_control(verified.attempt)}" if verified.attempt else ""
    return WORDS[broken.flaw].format(
        link=f"link {broken.link_no or 0:,}",
        attempt=f"attempt {broken.attempt_no or 0:,}{of}",
        last=f"link {verified.walk.head.link_no:,}",
    )


def ledger_name(verified: Verified) -> str:
    """The ledger's file, as a person would type it here."""
    return below_here(verified.path) if verified.path else "without a file"


def as_json(verified: Verified) -> dict[str, object]:
    """What was found, for programs."""
    walk, broken = verified.walk, verified.walk.broken
    return {
        "v": 1,
        "ok": verified.holds,
        "ledger": str(verified.path) if verified.path else None,
        "simulated": verified.simulated,
        "links": walk.head.link_no,
        "head": walk.head.digest if walk.head.link_no else None,
        "settled_before": walk.settled_before,
        "noted_link": walk.noted.link_no if walk.noted else None,
        "broken": {
            "flaw": str(broken.flaw),
            "link": broken.link_no,
            "attempt": broken.attempt_no,
            "words": broken_words(broken, verified),
        }
        if broken
        else None,
    }
