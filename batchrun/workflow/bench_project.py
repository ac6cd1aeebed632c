"""A benchmark as jobs: files that are made once beside the benchmark, and the answers to them that are scored."""

import glob
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.answers.json_text import UnusableError, parsed
from batchrun.documents.path_escaping import shown
from batchrun.errors import EnvironmentProblem
from batchrun.file_system import make_folder
from batchrun.job.problems import JobFileError
from batchrun.job.project_root import OUR_MARKS, STATE_FOLDER, roots_of_job
from batchrun.quality.published.benchmark import Benchmark, Case, Group
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.changes import changes
from batchrun.store.paths import store_paths

FOLDER = "batchrun-bench"
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
max_cost_usd = 1000.00            # the bound of every run; `batchrun bench --max-cost` is lower

[store]
database = {database}
"""
_TEXTS = 'type = "table"\npath = {}\nid = "id"\ntext = "text"'
_FILES = 'type = "files"\ninclude = {}\npdf = "auto"                      # text where a PDF has text, else the file'
_AS_SCHEMA = 'schema_file = {}\ngroups = "auto"'
_AS_TEXT = 'mode = "text"                     # the schema is in the prompt\nfields = {{ answer = "string" }}'


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers that a job has, by document, and the models that gave them."""

    by_document: Mapping[str, Mapping[str, Any]]
    models: frozenset[str]
    cost_nusd: int
    """What all attempts for the documents' requests cost, lost answers at their worst case."""


def make_jobs(folder: Path, benchmark: Benchmark) -> list[Path]:
    """Return a job file for each group of a benchmark, made where there is none. Raises EnvironmentProblem.

    The project is the one that the folder is in, or else the folder itself: documents have to be below the project.
    """
    place = folder / FOLDER
    try:
        if not any((above / mark).exists() for above in (folder, *folder.parents) for mark in OUR_MARKS):
            make_folder(folder / STATE_FOLDER)
        place.mkdir(exist_ok=True)
        root = roots_of_job(place / "job.toml", here=folder)[0]
        return [_make_job(folder, root, benchmark, group) for group in benchmark.groups]
    except OSError as error:
        raise EnvironmentProblem(f"{place} cannot be written: {error.strerror}.") from error


def _make_job(folder: Path, root: Path, benchmark: Benchmark, group: Group) -> Path:
    place = folder / FOLDER
    path, texts, schema = (place / f"{group.name}{end}" for end in (".toml", ".jsonl", ".schema.json"))
    if path.exists():
        return path
    if group.cases[0].text is None:
        source = _FILES.format(
            _toml([glob.escape(os.path.relpath(folder / case.doc_id, root)) for case in group.cases])
        )
    else:
        _write(texts, "".join(json.dumps({"id": case.doc_id, "text": case.text}) + "\n" for case in group.cases))
        source = _TEXTS.format(_toml(glob.escape(os.path.relpath(texts, root))))
    _write(schema, json.dumps(group.schema, indent=1, ensure_ascii=False) + "\n")

    def write_job(output: str, more: str = "") -> None:
        values = {"title": benchmark.title, "name": _toml(group.name), "source": source, "output": output}
        database = _toml(os.path.relpath(place / "results.duckdb", root))
        _write(path, _JOB.format(**values, system=_toml(benchmark.system + more), database=database))

    write_job(_AS_SCHEMA.format(_toml(os.path.relpath(schema, root))))
    try:
        read_job(path)
    except JobFileError:
        write_job(_AS_TEXT.format(), f" Return only JSON of this schema:\n{json.dumps(group.schema)}")
    return path


def _toml(value: object) -> str:
    """Write a text, or a list of texts, as TOML has it: like JSON, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def job_id(case: Case, folder: Path, job: Path) -> str:
    """Return the id that a case has for a job: a file's is the file's path below the project."""
    return case.doc_id if case.text is not None else shown(os.path.relpath(folder / case.doc_id, read_job(job).root))


def answers_of(path: Path, *, simulated: bool) -> Answers:
    """Read from the ledger what a job has been answered."""
    job = read_job(path)
    name, is_text = job.spec.job.name, job.spec.output.mode == "text"
    with Ledger.read(store_paths(job, simulated=simulated).ledger) as ledger:
        found = changes(ledger, name, after=0, until=ledger.head(name))
        rows = [row for some in found if some.kind == "results" for row in some.rows]
        (cost,) = ledger.connection.execute(
            "select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) from attempts where request_no in"
            " (select request_no from documents where job = ?)",
            (name,),
        ).fetchone()
    answers = {
        doc_id: answer for doc_id, output, *_ in rows if (answer := _answer(output, is_text=is_text)) is not None
    }
    return Answers(answers, frozenset(row[5] for row in rows if row[5]), cost)


def _answer(output: str, *, is_text: bool) -> Mapping[str, Any] | None:
    """Return an answer as an object. Returns None for a text that is no JSON object."""
    answer = json.loads(output)
    if is_text:
        try:
            answer = json.loads(json.dumps(parsed(next(iter(answer.values()))), default=float))
        except UnusableError:
            return None
    return answer if isinstance(answer, dict) else None


def committed(path: Path, *, simulated: bool) -> int:
    """Return what all runs of a job have spent and reserved, in nano-USD."""
    job = read_job(path)
    with Ledger.read(store_paths(job, simulated=simulated).ledger) as ledger:
        query = "select coalesce(sum(committed_nusd), 0) from runs where job = ?"
        (nusd,) = ledger.connection.execute(query, (job.spec.job.name,)).fetchone()
        return int(nusd)
