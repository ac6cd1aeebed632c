"""`batchrun prove` says what was tried and what held, and how to try again what did not."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine

from batchrun.errors import ExitCode
from batchrun.proof import campaign
from batchrun.proof.audit import Breach, Promise
from batchrun.proof.campaign import Record


def record(*breaches: Breach) -> Record:
    made = Record(seed=7, trials=2, submits=14, deaths=12, documents=30, in_flight=5, repeats=3, exact=1, seconds=4)
    made.deaths_at["stream"] = Counter({"at a random time": 2, "before a commit of the ledger": 4})
    made.deaths_at["batch"] = Counter({"before a commit of the ledger": 6})
    made.faults = Counter({"reset_after": 2})
    if breaches:
        made.breaches[2] = list(breaches)
        made.broken.update(breach.promise for breach in breaches)
    return made


@pytest.fixture
def proved(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """What the next proofs find."""
    found: list[Record] = []

    def prove(*_: object, progress: Callable[[Record, int], None], **__: object) -> Record:
        progress(found[-1], 2)
        return found.pop()

    monkeypatch.setattr(campaign, "prove", prove)
    return found


def test_promises_that_held(batchrun: CommandLine, proved: list[Record]) -> None:
    proved.append(record())
    ran = batchrun("prove --kills 12 --seed 7")
    assert ran.code == ExitCode.OK
    assert "seed 7 · 2 projects · 30 documents · 4 s" in ran.out
    assert "12 processes killed, of 14 started" in ran.out
    assert "10 before a commit of the ledger" in ran.out
    assert [line.split()[0] for line in ran.out.splitlines() if line.endswith(tuple(Promise))] == ["0"] * len(Promise)
    assert "broken" not in ran.out


def test_a_promise_that_was_broken(batchrun: CommandLine, proved: list[Record]) -> None:
    proved.append(record(Breach(Promise.LOST, "documents {'pending': 1}")))
    ran = batchrun("prove -q")
    assert ran.code == ExitCode.SOME_FAILED
    assert "1 documents lost" in ran.out
    assert "broken   batchrun prove --seed 7 --trial 2" in ran.out
    assert "documents {'pending': 1}" in ran.out
    assert "broken   batchrun prove --seed 7 --trial 2" in ran.err  # said while the proof went on


def test_quiet_says_nothing_of_promises_that_held(batchrun: CommandLine, proved: list[Record]) -> None:
    proved.append(record())
    ran = batchrun("-q prove")
    assert (ran.code, ran.words) == (ExitCode.OK, "")


def test_json(batchrun: CommandLine, proved: list[Record]) -> None:
    proved.append(record(Breach(Promise.CAP, "words")))
    found = batchrun("prove --json").json
    assert (found["v"], found["ok"], found["deaths"]) == (1, False, 12)
    assert found["deaths_at"]["batch"] == {"before a commit of the ledger": 6}
    assert found["broken"]["caps passed"] == 1
    assert found["breaches"] == {"2": [["caps passed", "words"]]}


def test_a_temporary_folder_in_which_no_socket_fits(
    batchrun: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("a" * 90)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    ran = batchrun("prove --kills 1")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "set TMPDIR to a folder whose path has at most 70 bytes" in ran.err


@pytest.mark.slow
def test_one_trial(batchrun: CommandLine) -> None:
    ran = batchrun("prove --seed 1 --trial 1")
    assert ran.code == ExitCode.OK
    assert "seed 1 · 1 projects" in ran.out
