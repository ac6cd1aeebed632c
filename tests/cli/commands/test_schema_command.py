"""`batchrun schema`: schemas for editors, on stdout and nothing else."""

from command_line import CommandLine

from batchrun.errors import ExitCode
from batchrun.job.file_schema import JOB, PROJECT, file_schema


def test_the_schemas_of_both_files(batchrun: CommandLine) -> None:
    assert batchrun("schema").json == file_schema(*JOB)
    assert batchrun("schema --project").json == file_schema(*PROJECT)


def test_the_schema_of_a_jobs_rows(batchrun: CommandLine) -> None:
    ran = batchrun("schema jobs/trial.toml")
    assert ran.json["title"] == "trial"
    assert ran.json["properties"] == {"title": {"type": "string"}}
    assert batchrun("schema jobs/trial.toml --project").code == ExitCode.USAGE
