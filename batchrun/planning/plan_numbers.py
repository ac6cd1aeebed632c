"""The numbers of a plan's documents, by which documents of any shard and file are in the order of the source.

The numbers of a file leave room for all its documents, so that documents may be numbered before other files are read.
"""

from collections.abc import Sequence
from itertools import starmap

from batchrun.document import DocumentRef
from batchrun.documents import FoundFile, Shard
from batchrun.documents.files import file_of
from batchrun.planning.weighing import Page

FILE_STEP = 1 << 25
"""The numbers in a plan for the documents of one file."""
SHARD_STEP = FILE_STEP << 10
"""The numbers in a plan for the documents of one shard."""


def first_no(file: FoundFile) -> int:
    """Return the number in the plan of the first document of a file."""
    return file.number * FILE_STEP


def numbers(shard: Shard, page: Page) -> Sequence[int]:
    """Number the documents of a page in the order of the plan, whatever files of the shard were left out."""
    number = shard.number * SHARD_STEP
    if not shard.files:
        return range(number, number + page.number)
    files, found = iter(shard.files), list[int]()
    source: str | None = None
    for ref in starmap(DocumentRef, zip(*page.columns[:3], strict=True)):
        while file_of(ref) != source:
            file = next(files)
            number, source = first_no(file), file.source
        found.append(number)
        number += 1
    return found
