"""Opens the source that a job file asks for."""

from batchrun.documents import Source
from batchrun.documents.duckdb import DuckdbSource
from batchrun.documents.files import FileSource
from batchrun.documents.tables.source import TableSource
from batchrun.job.load import JobFile
from batchrun.job.spec import FilesSourceSection, TableSourceSection


def open_source(job: JobFile) -> Source:
    """Make the source of a job. Nothing is read yet."""
    asked = job.spec.source
    if isinstance(asked, FilesSourceSection):
        return FileSource(
            root=job.root, include=asked.include, exclude=asked.exclude, encoding=asked.encoding, id_from=asked.id
        )
    if isinstance(asked, TableSourceSection):
        return TableSource(root=job.root, path=asked.path, id_column=asked.id, text=asked.text, sheet=asked.sheet)
    return DuckdbSource(root=job.root, database=asked.database, query=asked.query)
