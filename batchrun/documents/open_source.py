"""Opens the source that a job file asks for."""

from batchrun.documents import Source
from batchrun.documents.duckdb import DuckdbSource
from batchrun.documents.files import FileSource
from batchrun.job.load import JobFile
from batchrun.job.spec import FilesSourceSection


def open_source(job: JobFile) -> Source:
    """Make the source of a job. Nothing is read yet."""
    asked = job.spec.source
    if isinstance(asked, FilesSourceSection):
        return FileSource(
            root=job.root, include=asked.include, exclude=asked.exclude, encoding=asked.encoding, id_from=asked.id
        )
    return DuckdbSource(root=job.root, database=asked.database, query=asked.query)
