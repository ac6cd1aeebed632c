"""Keys of [source] about the output: the columns that go along, and the rows of removed documents."""

from pathlib import Path

import pytest

from batchrun.documents.formats import FORMATS as READERS
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.source_sections import FORMATS, MOST_COLUMNS

JOB = """\
[job]
name = "keys"
[source]
{source}
[model]
name = "claude-sonnet-5-5"
max_tokens = 1024
[prompt]
user = "{{{{ doc.text }}}}"
[output.fields]
title = "string"
src_size = "integer"
[budget]
max_cost_usd = 5.00
"""
FILES = 'type = "files"\ninclude = ["*.txt"]\n'
ROWS = 'type = "duckdb"\ndatabase = "a.duckdb"\nquery = "select 1 as id, 2 as text"\n'


def loaded(folder: Path, source: str) -> tuple[tuple[str, ...], str]:
    path = folder / "job.toml"
    path.write_text(JOB.format(source=source))
    spec = load_job(path).spec.source
    return spec.columns, spec.on_removed


def test_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, FILES) == ((), "keep")


@pytest.mark.parametrize(
    ("source", "columns"),
    [
        (FILES + 'columns = ["path", "modified", "pages"]', ("path", "modified", "pages")),
        (FILES + 'columns = ["Price"]\nrows = true', ("Price",)),
        (ROWS + 'columns = ["customer of", "x"]', ("customer of", "x")),
    ],
)
def test_columns(tmp_path: Path, source: str, columns: tuple[str, ...]) -> None:
    assert loaded(tmp_path, f'{source}\non_removed = "drop"') == (columns, "drop")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (FILES + 'columns = ["path", "owner"]', 'files have no column "owner"(?s:.*)path, size, modified, pages'),
        (ROWS + 'columns = ["a", "A"]', '"a" is there already'),
        (ROWS + 'columns = ["a\\u0000"]', "is no name of a column"),
        (ROWS + 'columns = [""]', "some text"),
        (ROWS + 'columns = "a"', "columns"),
        (FILES + 'columns = ["size"]', "src_size is a column of \\[source\\] in the output"),
        (ROWS + f"columns = {[str(number) for number in range(MOST_COLUMNS + 1)]}", "101 columns"),
        (FILES + 'on_removed = "delete"', 'input should be "keep" or "drop"'),
    ],
)
def test_what_is_refused(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(JobFileError) as refused:
        loaded(tmp_path, source)

    refused.match(said)


def test_every_format_that_is_read_can_be_named_in_a_job_file() -> None:
    assert tuple(READERS) == FORMATS
