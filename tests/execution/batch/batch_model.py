"""A batch run as a small model: an API, a ledger, a process, and everything that may happen next to each of them.

Two documents, and a process that may die between any two steps. Time passes in ticks, of which `reconcile_wait` takes
two, and a create call, or a new batch on its way into the list, one at most. What is decided is decided by the program
itself: by `reconcile`, `after_create` and `TRANSITIONS`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchrun.batch import BatchState, RemoteBatch
from batchrun.execution.batch.reconcile import (
    Adopt,
    Answer,
    Creation,
    Elsewhere,
    Missed,
    Resend,
    Several,
    Unproven,
    after_create,
    reconcile,
)
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Batch, Claims
from batchrun.store.ledger.batches import TRANSITIONS

DOCUMENTS = frozenset({1, 2})
WORST, COST = 2, 1
WAIT = 2
"""Ticks of `reconcile_wait`."""
WITNESS = RemoteBatch(batch_id="witness", status="ended", counts={"succeeded": 99}, created_at=-1e6, ended_at=0.0)
"""A batch of ours that has ended just now."""
STRANGER = 0
"""The nonce of somebody else's batch."""
LOST = Failure(cause=Cause.DROPPED, message="lost")
BUSY = Failure(cause=Cause.STATUS, status=529, message="busy")
LATER = Failure(cause=Cause.STATUS, status=429, message="later")


class Remote(NamedTuple):
    """A batch at the API, or on its way there."""

    nonce: int
    requests: frozenset[int]
    arrives: int = 0
    """Ticks until its create call gets there."""
    hidden: int = 0
    """Ticks until the list shows it."""
    expired: frozenset[int] | None = None
    """The requests of an ended batch that were not processed, and are not billed."""
    claimed: bool = False
    """The ledger knows for certain whose it is."""


class Intent(NamedTuple):
    """An open batch of the ledger."""

    nonce: int
    members: frozenset[int]
    """Without a result so far."""
    size: int
    before: int | None
    """The newest batch of the list before it was sent."""
    state: BatchState = BatchState.PREPARED
    remote: int | None = None
    adopted: bool = False
    unclear: int | None = None
    """The number of ticks that the batch has been in doubt."""
    scans: int = 0
    scanned: int | None = None
    ruled_out: frozenset[int] = frozenset()
    """Batches that were found not to be this one."""

    @property
    def lost(self) -> "Intent":
        """What it was taken for was another: it is in doubt again."""
        unclear = 0 if self.unclear is None else self.unclear
        others = self.ruled_out | {self.remote} - {None}
        return Intent(self.nonce, self.members, self.size, self.before, unclear=unclear, ruled_out=others)


class Mind(NamedTuple):
    """What the process is about to do, and what it knows that the ledger does not."""

    about_to: str
    intent: Intent | None = None
    knows: Any = None
    ticks: int = 0


IDLE, DEAD = Mind("choose"), Mind("start")


class World(NamedTuple):
    """Everything there is, and what may still go wrong."""

    remotes: tuple[Remote, ...] = ()
    """In the order of creation."""
    intents: tuple[Intent, ...] = ()
    settled: frozenset[int] = frozenset()
    mind: Mind = DEAD
    nonces: int = 1
    crashes: int = 2
    faults: int = 2
    expiries: int = 1
    strangers: int = 0

    def put(self, intent: Intent, **changes: Any) -> "World":
        """One commit: the row in its new state, or without it when it is closed."""
        [old] = [one for one in self.intents if one.nonce == intent.nonce]
        assert intent.state is old.state or intent.state in TRANSITIONS[old.state]
        row = (intent,) if intent.state.open else ()
        others = tuple(one for one in self.intents if one is not old)
        return self._replace(intents=others + row, **({"mind": IDLE} | changes))

    def attach(self, intent: Intent, nonce: int) -> "World":
        """The API has it under this name for certain: who has adopted that before was wrong."""
        submitted = self.put(intent._replace(state=BatchState.SUBMITTED, remote=nonce)).claim(nonce)
        wrong = [one for one in self.intents if one.remote == nonce and one.adopted]
        return submitted.put(wrong[0].lost) if wrong else submitted

    def claim(self, nonce: int) -> "World":
        known = tuple(one._replace(claimed=one.claimed or one.nonce == nonce) for one in self.remotes)
        return self._replace(remotes=known)

    @property
    def committed(self) -> int:
        return COST * len(self.settled) + WORST * sum(len(one.members) for one in self.intents)

    @property
    def billed(self) -> Counter[int]:
        ended = [one for one in self.remotes if one.nonce != STRANGER and one.expired is not None]
        return Counter(document for one in ended for document in one.requests - (one.expired or frozenset()))

    @property
    def done(self) -> bool:
        return self.settled == DOCUMENTS and not self.intents and self.mind == IDLE


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What the process does; the defaults are the program's own."""

    decide: Callable[..., Answer] = reconcile
    lag: int = 1
    """The most ticks that a create call or the list is late: less than WAIT."""
    size: int = 2
    cap: int = 4
    durable_intent: bool = True
    rows_first: bool = True
    clock_first: bool = True
    """Whether the clock is read before the list is."""
    alive: bool = True
    """Whether the list shows a batch of ours and something that has just happened."""
    stale: bool = False
    """Whether the list may be as it was at any time before."""


Steps = Iterator[tuple[str, World]]


def steps(world: World, protocol: Protocol) -> Steps:
    """Whatever may happen next."""
    yield "a tick", tick(world)
    yield from the_api(world, protocol)
    yield from ACTIONS[world.mind.about_to](world, protocol)
    if world.crashes and world.mind != DEAD:
        yield "killed", killed(world, protocol)


def killed(world: World, protocol: Protocol) -> World:
    """What the process knew is gone; broken, so is what it was creating."""
    kept = world.intents if protocol.durable_intent else tuple(one for one in world.intents if one.remote)
    return world._replace(mind=DEAD, crashes=world.crashes - 1, intents=kept)


def tick(world: World) -> World:
    aged = [one._replace(unclear=older(one.unclear), scanned=older(one.scanned)) for one in world.intents]
    there = [one._replace(hidden=max(0, one.hidden - (not one.arrives))) for one in world.remotes]
    waiting = [one for one in there if one.arrives > 1]
    arrived = [one._replace(arrives=0) for one in there if one.arrives == 1]
    created = [one for one in there if not one.arrives]
    late = [one._replace(arrives=one.arrives - 1) for one in waiting]
    mind = world.mind._replace(ticks=min(WAIT, world.mind.ticks + 1)) if world.mind.about_to == "decide" else world.mind
    return world._replace(intents=tuple(aged), remotes=(*created, *arrived, *late), mind=mind)


def older(ticks: int | None) -> int | None:
    return None if ticks is None else min(WAIT, ticks + 1)


def the_api(world: World, protocol: Protocol) -> Steps:
    """Batches end, some of their requests unprocessed; somebody else creates one."""
    for number, one in enumerate(world.remotes):
        if one.arrives or one.expired is not None:
            continue
        expiring = one.requests if world.expiries else frozenset[int]()
        for expired in (frozenset[int](), *(frozenset({request}) for request in expiring)):
            ended = (*world.remotes[:number], one._replace(expired=expired), *world.remotes[number + 1 :])
            yield f"{one.nonce} ends", world._replace(remotes=ended, expiries=world.expiries - len(expired))
    if world.strangers:
        theirs = Remote(STRANGER, frozenset(range(8, 8 + protocol.size)))
        yield "a stranger", world._replace(remotes=(*world.remotes, theirs), strangers=world.strangers - 1)


def start(world: World, protocol: Protocol) -> Steps:
    """What a dead process had not begun to send does not exist."""
    sent = [one for one in world.intents if one.state is not BatchState.PREPARED or one.unclear is not None]
    yield "submit", world._replace(intents=tuple(sent), mind=IDLE)


def choose(world: World, protocol: Protocol) -> Steps:
    """Go on with any open batch, or make another one if none is in doubt."""
    for intent in world.intents:
        remote = next((one for one in world.remotes if one.nonce == intent.remote), None)
        if intent.state is BatchState.PREPARED:
            listed = tuple(one.nonce for one in reversed(world.remotes) if not one.arrives and not one.hidden)
            for shown in range(0 if protocol.stale else len(listed), len(listed) + 1):
                known = listed[len(listed) - shown :]
                yield f"list of {shown} for {intent.nonce}", world._replace(mind=Mind("decide", intent, known))
        elif intent.state is BatchState.SUBMITTED and remote and remote.expired is not None:
            yield f"poll {intent.nonce}", world.put(intent._replace(state=BatchState.ENDED))
        elif intent.state is BatchState.ENDED and remote:
            yield from collect(world, intent, remote, protocol)
    in_doubt = any(one.state is BatchState.PREPARED for one in world.intents)
    if not in_doubt and pack(world, protocol):
        newest = next((one.nonce for one in reversed(world.remotes) if not one.arrives and not one.hidden), None)
        yield "list before a create", world._replace(mind=Mind("prepare", knows=newest))


def pack(world: World, protocol: Protocol) -> frozenset[int]:
    """As many pending documents as fit under the cap and into a batch."""
    taken = world.settled.union(*(one.members for one in world.intents))
    room = min(protocol.size, (protocol.cap - world.committed) // WORST)
    return frozenset(sorted(DOCUMENTS - taken)[: max(0, room)])


def collect(world: World, intent: Intent, remote: Remote, protocol: Protocol) -> Steps:
    """One result, or the end of them; somebody else's results are none of ours."""
    closed = intent._replace(state=BatchState.COLLECTED, members=frozenset())
    if remote.nonce != intent.nonce:
        yield "detach", world.put(intent.lost)
    elif intent.members and protocol.rows_first:
        document = min(intent.members)
        settled = world.settled | ({document} - (remote.expired or frozenset()))
        proven = intent._replace(members=intent.members - {document}, adopted=False)
        yield f"settle {document}", world.put(proven, settled=settled).claim(remote.nonce)
    else:
        # Broken: the batch is closed first, and its rows follow.
        rows = Mind("settle all", knows=intent.members - (remote.expired or frozenset()))
        yield "close", world.put(closed, mind=rows if intent.members else IDLE)


def settle_all(world: World, protocol: Protocol) -> Steps:
    yield "settle all", world._replace(settled=world.settled | world.mind.knows, mind=IDLE)


def prepare(world: World, protocol: Protocol) -> Steps:
    members = pack(world, protocol)
    intent = Intent(world.nonces, members, len(members), world.mind.knows)
    changes = {"intents": (*world.intents, intent), "nonces": world.nonces + 1, "mind": Mind("announce", intent)}
    yield f"prepare {intent.nonce}", world._replace(**changes)


def announce(world: World, protocol: Protocol) -> Steps:
    """From just before the last bytes leave, the batch is in doubt."""
    assert world.mind.intent is not None
    intent = world.mind.intent._replace(unclear=0)
    yield f"announce {intent.nonce}", world.put(world.mind.intent._replace(unclear=0), mind=Mind("create", intent))


def create(world: World, protocol: Protocol) -> Steps:
    """The one call that cannot be repeated: it is answered, or lost on either way, or late."""
    intent = world.mind.intent
    assert intent is not None
    remote = Remote(intent.nonce, intent.members)
    answered = world._replace(remotes=(*world.remotes, remote), mind=Mind("attach", intent))
    yield "create", answered
    lags = [(arrives, hidden) for arrives in range(protocol.lag + 1) for hidden in range(protocol.lag + 1 - arrives)]
    created = [(*world.remotes, remote._replace(arrives=arrives, hidden=hidden)) for arrives, hidden in lags]
    for remotes in (world.remotes, *created):
        if world.faults:
            failed = world._replace(remotes=remotes, faults=world.faults - 1)
            yield "create, no answer", failed._replace(mind=Mind("note", intent, LOST))
            yield "create, 529", failed._replace(mind=Mind("note", intent, BUSY))
            if remotes == world.remotes:
                yield "create, 429", failed._replace(mind=Mind("note", intent, LATER))
        if world.crashes:
            yield "killed amid create", killed(world._replace(remotes=remotes), protocol)


def attach(world: World, protocol: Protocol) -> Steps:
    intent = world.mind.intent
    assert intent is not None
    yield f"attach {intent.nonce}", world.attach(intent, intent.nonce)


def note(world: World, protocol: Protocol) -> Steps:
    """What the program makes of a create call that failed."""
    intent = world.mind.intent
    assert intent is not None
    unclear = after_create(world.mind.knows) is Creation.UNCLEAR and protocol.durable_intent
    after = {"unclear": 0} if unclear else {"state": BatchState.ABANDONED}
    yield f"note {world.mind.knows.message}", world.put(intent._replace(**after))


def decide(world: World, protocol: Protocol) -> Steps:
    """What the program makes of the list, some time after it was fetched."""
    intent, elapsed = world.mind.intent, world.mind.ticks
    assert intent is not None
    if not protocol.clock_first:
        [intent], elapsed = [one for one in world.intents if one.nonce == intent.nonce], 0
    known = {one.nonce: one for one in world.remotes}
    listed = [told(known[nonce]) for nonce in world.mind.knows] + [WITNESS] * protocol.alive
    answer = protocol.decide(row(intent), listed, claims=claims(world, intent), now=0.0, wait_s=float(WAIT))
    [now] = [one for one in world.intents if one.nonce == intent.nonce]
    match answer:
        case Adopt(remote):
            nonce = int(remote.batch_id)
            yield f"adopt {nonce}", world.put(now._replace(state=BatchState.SUBMITTED, remote=nonce, adopted=True))
        case Resend():
            yield f"abandon {now.nonce}", world.put(now._replace(state=BatchState.ABANDONED))
        case Missed(counts):
            missed = now._replace(scans=min(2, now.scans + 1), scanned=elapsed) if counts else now
            yield f"missed {now.nonce}", world.put(missed)
        case Several(candidates):
            yield "look again", world.put(now)
            yield from tell_apart(world, now, [known[int(one.batch_id)] for one in candidates])
        case Unproven():
            yield from decide_by_hand(world, now)
        case Elsewhere():
            assert protocol.stale, "the list was complete"
            yield "look again", world.put(now)


def decide_by_hand(world: World, intent: Intent) -> Steps:
    """A person looks in the Console, which is no cache."""
    there = [one for one in world.remotes if one.nonce == intent.nonce and not one.arrives and not one.hidden]
    if there:
        yield f"adopt {intent.nonce} by hand", world.attach(intent, intent.nonce)
    else:
        yield f"given up {intent.nonce}", world.put(intent._replace(state=BatchState.ABANDONED))


def tell_apart(world: World, intent: Intent, candidates: Sequence[Remote]) -> Steps:
    """Among several the first custom_id tells, once one has ended."""
    for one in candidates:
        if one.nonce == intent.nonce and one.expired is not None:
            yield f"found {one.nonce}", world.attach(intent, one.nonce)
        elif one.expired is not None:
            yield f"not {one.nonce}", world.put(intent._replace(ruled_out=intent.ruled_out | {one.nonce}))


def claims(world: World, intent: Intent) -> Claims:
    """What the ledger says of the batches in the list."""
    adopted = {one.remote for one in world.intents if one.adopted and one.nonce != intent.nonce}
    taken = {one.nonce for one in world.remotes if one.claimed} | intent.ruled_out
    certain = {one.remote for one in world.intents if one.state is BatchState.SUBMITTED and not one.adopted}
    ours = frozenset(map(str, taken)) | {WITNESS.batch_id}
    going_on = frozenset(map(str, certain - {None}))
    return Claims(ours, frozenset(map(str, adopted - taken)), ours - frozenset(map(str, intent.ruled_out)), going_on)


ACTIONS: dict[str, Callable[[World, Protocol], Steps]] = {
    one.__name__.replace("_", " "): one
    for one in (start, choose, settle_all, prepare, announce, create, attach, note, decide)
}


def row(intent: Intent) -> Batch:
    """The intent as the ledger has it, at the time 0."""
    return Batch(
        batch_no=intent.nonce, nonce=str(intent.nonce), run_no=1, job="job", model="model", state=intent.state,
        batch_id=None, adopted=False, requests=intent.size, bytes=0, prepared_at=0.0,
        newest_before=None if intent.before is None else str(intent.before),
        unclear_at=None if intent.unclear is None else -float(intent.unclear),
        scanned_at=None if intent.scanned is None else -float(intent.scanned),
        clock_ahead=0.0, empty_scans=intent.scans,
    )  # fmt: skip


def told(remote: Remote) -> RemoteBatch:
    """The batch as the list tells it."""
    status = "in_progress" if remote.expired is None else "ended"
    counts = {"processing": len(remote.requests)}
    return RemoteBatch(batch_id=str(remote.nonce), status=status, counts=counts, created_at=-float(WAIT))
