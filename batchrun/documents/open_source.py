"""Opens the source that a job file asks for."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from batchrun.documents import Source
from batchrun.documents.duckdb import DuckdbSource
from batchrun.documents.files import FileSource
from batchrun.documents.formats import ReadOptions
from batchrun.documents.tables.source import TableSource
from batchrun.documents.text_cache import FOLDER, TextCache
from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.project_root import PROJECT_FILE
from batchrun.job.source_sections import FilesSourceSection, MemorySourceSection, TableSourceSection


def open_source(job: JobFile, own: Sequence[str] = ()) -> Source:
    """Make the source of a job. Nothing is read yet. `own` are patterns for files that are never documents.

    Raises UsageProblem for documents that a program gives: only the program has them.
    """
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
            own=(*own, *_settings_files(job, asked.include)),
        )
    if isinstance(asked, TableSourceSection):
        return TableSource(root=job.root, path=asked.path, id_column=asked.id, text=asked.text, sheet=asked.sheet)
    if isinstance(asked, MemorySourceSection):
        raise UsageProblem(
            "[source] says that a program gives the documents, and no program does.",
            hint='run the job from Python: batchrun.open("job.toml", documents=…); see: batchrun docs python',
        )
    return DuckdbSource(root=job.root, database=asked.database, query=asked.query)


def _settings_files(job: JobFile, include: Sequence[str]) -> list[str]:
    """List patterns for the files with the settings of the job and the project, but for those that are named."""
    settings = (job.path, job.root / PROJECT_FILE)
    return [glob.escape(str(path)) for path in settings if not is_named(path, include, job.root)]


def is_named(path: Path, include: Sequence[str], root: Path) -> bool:
    """Whether a pattern names exactly this path: then the file is meant, whatever it is."""
    return any(os.path.normpath(root / text) == os.path.normpath(path) for text in include)


def text_cache(job: JobFile) -> TextCache | None:
    """Return the cache of texts beside the job's ledger. Returns None if the job keeps no texts."""
    if not job.spec.source.text_cache:
        return None
    return TextCache(job.resolve(job.spec.store.ledger).parent / FOLDER, job.spec.source.text_cache)
