"""Opens the source that a job file asks for."""

from batchrun.documents import Source
from batchrun.documents.duckdb import DuckdbSource
from batchrun.documents.files import FileSource
from batchrun.documents.formats import ReadOptions
from batchrun.documents.tables.source import TableSource
from batchrun.documents.text_cache import FOLDER, TextCache
from batchrun.job.load import JobFile
from batchrun.job.spec import FilesSourceSection, TableSourceSection


def open_source(job: JobFile) -> Source:
    """Make the source of a job. Nothing is read yet."""
    asked = job.spec.source
    if isinstance(asked, FilesSourceSection):
        return FileSource(
            root=job.root,
            include=asked.include,
            exclude=asked.exclude,
            options=ReadOptions(asked.encoding, attachments=asked.attachments, rows=asked.rows, pdf=asked.pdf),
            format_name=asked.format,
            id_from=asked.id,
            cache=text_cache(job),
        )
    if isinstance(asked, TableSourceSection):
        return TableSource(root=job.root, path=asked.path, id_column=asked.id, text=asked.text, sheet=asked.sheet)
    return DuckdbSource(root=job.root, database=asked.database, query=asked.query)


def text_cache(job: JobFile) -> TextCache | None:
    """Return the cache of texts beside the job's ledger. Returns None if the job keeps no texts."""
    if not job.spec.source.text_cache:
        return None
    return TextCache(job.resolve(job.spec.store.ledger).parent / FOLDER, job.spec.source.text_cache)
