"""The checks of a job: its file, and as many of its documents as are read in a moment."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from math import ceil

from batchrun.cli.doctor.check import Check, Subject, Verdict
from batchrun.cli.next_command import typed_path
from batchrun.cli.views.format import count
from batchrun.documents import Shard, Source
from batchrun.documents.open_source import open_source
from batchrun.job.problems import JobFileError
from batchrun.planning.planner import Planner
from batchrun.planning.weighing import EMPTY
from batchrun.store.job_files import read_job
from batchrun.store.ledger.connection import empty
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.paths import own_files
from batchrun.strategy.reading_notes import grouped_notes
from batchrun.workers.children import Children
from batchrun.workflow.job_models import models_of
from batchrun.workflow.open_job import SubmitOptions, caps_of, check_columns

MOST_DOCUMENTS, MOST_BYTES = 500, 100_000_000
"""How many documents are read, from everywhere among the files, and how much of the files besides the first one."""
MOST_REASONS = 5


def job_file(subject: Subject) -> Iterator[Check]:
    """Whether the job file can be read, and its models take what it asks by the table of prices: every problem."""
    if subject.path is None:
        return
    shown = typed_path(subject.path)
    try:
        job = subject.job or read_job(subject.path)
        subject.chain = models_of(job, subject.prices, today=subject.today) if subject.prices else None
    except JobFileError as error:
        words = error.rendered.rpartition("\n\n")[0]
        yield Check("job file", Verdict.BROKEN, words, f'"${{EDITOR:-vi}}" {shlex.quote(typed_path(error.file.path))}')
    else:
        yield Check("job file", Verdict.OK, f"{shown}: no problems")


def documents(subject: Subject) -> Iterator[Check]:
    """How many of the job's documents can be sent, by the planner's own reading, and why others cannot."""
    job, chain = subject.job, subject.chain
    if job is None or chain is None:
        return
    source = open_source(job, own_files(job))
    check_columns(job, source)
    shards, words = some_of(source)
    with Children() as children, Ledger(empty(), None) as nothing:
        planner = Planner(job, source, nothing, chain, caps_of(job, SubmitOptions()), None, None, pool=children)
        pages = planner.workers.weigh((shard, False) for shard in shards)
        weighed = [one for _, page in pages for one in page.documents]
    subject.native = {one.text_class for one in weighed if one.text_class.is_native}
    blank = sum(one.problem == EMPTY for one in weighed)
    reasons = [(one.source, one.problem) for one in weighed if one.problem and one.problem != EMPTY]
    readable = len(weighed) - blank - len(reasons)
    words += f"{readable:,} readable, {blank:,} empty, {len(reasons):,} unreadable"
    verdict, fix = (Verdict.OK, None) if readable else (Verdict.BROKEN, "correct [source] of the job file")
    yield Check("documents", verdict, words, fix)
    for reason, number in list(grouped_notes((reason, 1) for _, reason in reasons).items())[:MOST_REASONS]:
        example = next(name for name, why in reasons if reason.startswith(why))
        fix = f"mend such files, or leave them out: [source] exclude = [{json.dumps(example.partition('#')[0])}]"
        words = f"{count(number, 'document')} unreadable, such as {example}: {reason}"
        yield Check("documents", Verdict.WARNING, words, fix)


def some_of(source: Source) -> tuple[Sequence[Shard], str]:
    """Choose what is read of a source, and say so if that is not everything. Raises the errors of the source."""
    listed = source.shards()
    first = next(listed, None)
    if first is None or not first.files:
        more = next(listed, None) is not None
        return [first] if first else [], "only the first documents looked at: " if more else ""
    files = [file for shard in (first, *listed) for file in shard.files]
    spread = files[:: ceil(len(files) / MOST_DOCUMENTS)]
    sizes = accumulate(file.size for file in (spread[0]._replace(size=0), *spread[1:]))
    chosen = tuple(file for file, size in zip(spread, sizes, strict=True) if size <= MOST_BYTES)
    words = "" if len(chosen) == len(files) else f"{len(chosen):,} of {len(files):,} files looked at: "
    return [replace(first, files=chosen)], words
