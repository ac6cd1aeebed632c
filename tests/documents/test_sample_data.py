"""The sample data: what its README promises."""

import importlib.util
import sys
from pathlib import Path

import duckdb
import pytest

from batchrun.document import Document
from batchrun.documents.duckdb import DuckdbSource
from batchrun.documents.files import FileSource

ROOT = Path(__file__).parents[2]


def test_the_contracts_are_read_in_every_encoding() -> None:
    contracts = FileSource(root=ROOT, include=["sample_data/contracts/*"]).scan()
    documents = {Path(d.source).name: d for d in contracts if isinstance(d, Document)}

    assert len(documents) == 24
    assert {name: d.note for name, d in documents.items() if d.note} == {
        "compraventa-aceites.txt": "read as utf-16 (byte-order mark)",
        "settlement-quarry-road.txt": "3 NUL bytes removed",
        "supply-alder-steel.txt": "read as utf-8 (byte-order mark)",
        "wartungsvertrag-praezision.txt": "read as windows-1252 (guessed)",
    }
    assert [name for name, d in documents.items() if not d.text] == ["unsigned-draft.txt"]
    assert "Fräsmaschinen" in documents["wartungsvertrag-praezision.txt"].text
    assert "Importadora Ñandú" in documents["compraventa-aceites.txt"].text
    assert "\r" not in documents["supply-alder-steel.txt"].text
    assert "<|endoftext|>" in documents["content-licence-textkiln.txt"].text
    assert sum(len(d.text.split()) > 3000 for d in documents.values()) == 3


@pytest.mark.slow
def test_the_committed_inbox_is_what_its_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("make_inbox", ROOT / "sample_data" / "make_inbox.py")
    assert spec is not None
    assert spec.loader is not None
    make_inbox = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_inbox", make_inbox)  # dataclasses look their module up
    spec.loader.exec_module(make_inbox)
    make_inbox.write(tmp_path / "inbox.duckdb")

    def tickets(path: Path) -> list[tuple[object, ...]]:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute("FROM tickets ORDER BY ticket_id").fetchall()

    assert tickets(ROOT / "sample_data" / "inbox.duckdb") == tickets(tmp_path / "inbox.duckdb")


@pytest.mark.slow
def test_the_inbox_is_a_source() -> None:
    query = "SELECT ticket_id AS id, body AS text, customer, product, received_at FROM tickets"
    inbox = DuckdbSource(root=ROOT, database="sample_data/inbox.duckdb", query=query)
    assert inbox.columns == {"customer", "product", "received_at"}
    assert len(list(inbox.scan())) == 40
