"""Whatever a pattern says, batchrun's own files are no documents; and what looks like no document is told."""

import random
from base64 import encodebytes
from pathlib import Path

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.job.project_root import STATE_FOLDER
from batchrun.planning.selection import Selection

EVERYTHING = 'type = "files"\ninclude = ["**/*"]\n'
NAMES = [
    "docs/a.txt", "docs/batchrun.toml", "jobs/trial.toml", "batchrun.toml", ".git/config", ".batchrun/x.txt",
    "results/out.duckdb",
    "results/out.duckdb.wal", "results/out.simulated.duckdb", "results/notes.txt",
]  # fmt: skip


def listed(project: TrialProject) -> list[str]:
    with project.opened() as opened:
        return [file.source for shard in opened.source.shards() for file in shard.files]


def write(project: TrialProject, name: str) -> Path:
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text("# some text")
    return path


def test_own_files_are_never_taken(project: TrialProject) -> None:
    project.job(source=EVERYTHING)
    for name in NAMES:
        write(project, name)

    assert listed(project) == ["docs/a.txt", "docs/batchrun.toml", "results/notes.txt"]


@pytest.mark.parametrize("pattern", ["**", "results/*", "*/*", ".batchrun/*", "state/**"])
def test_no_pattern_takes_the_ledger_or_the_output(project: TrialProject, pattern: str) -> None:
    store = 'database = "results/out.duckdb"\nledger = "state/our [1].sqlite3"'
    project.job(source=f'type = "files"\ninclude = ["docs/*.txt", "{pattern}"]\n', store=store)
    project.document("a.txt", "text")
    project.submit(ScriptedProvider())
    for name in ("state/our [1].sqlite3-wal", "state/our [1].simulated.sqlite3", "state/texts/ab/x.json.z"):
        write(project, name)
    write(project, f"{STATE_FOLDER}/notes.txt")

    assert listed(project) == ["docs/a.txt"]


def test_a_folder_that_has_the_ledger_too_has_documents(project: TrialProject) -> None:
    store = 'database = "docs/out.duckdb"\nledger = "docs/ledger.sqlite3"'
    project.job(source='type = "files"\ninclude = ["docs/**"]\n', store=store)
    project.document("a.txt", "text")
    project.submit(ScriptedProvider())

    assert listed(project) == ["docs/a.txt"]
    assert project.plan(Selection()).in_source == 1


@pytest.mark.parametrize("name", ["jobs/trial.toml", "batchrun.toml"])
def test_a_settings_file_that_is_named_is_meant(project: TrialProject, name: str) -> None:
    write(project, "batchrun.toml").write_text("[budget]\nmax_cost_per_day_usd = 10.00\n")
    project.job(source=f'type = "files"\ninclude = ["{name}"]\n')

    assert listed(project) == [name]


@pytest.mark.parametrize(("names", "tables"), [(["a.csv", "b.JSONL", "c.txt"], 2), (["c.txt"], 0)])
def test_files_that_look_like_tables_are_told(project: TrialProject, names: list[str], tables: int) -> None:
    project.job(source='type = "files"\ninclude = ["docs/**"]\n')
    for name in names:
        project.document(name, "id,text\n1,a\n2,b\n")

    assert project.plan().tables == tables


def test_what_is_mostly_base64_is_told_with_its_price(project: TrialProject) -> None:
    project.job(source='type = "files"\ninclude = ["docs/**"]\n')
    project.document("a.xml", f"<doc>{encodebytes(random.Random(1).randbytes(60_000)).decode()}</doc>")
    project.document("b.txt", "some words " * 1_000)
    project.document("c.md", "<br>" * 1_000)

    markup = project.plan().markup

    assert markup is not None
    assert (markup.documents, markup.worst) == (1, "docs/a.xml")
    assert markup.share > 0.8
    assert 20_000_000 < markup.nusd < project.plan().estimate.upper_nusd
    project.submit(ScriptedProvider())
    assert project.plan().markup is None, "nothing is to be sent"
