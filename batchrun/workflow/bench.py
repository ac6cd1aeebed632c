"""A published benchmark as jobs: files that are made once beside the benchmark, and the answers that are scored."""

import glob
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.answers.json_text import UnusableError, parsed
from batchrun.documents.path_escaping import shown
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.escaping import shown_path
from batchrun.file_system import make_folder
from batchrun.job.load import JobFile
from batchrun.job.problems import JobFileError
from batchrun.job.project_root import STATE_FOLDER, new_root
from batchrun.job.scaffold import toml
from batchrun.quality.published import cuad, extract_bench, kleister
from batchrun.quality.published.benchmark import Benchmark, Case, Group, Pair, Score
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.changes import RESULTS
from batchrun.store.paths import store_paths
from batchrun.store.reports.runs import run_stories

BENCHMARKS = (kleister, cuad, extract_bench)
"""A further benchmark is a file beside these."""
FOLDER = "batchrun-bench"
COST = """
select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) from attempts where request_no in (
    select request_no from documents where job = ? and coalesce(whole, doc_id) in (select value from json_each(?)))
"""
_JOB = """\
# Made once by `batchrun bench` for {title}. Change it as you like:
# `batchrun bench` runs and scores it as it stands here.
version = 1

[job]
name = {name}

[source]
{source}
on_empty = "skip"                 # a document without an answer counts as one that answered nothing
on_unreadable = "skip"
on_oversize = "split"

[model]
name = "claude-haiku-5-5"
max_tokens = 16_000

[prompt]
system = {system}
user = "{{{{ doc.text }}}}"
fence = true

[output]
{output}

[budget]
max_cost_usd = 25.00              # of a run; `batchrun bench --max-cost` lowers it

[store]
database = {database}
"""
_TEXTS = 'type = "table"\npath = {}\nid = "id"\ntext = "text"'
_FILES = 'type = "files"\ninclude = {}\npdf = "auto"                      # text where a PDF has text, else the file'
_AS_SCHEMA = 'schema_file = {}\ngroups = "auto"'
_AS_TEXT = """\
mode = "text"                     # the schema is in the prompt: [output] cannot say all of it
fields = { answer = "string" }"""


@dataclass(frozen=True, slots=True)
class BenchJob:
    """A job that asks for answers of a benchmark."""

    job: JobFile
    cases: Mapping[str, Case]
    """The cases that are sent and scored, by the ids that their documents have in the job."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a job has answered about its cases."""

    pairs: Sequence[Pair]
    models: frozenset[str]
    cost_nusd: int
    """What all attempts for the cases' requests cost, lost answers at their worst case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A benchmark that has been run and scored, as programs are told."""

    benchmark: str
    scores: Sequence[Score]
    models: Sequence[str]
    documents: int
    unanswered: int
    cost_nusd: int
    simulated: bool
    rule: str
    notes: Sequence[str]
    """What a person must know before the scores are passed on."""


def read_benchmark(folder: Path) -> Benchmark:
    """Read the benchmark that a folder has. Raises UsageProblem for a folder with none, and for broken files."""
    found: Benchmark | None = next(filter(None, (known.read(folder) for known in BENCHMARKS)), None)
    if found:
        return found
    what = "has no benchmark in a form that is known here"
    if any(any(folder.glob(f"{place}*/*/pdf+gold")) for place in ("", "dataset/")):
        what = "is the ExtractBench of Contextual AI, which has no score without a model that judges most of its fields"
    raise UsageProblem(f"{shown_path(folder)} {what}.", hint=f"known: {'; '.join(one.LOOKS for one in BENCHMARKS)}")


def bench_jobs(folder: Path, benchmark: Benchmark, *, own: Path | None, limit: int | None) -> list[BenchJob]:
    """Return the jobs of a benchmark, with the first `limit` cases over all jobs; `own` is a person's job file.

    Job files are made where there are none. The project is the one that the folder is in, or else the folder itself:
    documents have to be below the project. Raises UsageProblem and EnvironmentProblem.
    """
    if own and len(benchmark.groups) > 1:
        hint = f"leave --job out, and change the job files in {shown_path(folder / FOLDER)}"
        raise UsageProblem(f"{benchmark.title} is {len(benchmark.groups)} jobs, and --job is one.", hint=hint)
    numbers, jobs = itertools.count(), list[BenchJob]()
    for group in benchmark.groups:
        job = read_job(own or make_job(folder, benchmark, group))
        taken = [case for case in group.cases if limit is None or next(numbers) < limit]
        ids = (one.doc_id if one.text is not None else shown(_below(folder / one.doc_id, job.root)) for one in taken)
        if taken:
            jobs.append(BenchJob(job, dict(zip(ids, taken, strict=True))))
    return jobs


def make_job(folder: Path, benchmark: Benchmark, group: Group) -> Path:
    """Make the job file of a group, and what it names, if there is none yet. Raises EnvironmentProblem."""
    place = folder / FOLDER
    path, draft, texts, schema = (
        place / f"{group.name}{ending}" for ending in (".toml", ".draft.toml", ".jsonl", ".schema.json")
    )
    if path.exists():
        return path
    try:
        root = new_root(path, here=folder)
        make_folder(root / STATE_FOLDER)
        place.mkdir(exist_ok=True)
        if group.cases[0].text is None:
            source = _FILES.format(toml([glob.escape(_below(folder / case.doc_id, root)) for case in group.cases]))
        else:
            texts.write_text("".join(json.dumps({"id": case.doc_id, "text": case.text}) + "\n" for case in group.cases))
            source = _TEXTS.format(toml(glob.escape(_below(texts, root))))
        schema.write_text(json.dumps(group.schema, indent=1) + "\n")
        as_text = f"{benchmark.system} Return only JSON of this schema:\n{json.dumps(group.schema)}"
        values = {"title": benchmark.title, "name": toml(group.name), "source": source}
        values["database"] = toml(_below(place / "results.duckdb", root))
        for output, system in ((_AS_SCHEMA.format(toml(_below(schema, root))), benchmark.system), (_AS_TEXT, as_text)):
            draft.write_text(_JOB.format(**values, output=output, system=toml(system)), encoding="utf-8")
            if _is_valid(draft):
                break
        draft.replace(path)
    except OSError as error:
        raise EnvironmentProblem(f"{shown_path(place)} cannot be written: {error.strerror}.") from error
    return path


def _below(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)


def _is_valid(path: Path) -> bool:
    try:
        read_job(path)
    except JobFileError:
        return False
    return True


def committed(job: JobFile, *, simulated: bool) -> int:
    """Return what all runs of a job have spent and reserved, in nano-USD."""
    with Ledger.read(store_paths(job, simulated=simulated).ledger) as ledger:
        return sum(story.committed_nusd for story in run_stories(ledger) if story.job == job.spec.job.name)


def scored(benchmark: Benchmark, jobs: Sequence[BenchJob], *, simulated: bool) -> Scored:
    """Score the answers that the jobs have."""
    answers = [answers_of(job, simulated=simulated) for job in jobs]
    pairs = [pair for one in answers for pair in one.pairs]
    whole, notes = sum(len(group.cases) for group in benchmark.groups), [benchmark.note]
    if len(pairs) < whole:
        notes.insert(0, f"the first {len(pairs):,} of {whole:,} documents: this is not the benchmark's number")
    if simulated:
        notes.insert(0, "the answers are simulated: the numbers say nothing of a model")
    return Scored(
        benchmark=benchmark.title,
        scores=benchmark.score(pairs),
        models=sorted({model for one in answers for model in one.models}),
        documents=len(pairs),
        unanswered=sum(answer is None for _, answer in pairs),
        cost_nusd=sum(one.cost_nusd for one in answers),
        simulated=simulated,
        rule=benchmark.rule,
        notes=notes,
    )


def answers_of(bench_job: BenchJob, *, simulated: bool) -> Answers:
    """Read from the ledger what a job has answered about its cases."""
    job, cases = bench_job.job, bench_job.cases
    name, is_text = job.spec.job.name, job.spec.output.mode == "text"
    with Ledger.read(store_paths(job, simulated=simulated).ledger) as ledger:
        found = ledger.connection.execute(RESULTS, {"job": name, "after": 0, "until": ledger.head(name)})
        rows = {row[0]: row for row in found if row[0] in cases}
        (cost,) = ledger.connection.execute(COST, (name, json.dumps(list(cases)))).fetchone()
    answers = {doc_id: _answer(row[1], is_text=is_text) for doc_id, row in rows.items()}
    pairs = [(case.expected, answers.get(doc_id)) for doc_id, case in cases.items()]
    return Answers(pairs, frozenset(row[5] for row in rows.values() if row[5]), cost)


def _answer(output: str, *, is_text: bool) -> Mapping[str, Any] | None:
    """Return an answer as an object. Returns None for a text that is no JSON object."""
    answer = json.loads(output)
    if is_text:
        try:
            answer = json.loads(json.dumps(parsed(str(next(iter(answer.values())))), default=float))
        except (UnusableError, RecursionError):
            return None
    return answer if isinstance(answer, dict) else None
