"""Token counts in the ledger: what was counted once is not counted again, whatever somebody wrote there."""

from pathlib import Path

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.estimation.tokenizer import count_tokens
from batchrun.planning import kept_counts
from batchrun.planning.kept_counts import KeptCounts
from batchrun.store.ledger.ledger import Ledger


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were counted with the vocabulary."""
    texts: list[str] = []
    monkeypatch.setattr(kept_counts, "count_tokens", lambda text: texts.append(text) or count_tokens(text))
    return texts


def test_what_was_recorded_is_not_counted_again(tmp_path: Path, counted: list[str]) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite3")
    counts = KeptCounts(ledger)
    assert [counts("one two"), counts("one two"), counts("\ud800")] == [2, 2, count_tokens("\ud800")]
    with ledger.transaction():
        counts.record()
    assert KeptCounts(ledger)("one two") == 2
    assert counted == ["one two", "\ud800"]


@pytest.mark.parametrize("value", ["many", -1, 2.5, None, b"2"])
def test_what_is_no_count_is_counted(tmp_path: Path, counted: list[str], value: object) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite3")
    with ledger.transaction():
        KeptCounts(ledger).record()
        counts = KeptCounts(ledger)
        counts("one two")
        counts.record()
        ledger.connection.execute("update meta set value = ? where key like 'tokens of %'", (value,))
    assert KeptCounts(ledger)("one two") == 2
    assert counted == ["one two", "one two"]


def test_a_submit_with_nothing_to_send_counts_nothing(project: TrialProject, counted: list[str]) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({}))
    assert counted
    counted.clear()
    assert project.submit(ScriptedProvider({})).exit_code == 0
    assert counted == []
    project.job(prompt='user = "Who signed {{ doc.text }}?"')
    project.plan()
    assert any("Who signed" in text for text in counted)
