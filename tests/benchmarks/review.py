"""How often the promise of a review is made, and how often it is broken, over answers whose errors are known.

    python tests/benchmarks/review.py [draws]

Every draw is a whole review in a ledger of its own. The answers are scored by what is known of them, and an audit
opens. A simulated reviewer, who is always right, reviews the audit and then the queue, unless nothing is promised.
The promise is looked at again and again, and counts as broken if it was false at any look. The figures in brackets
are those of the study, which looked once, after audits of another length over more documents.
"""

import contextlib
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import NormalDist, fmean

from batchrun.quality.review.standing import Standing, frozen_answers, standing_of
from batchrun.store.ledger.audits import Audits, Cell, Drawn, Review
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs

DRAWS = 50
FIELDS = tuple(f"field_{number}" for number in range(8))
FAULTY, WRONG_IF_FAULTY = 0.10, 0.21
USELESS = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """A job, its signals, and the figures of the study beside."""

    documents: int
    max_error: float
    auc: float
    """The chance that a faulty document has a higher score than another one."""
    at_limit: bool
    """Whether one field more is wrong than the promise allows, wherever it lies."""
    study: str


ROWS = (
    Row(400, 0.05, USELESS, False, "3,000 documents: .19; 0"),
    Row(400, 0.05, 0.92, False, "3,000 documents: .86; 0; .12; .13"),
    Row(400, 0.05, 0.98, False, "3,000 documents: .98; 0; .07; .07"),
    Row(400, 0.05, 0.998, False, "3,000 documents: 1.0; 0; .05; .05"),
    Row(400, 0.05, USELESS, True, "at the limit promised in .032"),
    Row(600, 0.02, USELESS, False, "1,000 documents: .03; .013"),
    Row(600, 0.02, 0.92, False, "1,000 documents: .72; .010; .22; .26"),
    Row(600, 0.02, 0.98, False, "1,000 documents: .97; .020; .13; .17"),
    Row(600, 0.02, 0.998, False, "1,000 documents: 1.0; .023; .09; .13"),
    Row(600, 0.02, USELESS, True, "at the limit promised in .042"),
)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What came of one review; the shares are those of all documents."""

    made: bool
    broken: bool
    queue: float
    looked_at: float


def main() -> None:
    """Print a line for each row."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS
    print(
        f"{draws} reviews each, 2.1% of fields wrong: promises made; broken at any look; queue; all looked at  [study]"
    )
    for row in ROWS:
        start = time.monotonic()
        reviews = [reviewed(row, random.Random(f"review {row} {number}")) for number in range(draws)]
        made = [one for one in reviews if one.made]
        shares = f"; {fmean(one.queue for one in made):.2f}; {fmean(one.looked_at for one in made):.2f}" if made else ""
        signals = "useless signals" if row.auc == USELESS else f"AUC {row.auc}"
        print(
            f"{row.documents} documents, {row.max_error:.0%}, {signals}{', at the limit' if row.at_limit else ''}:"
            f" {len(made)}; {sum(one.broken for one in reviews)}{shares}  [{row.study}]"
            f" · {(time.monotonic() - start) / draws:.2f} s a review",
            flush=True,
        )


def reviewed(row: Row, chance: random.Random) -> Reviewed:
    """Review a job whose errors are drawn."""
    names = [f"d{number:04}" for number in range(row.documents)]
    cells = [Cell(name, field) for name in names for field in FIELDS]
    faulty = set(chance.sample(names, round(FAULTY * row.documents)))
    wrong = {cell for cell in cells if cell.doc_id in faulty and chance.random() < WRONG_IF_FAULTY}
    if row.at_limit:
        wrong = set(chance.sample(cells, math.floor(row.max_error * len(cells)) + 1))
    apart = math.sqrt(2) * NormalDist().inv_cdf(row.auc)
    doubts = {name: NormalDist(apart / 2, 2).cdf(chance.gauss(apart if name in faulty else 0)) for name in names}
    with answered(doubts) as audits:
        frozen = frozen_answers(audits, FIELDS, {})
        audits.open(frozen, max_error=row.max_error, seed=chance.randrange(2**32), fields=FIELDS)
        was_false = False
        for standing in reviewing(audits, wrong):
            was_false |= is_false(standing, wrong)
        share = len(standing.queue.documents) / row.documents
        audited = standing.queue.tested.seen / len(FIELDS) / row.documents
        return Reviewed(standing.queue.promised, was_false, share, share + audited)


@contextlib.contextmanager
def answered(doubts: dict[str, float]) -> Iterator[Audits]:
    """A ledger whose answers have a first field of which votes disagree so much."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder,
        contextlib.closing(Ledger.open(Path(folder) / "ledger.sqlite3")) as ledger,
    ):
        plan = RunPlan(job="trial", job_path="jobs/trial.toml", fingerprint="f", model="m", simulated=False)
        told = [(name, json.dumps({"agreement": {FIELDS[0]: 1 - doubt}})) for name, doubt in doubts.items()]
        with ledger.transaction():
            run_no = Runs(ledger).begin_run(plan, run_id="run")
            ledger.connection.executemany(
                "insert into requests (request_id, model, counted_tokens, text_class, outcome, output, findings)"
                " values (?, 'm', 10, 'prose', 'succeeded', '{}', ?)",
                told,
            )
            ledger.connection.execute(
                "insert into documents (job, doc_id, source, content_sha, request_no, row_request_no, run_no, seq,"
                " row_seq) select 'trial', request_id, 's', 'c', request_no, request_no, ?, request_no, request_no"
                " from requests",
                (run_no,),
            )
        yield Audits(ledger, "trial")


def reviewing(audits: Audits, wrong: set[Cell]) -> Iterator[Standing]:
    """Yield how the audit stands, read from the ledger, after every few fields until nothing is left."""
    while True:
        audit = audits.latest()
        assert audit is not None
        standing = standing_of(audit, audits)
        yield standing
        drawn, step = standing.next_drawn, max(5, len(standing.audited) // 5)
        if drawn == "queue" and not standing.queue.promised:
            return  # all documents would be reviewed, and nothing is promised
        if not (cells := list(islice(standing.upcoming(drawn), step if drawn == "audit" else None))):
            return
        audits.record([_said(standing, cell, drawn, is_wrong=cell in wrong) for cell in cells])


def _said(standing: Standing, cell: Cell, drawn: Drawn, *, is_wrong: bool) -> Review:
    audit = standing.audit
    verdict, value = ("corrected", "1") if is_wrong else ("accepted", "null")
    return Review(audit.audit_no, *cell, audit.documents[cell.doc_id].request_id, drawn, verdict, value, "ada", 1.0)


def is_false(standing: Standing, wrong: set[Cell]) -> bool:
    """Whether a promise is made, and more fields behind the queue are wrong than the promise allows."""
    queued = set(standing.queue.documents)
    left = sum(cell.doc_id not in queued for cell in wrong)
    return standing.queue.promised and left > standing.audit.max_error * standing.queue.tested.total


if __name__ == "__main__":
    main()
