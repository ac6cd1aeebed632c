"""`batchrun schema`: the JSON Schema of job files, for editors, or of the output of a job."""

import json
from pathlib import Path

import click

from batchrun.cli.options import speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem


@click.command()
@click.argument("job", required=False, type=click.Path(path_type=Path, dir_okay=True))
@click.option("--project", is_flag=True, help="Print the schema of batchrun.toml instead.")
@speaking
def schema(job: Path | None, *, project: bool, terminal: Terminal) -> None:
    """Print the JSON Schema of a job file; with JOB, the schema of the rows that this job writes.

    `batchrun init` writes the schema beside the ledger and names it in the first line of the job file, so that an
    editor completes keys, says what they mean, and marks what is wrong.

    \b
    batchrun schema > job.schema.json
    batchrun schema jobs/contracts.toml
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.job.file_schema import JOB, PROJECT, file_schema
    from batchrun.store.job_files import read_job

    if job and project:
        raise UsageProblem("--project is about no job.", hint="leave out the job, or --project")
    found = read_job(job) if job else None
    rows = {**found.fields.full_schema, "title": found.spec.job.name} if found else None
    written = rows or file_schema(*(PROJECT if project else JOB))
    terminal.exact(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
