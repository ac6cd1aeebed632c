"""`batchrun cache`: the texts beside the ledger, and nothing else that is there."""

import os
import time
from pathlib import Path

from command_line import CommandLine
from trial_project import TrialProject

from batchrun.documents.formats import FORMATS, Part, ReadOptions
from batchrun.documents.text_cache import TextCache
from batchrun.errors import ExitCode
from batchrun.store.job_files import read_job
from batchrun.workflow.open_job import trimmed_cache

TEXT = [Part(text="some words " * 500)]


def filled(project: TrialProject, entries: int = 3) -> TextCache:
    cache = TextCache(project.ledger_path.parent / "texts")
    for number in range(entries):
        cache.keep(f"{number}", FORMATS["pdf"], ReadOptions(), TEXT)
    return cache


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_where_and_how_large(project: TrialProject, batchrun: CommandLine) -> None:
    cache = filled(project)

    ran = batchrun("cache")

    assert ran.out == f"3 texts, {cache.size() / 1000:.1f} KB, in .batchrun/texts\n"
    assert batchrun("cache jobs/trial.toml").out == ran.out
    (event,) = batchrun("cache --json").events
    assert (event["bytes"], event["texts"], event["cleared"]) == (cache.size(), 3, False)


def test_without_a_text(batchrun: CommandLine) -> None:
    assert batchrun("cache").out == "0 texts, 0.0 KB, in .batchrun/texts\n"
    assert batchrun("cache --clear").code == ExitCode.OK


def test_clear_deletes_texts_and_nothing_else(project: TrialProject, batchrun: CommandLine) -> None:
    cache = filled(project)
    own = [cache.folder / "en" / "letter.txt", cache.folder / "en" / "b.json.z", cache.folder / "ab" / "c.txt"]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_text("somebody's own")
    [left, *_] = [path for path in files(cache.folder) if path not in own]
    left.with_name(f"{left.name}.4711").write_text("of a killed process")

    assert batchrun("cache --clear").out.startswith("4 texts, ")

    assert files(cache.folder) == sorted(own)
    assert batchrun("cache").out.startswith("0 texts")


def test_what_a_plan_leaves_is_within_the_bound(project: TrialProject) -> None:
    path = project.job(source='type = "files"\ninclude = ["docs/*.txt"]\ntext_cache = "1KB"')
    with trimmed_cache(read_job(path)):
        cache = filled(project, 40)
    assert cache.size() <= 1_000


def test_a_cache_that_no_text_came_into_is_not_looked_through(project: TrialProject) -> None:
    path = project.job(source='type = "files"\ninclude = ["docs/*.txt"]\ntext_cache = "1KB"')
    cache = filled(project, 40)
    long_ago = time.time() - 3600
    for folder in cache.folder.iterdir():
        os.utime(folder, (long_ago, long_ago))
    size = cache.size()

    with trimmed_cache(read_job(path)):
        pass

    assert cache.size() == size
