"""What a job's past says of its next requests: the prompts that Claude counted, and the lengths of the replies."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.estimation.calibration import Observation
from batchrun.estimation.further_turns import PastTurns, PastVotes
from batchrun.estimation.reply_length import Replies
from batchrun.estimation.text_class import TextClass
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.plan import PastEstimate

MOST_RECENT = 2_000
"""How many of the latest answers are read: enough for half a percent, and older answers say less."""


@dataclass(frozen=True, slots=True)
class PastUse:
    """The tokens of the latest answers to requests of one prompt, schema and model."""

    observations: Sequence[Observation]
    replies: Replies | None
    cut: int = 0
    """How many of the replies were cut off at `max_tokens`, or would be now."""
    thinking_share: float | None = None
    """The part of the output that is thinking. None if no reply tells its thinking."""


def last_estimate(ledger: Ledger, job: str) -> PastEstimate | None:
    """Read the estimate of the job's latest run that finished and sent anything, and the cost of all its answers."""
    row = ledger.connection.execute(
        "select run_id, estimate_nusd, estimate_low_nusd, estimate_high_nusd, committed_nusd - (select"
        "  coalesce(sum(reserved_nusd), 0) from attempts where attempts.run_no = runs.run_no and cost_nusd is null)"
        " from runs where job = ? and state = 'finished' and estimate_nusd > 0 order by run_no desc limit 1",
        (job,),
    ).fetchone()
    return PastEstimate(*row) if row else None


def past_use(ledger: Ledger, job: str, *, fingerprint: str, model: str, max_tokens: float = math.inf) -> PastUse:
    """Read the latest answers of a job to requests as the job would make them now.

    An answer that was allowed more tokens than `max_tokens`, and used more, counts as cut off.
    """
    rows = ledger.connection.execute(
        "select r.text_class, r.counted_tokens, a.output_tokens, a.thinking_tokens, a.stop_reason,"
        " a.input_tokens + a.cache_write_5m_tokens + a.cache_write_1h_tokens + a.cache_read_tokens"
        " from attempts a join requests r using (request_no) join runs using (run_no)"
        " where a.job = ? and a.state = 'answered' and a.input_tokens is not null and runs.fingerprint = ?"
        " and r.model = ? and a.turn is null order by a.seq desc limit ?",
        (job, fingerprint, model, MOST_RECENT),
    ).fetchall()
    return PastUse(
        [Observation(TextClass(kind), counted, prompt) for kind, counted, _, _, _, prompt in rows],
        Replies.of([length for _, _, length, *_ in rows]),
        sum(stop == "max_tokens" or length > max_tokens for _, _, length, _, stop, _ in rows),
        _share([(thought, length) for _, _, length, thought, _, _ in rows if thought is not None]),
    )


def past_replies(ledger: Ledger, job: str, *, fingerprint: str, model: str) -> dict[tuple[str, ...], Replies]:
    """Read the latest replies of a job that answer some of the fields, by these fields."""
    rows: list[tuple[str, int]] = ledger.connection.execute(
        "select a.turn ->> 'fields', a.output_tokens from attempts a"
        " join requests r using (request_no) join runs using (run_no)"
        " where a.job = ? and a.state = 'answered' and a.output_tokens is not null and runs.fingerprint = ?"
        " and r.model = ? and a.turn ->> 'fields' <> '[]' and a.turn ->> 'shows' is null"
        " and a.turn ->> 'max_tokens' is null order by a.seq desc limit ?",
        (job, fingerprint, model, MOST_RECENT),
    ).fetchall()
    lengths: dict[tuple[str, ...], list[int]] = {}
    for fields, length in rows:
        lengths.setdefault(tuple(json.loads(fields)), []).append(length)
    return {fields: found for fields, several in lengths.items() if (found := Replies.of(several))}


def past_turns(ledger: Ledger, job: str, *, fingerprint: str, model: str) -> PastTurns | None:
    """Read how often answers were mended or continued. Returns None if none was."""
    answers, turns, prompt, reply = ledger.connection.execute(
        "select count(*) - coalesce(sum(further), 0), coalesce(sum(further), 0),"
        " avg(prompt) filter (where further), avg(reply) filter (where further) from ("
        "  select a.turn ->> 'shows' is not null or a.turn ->> 'max_tokens' is not null as further,"
        "   a.input_tokens + a.cache_write_5m_tokens + a.cache_write_1h_tokens + a.cache_read_tokens as prompt,"
        "   a.output_tokens as reply"
        "  from attempts a join requests r using (request_no) join runs using (run_no)"
        "  where a.job = ? and a.state = 'answered' and runs.fingerprint = ? and r.model = ?"
        "  order by a.seq desc limit ?)",
        (job, fingerprint, model, MOST_RECENT),
    ).fetchone()
    return PastTurns(answers, turns, prompt or 0.0, reply or 0.0) if turns and answers else None


def past_votes(ledger: Ledger, job: str, *, fingerprint: str, model: str) -> PastVotes:
    """Read how many votes the latest answers of a job took."""
    row = ledger.connection.execute(
        "select count(*), coalesce(sum(votes), 0) from (select r.findings ->> 'votes' as votes from requests r"
        "  join attempts a using (attempt_no) join runs using (run_no)"
        "  where a.job = ? and r.outcome = 'succeeded' and runs.fingerprint = ? and r.model = ? and votes > 0"
        "  order by a.seq desc limit ?)",
        (job, fingerprint, model, MOST_RECENT),
    ).fetchone()
    return PastVotes(*row)


def _share(told: Sequence[tuple[int, int]]) -> float | None:
    """Return the part of the output that is thinking, over the answers that tell both."""
    output = sum(length for _, length in told)
    return sum(thought for thought, _ in told) / output if output else None
