"""`--source`: a pattern names a file, and so all documents in the file."""

import pytest

from batchrun.document import Unreadable
from batchrun.planning.selection import Selection


@pytest.mark.parametrize(
    ("source", "pattern", "taken"),
    [
        ("inbox/a.eml", "inbox/*.eml", True),
        ("inbox/a.eml#terms.pdf", "inbox/*.eml", True),
        ("inbox/a.eml#terms.pdf", "*.pdf", True),
        ("inbox/a.eml", "*.pdf", False),
        ("prices.xlsx#Berlin!7", "prices.xlsx", True),
        ("prices.xlsx#Berlin!7", "prices.xls", False),
    ],
)
def test_a_pattern_for_a_file_takes_what_is_in_it(source: str, pattern: str, taken: bool) -> None:
    found = Unreadable(doc_id=source, source=source, reason="")
    assert Selection(sources=(pattern,)).takes(found) == taken
