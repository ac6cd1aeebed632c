"""The numbers of a plan's documents, by which documents of any shard and file are in the order of the source.

The numbers of a file leave room for all its documents, so that documents may be numbered before other files are read.
"""

from collections.abc import Iterator

from batchrun.document import DocumentRef
from batchrun.documents import FoundFile, Shard
from batchrun.documents.files import file_of
from batchrun.planning.weighing import Page, Weighed

FILE_STEP = 1 << 25
"""The numbers in a plan for the documents of one file."""
SHARD_STEP = FILE_STEP << 10
"""The numbers in a plan for the documents of one shard."""


def first_no(file: FoundFile) -> int:
    """Return the number in the plan of the first document of a file."""
    return file.number * FILE_STEP


def numbered(shard: Shard, page: Page) -> Iterator[tuple[int, Weighed]]:
    """Number the documents of a page in the order of the plan, whatever files of the shard were left out."""
    number = shard.number * SHARD_STEP
    files = iter(shard.files)
    source: str | None = None
    for weighed in page.documents:
        of_file = file_of(DocumentRef(weighed.doc_id, weighed.source, weighed.place)) if shard.files else None
        while of_file != source:
            file = next(files)
            number, source = first_no(file), file.source
        yield number, weighed
        number += 1
