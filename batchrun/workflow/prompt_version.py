"""Which prompt has asked: whether the job file still asks in these words, and the commit that has the job file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import BatchrunError
from batchrun.job.load import JobFile
from batchrun.planning.request_template import RequestTemplate
from batchrun.store.job_files import read_job
from batchrun.workflow.git_commit import Commit, last_commit


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """What a job file of today says of the prompt of an earlier request."""

    is_current: bool | None
    """Whether the job file still asks in the same words and for the same; None if nobody can say."""
    commit: Commit | None = None
    """The last commit of the job file and the files that the job file names; None if there is none to be seen."""


def prompt_version(job_path: Path, *, prompt_sha: str | None, form_sha: str | None) -> PromptVersion:
    """Compare a prompt with the job file of today. A job file that cannot be read says nothing."""
    try:
        job = read_job(job_path)
    except BatchrunError:
        return PromptVersion(None)
    asked, asks = (prompt_sha, form_sha), (RequestTemplate(job).prompt_sha, job.form.sha)
    return PromptVersion(asked == asks if all(asked) else None, last_commit([job.path, *_named_files(job)]))


def _named_files(job: JobFile) -> Iterator[Path]:
    """Yield the files from which prompt and fields are read."""
    prompt, output = job.spec.prompt, job.spec.output
    examples = (example.document_file for example in prompt.example)
    yield from map(job.resolve, filter(None, (prompt.system_file, prompt.user_file, output.schema_file, *examples)))
