"""What the ending of a name says: a table, its kind, or no table at all."""

import pytest

from batchrun.job.table_names import looks_like_table, table_kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t.csv", "csv"),
        ("a/T.CSV", "csv"),
        ("t.csv.gz", "csv"),
        ("t.tsv", "tsv"),
        ("t.jsonl", "jsonl"),
        ("t.ndjson.gz", "jsonl"),
        ("t.parquet", "parquet"),
        ("t.parquet.gz", None),
        ("t.xlsx", "sheet"),
        ("t.xls", "sheet"),
        ("t.ods", "sheet"),
        ("t.xlsx.gz", None),
        ("https://example.org/t.csv?signature=x.parquet", "csv"),
        ("s3://bucket/*.parquet", "parquet"),
        ("what?.csv", "csv"),
        ("t.json", None),
        ("csv", None),
        ("t.csv/readme.txt", None),
    ],
)
def test_kinds(name: str, kind: str | None) -> None:
    assert table_kind(name) == kind
    assert looks_like_table(name) == (kind is not None and kind != "sheet")
