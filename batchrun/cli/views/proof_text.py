"""The record of a proof, as text and as JSON."""

from collections.abc import Iterator

from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import readable_json
from batchrun.proof.campaign import Record

MOST_BREACHES = 10


def show_record(record: Record, terminal: Terminal) -> None:
    """Print the record; with -q only when a promise was broken."""
    if terminal.json:
        terminal.result(readable_json({"v": 1, "ok": not record.breaches, **vars(record)}, indent=2))
    elif record.breaches or not terminal.quiet:
        terminal.result("\n".join(record_lines(record)))


def record_lines(record: Record) -> Iterator[str]:
    """Write the record: what was tried, how processes died, and which promises held."""
    yield f"batchrun {record.version} · Python {record.python} · {record.platform} · {record.cores} cores"
    yield f"seed {record.seed} · {record.trials:,} projects · {record.documents:,} documents · {record.seconds:,.0f} s"
    yield f"\n{record.deaths:8,} processes killed, of {record.submits:,} started{'stream':>20}{'batch':>9}"
    stream, batch = record.deaths_at["stream"], record.deaths_at["batch"]
    for moment, deaths in (stream + batch).most_common():
        yield f"{deaths:8,} {moment:39}{stream[moment]:>9,}{batch[moment]:>9,}"
    most = ", ".join(f"{name} {times:,}" for name, times in record.faults.most_common(6))
    yield f"\n{record.faults.total():8,} faults of the API, most often {most}"
    yield f"{record.in_flight:8,} streamed requests were in flight at a death"
    yield f"{record.repeats:8,} of their answers were sent again"
    yield f"{record.decisions:8,} times a person had to say that a batch was never created, or which one it was"
    rest = record.trials - record.exact
    yield f"{record.exact:8,} projects were billed what the ledger says, to the nano-dollar"
    yield f"{rest:8,} were billed no less than the ledger knows, and no more than it holds for answers that were lost"
    yield ""
    for promise, times in record.broken.items():
        yield f"{times:8,} {promise}"
    for number in list(record.breaches)[:MOST_BREACHES]:
        yield "\n" + breach_text(record, number)


def breach_text(record: Record, number: int) -> str:
    """Say which promises the trial of a number broke, and how to try the trial again."""
    words = (f"         {breach.promise}: {breach.words}" for breach in record.breaches[number])
    again = f"batchrun prove --seed {record.seed} --trial {number} --provider {record.provider}"
    return "\n".join([f"broken   {again}", *words])
