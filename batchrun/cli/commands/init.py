"""`batchrun init`: a commented job file to begin with, for the documents of a folder or the rows of a table."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import click

from batchrun.cli.next_command import as_called, command, typed_path
from batchrun.cli.permissions import ordinary_permissions
from batchrun.cli.views.format import count
from batchrun.errors import BatchrunError, EnvironmentProblem, UsageProblem
from batchrun.escaping import escape_control, shown_path
from batchrun.file_system import make_folder, write_whole
from batchrun.job.project_root import PROJECT_FILE, STATE_FOLDER, new_root

MOST_SHOWN = 5
"""How many documents are named that a plan would skip."""
JOB_SCHEMA, PROJECT_SCHEMA = f"{STATE_FOLDER}/job.schema.json", f"{STATE_FOLDER}/project.schema.json"
"""The files of the project that editors read; the first is named in every new job file."""


@click.command()
@click.argument("place", type=click.Path(path_type=Path), default=Path(), metavar="[FOLDER|TABLE|JOB.toml]")
@click.option("--source", type=click.Choice(["files", "table", "duckdb"]), default="files", show_default=True,
              help="With JOB.toml: what documents are.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a job file that is there.")
def init(place: Path, *, source: str, force: bool) -> None:
    """Look at a folder or a table, and write a commented job for it: jobs/NAME.toml of the project.

    A project that is not marked yet gets a batchrun.toml and a folder .batchrun/. Nothing is sent.

    \b
    batchrun init letters                               PDF, Word, mail, sheets, text …
    batchrun init orders.csv                            each row is a document; also .parquet, .xlsx, .duckdb
    batchrun init jobs/invoices.toml                    a job file alone
    batchrun init jobs/orders.toml --source table
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.job.scaffold import SOURCES, job_name, scaffold

    is_job = place.suffix == ".toml" and not place.is_dir()
    if not (is_job or place.exists()):
        hint = "name a folder, a table, or a new job file that ends with .toml"
        raise UsageProblem(f"there is no folder and no file {shown_path(place)}.", hint=hint)
    path = place.resolve()
    root = new_root(path / "job.toml" if path.is_dir() else path, here=Path.cwd())
    name = job_name(path.name if path.is_dir() else path.stem)
    job = place if is_job else root / "jobs" / f"{name}.toml"
    if job.exists() and not force:
        raise UsageProblem(f"{shown_path(job)} exists.", hint="choose another name, or add --force to replace it")

    def text(source: str, **known: str) -> str:
        to_schema = os.path.relpath(root / JOB_SCHEMA, job.resolve().parent)
        return scaffold(name, source, path=os.path.relpath(job, root), schema=to_schema, **known)

    try:
        written, told = (text(SOURCES[source]), {}) if is_job else _looked_at(path, root, text)
        _write(job, written, root)
    except UnicodeEncodeError as error:
        raise UsageProblem(f"no job file can name {shown_path(path)}: it is not UTF-8.", hint="rename it") from error
    except OSError as error:
        raise EnvironmentProblem(f"{shown_path(job)} cannot be written: {error.strerror}.") from error
    if not click.get_current_context().find_root().params.get("quiet"):
        lines = [f"  {label:<10} {escape_control(as_called(words))}" for label, words in told.items() if words]
        lines += [f"wrote {shown_path(typed_path(job))}", f"project: {shown_path(root)}"]
        todo = "name your documents in it, then" if is_job else "see to fields and prompt in it, then"
        click.echo("\n".join([*lines, f"next: {todo}  {command('plan', job)}"]))


def _looked_at(path: Path, root: Path, text: Callable[..., str]) -> tuple[str, dict[str, str]]:
    """Return the text of a job for what is at a path, and what to tell a person. A draft of the job is planned."""
    from batchrun.catalog.money import dollars
    from batchrun.cli.interrupts import run_async
    from batchrun.workflow.look_around import look, rehearse

    found = look(path, root)
    told, draft = {"looked at": str(path), **found.told}, root / STATE_FOLDER / f"draft-{os.getpid()}.toml"
    if found.draft is None:
        return text(found.source), told | {"budget": "a guess, since a plan of so much takes a while"}
    try:
        make_folder(draft.parent)
        write_whole(draft, text(found.draft))
        plan, languages = run_async(rehearse(draft))
    except BatchrunError as error:
        return text(found.source), told | {"plan": str(error).partition("\n")[0]}
    finally:
        draft.unlink(missing_ok=True)
    upper_nusd = plan.estimate.upper_nusd * found.times
    budget = f"{enough(upper_nusd):.2f}"
    known = ", ".join(f"{name} ({number})" for name, number in languages.most_common())
    told |= {
        "read": f"{count(plan.documents, 'document')}, of which {plan.to_send:,} can be sent",
        "skipped": "; ".join(f"{shown_path(one.doc_id, 60)}: {one.reason}" for one in plan.problems[:MOST_SHOWN]),
        "languages": known and f"{known}: a guess from {count(languages.total(), 'text')}",
        "estimate": f"at most {dollars(round(upper_nusd))} for all; the job's budget is ${budget}",
    }
    said = f"The documents seem to be in {known}: a guess." if known else ""
    return text(found.source, budget=budget, languages=said), told


def _write(job: Path, text: str, root: Path) -> None:
    """Write the job file, and what the project lacks. Raises OSError."""
    from batchrun.job.file_schema import JOB, PROJECT, file_schema
    from batchrun.job.scaffold import PROJECT_TEXT

    make_folder(root / STATE_FOLDER)
    for name, of_file in ((JOB_SCHEMA, JOB), (PROJECT_SCHEMA, PROJECT)):
        write_whole(root / name, json.dumps(file_schema(*of_file)))
    with ordinary_permissions():
        if not (root / PROJECT_FILE).exists():
            write_whole(root / PROJECT_FILE, PROJECT_TEXT)
        write_whole(job, text)


def enough(nusd: float) -> float:
    """Return a round number of dollars that is a tenth above an amount, and 5 cents at least."""
    least = max(nusd / 1e9 * 1.1, 0.05)
    step = 10.0 ** math.floor(math.log10(least))
    return next(step * times for times in (1, 2, 5, 10) if step * times >= least)
