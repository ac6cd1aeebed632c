"""What is in a folder or a table that a person wants a job for, found out within bounds before there is a job.

Files are counted by their names, and the first rows of a table are read. A plan of a draft then reads some documents
as a run would, and says what they would cost. Nothing is sent.
"""

import contextlib
import glob
import os
import re
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.document import Unreadable, Value
from batchrun.documents import FoundFile
from batchrun.documents.duckdb import LOCKED_DOWN
from batchrun.documents.files import FileSource
from batchrun.documents.formats import FORMATS
from batchrun.documents.path_escaping import actual
from batchrun.documents.tables import TableFile
from batchrun.documents.tables.documents import as_text
from batchrun.documents.tables.opening import open_table, version_of
from batchrun.duckdb_file import opened
from batchrun.errors import Refused, UsageProblem
from batchrun.escaping import shown_path
from batchrun.estimation.language import language
from batchrun.job.gold_section import DATABASE_ENDINGS
from batchrun.job.scaffold import SKIPS, toml
from batchrun.job.table_names import looks_like_table, table_kind
from batchrun.planning.selection import Selection
from batchrun.planning.weighing import Wanted
from batchrun.strategy.plan import Plan
from batchrun.wording import size
from batchrun.workflow.open_job import open_job

MOST_LISTED, LISTING_S = 200_000, 10.0
"""How many files are counted at most, and for how long."""
MOST_READ, MOST_BYTES, MOST_ROWS = 200, 50_000_000, 10_000
"""How many files are read at most, how many bytes are, and in how many rows a key is looked for."""
MOST_TEXTS = 20
"""The most texts of which the language is guessed."""
_LONGEST_KEY, _MOST_NAMED = 200, 5
_KEY_NAME = re.compile(r"(^|[_\W])(id|key|no|nr|num|number|ref)$", re.IGNORECASE)
_ENDINGS = {ending: name for name, one in FORMATS.items() for ending in one.suffixes}


@dataclass(frozen=True, slots=True)
class Found:
    """What is there, and the [source] that takes all of it."""

    source: str
    """The keys of [source], as TOML."""
    draft: str | None
    """The keys of a [source] that takes some of it; None for what is too large to be read now."""
    told: Mapping[str, str]
    """What to tell a person, by label; nothing is told of an empty text."""
    times: float = 1.0
    """How many times more documents there are than the draft takes."""


def look(path: Path, root: Path) -> Found:
    """Look at a folder, a table or another file.

    Raises UsageProblem if there is nothing for a job, and UnicodeEncodeError for a name that no job file can write.
    """
    below = str(path.relative_to(root) if path.is_relative_to(root) else path)
    below.encode()
    if path.is_dir():
        everything = ("**", ["jobs/**", "results/**"]) if path == root else (f"{glob.escape(below)}/**", [])
        return _files(*everything, root)
    if path.name.lower().endswith(DATABASE_ENDINGS):
        return _database(path, below)
    return _table(path, below) if table_kind(path.name) else _files(glob.escape(below), [], root)


async def rehearse(draft: Path) -> tuple[Plan, Counter[str | None]]:
    """Plan a draft of a job, and guess the languages of some documents. None counts texts of which nothing is known.

    Raises what a plan raises.
    """
    with open_job(draft, simulated=False, to_run=False) as job:
        planner = job.planner()
        plan = await planner.plan(Selection())
        drawn = planner.planned.drawn(MOST_TEXTS, among=None)[1]
        read = planner.workers.prepare([Wanted(ref, counts=False) for ref in drawn])
        texts = [one.text for one in read if not isinstance(one, Unreadable) and one.text]
        return plan, Counter(language(text) for text in texts)


def _files(include: str, exclude: Sequence[str], root: Path) -> Found:
    files, is_all = _listed(FileSource(root=root, include=[include], exclude=[*exclude, "batchrun.toml"]))
    rows = [file for file in files if looks_like_table(file.source) or file.source.endswith(DATABASE_ENDINGS)]
    others = set(files).difference(rows)
    wanted = [file for file in files if file in others and file.size and not file.problem]
    if not (wanted or rows):
        hint = "put documents there, or begin with a job file alone: batchrun init jobs/first.toml"
        raise UsageProblem(f"nothing to read matches {shown_path(include)} below {shown_path(root)}.", hint=hint)
    if not wanted:
        return look(root / actual(max(rows, key=lambda file: file.size).source), root)
    formats = Counter(_ENDINGS.get(Path(file.source).suffix.lower(), "other") for file in wanted)
    told = {
        "files": f"{'' if is_all else 'at least '}{len(files):,}, {size(sum(file.size for file in files))}",
        "formats": ", ".join(f"{name} {number:,}" for name, number in formats.most_common()) + ", by their names",
        "empty": _named([file for file in files if file.inode and not file.size]),
        "unreadable": _named([file for file in files if file.problem or not file.inode]),
        "tables": f"{_named(rows)}: left out, each row is a document for a job of its own: {_init(rows[0], root)}"
        if rows
        else "",
    }
    without = [*exclude, *sorted({f"{include}/*{glob.escape(Path(file.source).suffix)}" for file in rows})]
    keys = [f"include = [{toml(include)}]", *([f"exclude = {toml(without)}"] if without else []), SKIPS]
    taken = _sample(wanted)
    names = [glob.escape(actual(file.source)) for file in taken]
    names = [name for name in names if name == name.encode(errors="ignore").decode()]
    draft = f'type = "files"\ninclude = {toml(names)}\n{SKIPS}' if names else None
    return Found("\n".join(['type = "files"', *keys]), draft, told, len(wanted) / len(taken))


def _listed(source: FileSource) -> tuple[list[FoundFile], bool]:
    """List files without opening them, and say whether these are all."""
    until, files = time.monotonic() + LISTING_S, list[FoundFile]()
    with contextlib.suppress(Refused):  # there is no file
        for shard in source.shards():
            files += shard.files
            if len(files) >= MOST_LISTED or time.monotonic() > until:
                return files, False
    return files, True


def _sample(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Take files evenly over the list, until they are too many or too large; one file at least."""
    taken, size = list[FoundFile](), 0
    for number in range(min(MOST_READ, len(files))):
        taken.append(files[number * len(files) // min(MOST_READ, len(files))])
        size += taken[-1].size
        if size > MOST_BYTES:
            break
    return taken


def _named(files: Sequence[FoundFile]) -> str:
    """Name the first of some files; nothing for none."""
    more = f" and {len(files) - _MOST_NAMED:,} more" if len(files) > _MOST_NAMED else ""
    return ", ".join(shown_path(file.source, 60) for file in files[:_MOST_NAMED]) + more


def _init(file: FoundFile, root: Path) -> str:
    return f"batchrun init {shlex.quote(os.path.relpath(root / actual(file.source)))}"


def _table(path: Path, below: str) -> Found:
    file = TableFile(str(path), shown_path(below), table_kind(path.name))
    table, rows = open_table(file, version_of(file), frozenset()), list[Sequence[Value]]()
    for part in table.slices():
        rows += [row.values for row in table.rows(part)]
        if len(rows) >= MOST_ROWS:
            break
    key, text, told = _roles(table.columns, rows)
    keys = f"path = {toml(glob.escape(below))}\nid = {toml(key)}\ntext = {toml(text)}"
    return _of_rows(f'type = "table"\n{keys}', path, told)


def _database(path: Path, below: str) -> Found:
    with opened(path, read_only=True, wait_s=1, config=LOCKED_DOWN) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not internal order by estimated_size desc"
        ).fetchall()
        if not tables:
            raise UsageProblem(f"there is no table in {shown_path(path)}.", hint="name another file")
        table = ".".join(map(_quoted, tables[0]))
        asked = connection.execute(f"select columns(*)::varchar from {table} limit {MOST_ROWS}")
        names, rows = [column[0] for column in asked.description or ()], asked.fetchall()
    key, text, told = _roles(names, rows, instead="rowid")
    chosen = dict.fromkeys((_quoted(key), _quoted(text)))
    others = f"* EXCLUDE ({', '.join(name for name in chosen if name != 'rowid')})"
    query = f"SELECT {_quoted(key)} AS id, {_quoted(text)} AS text, {others} FROM {table}"
    keys = f"database = {toml(below)}\nquery = {toml(query)}"
    return _of_rows(f'type = "duckdb"\n{keys}', path, {"tables": ", ".join(name for _, name in tables), **told})


def _quoted(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _of_rows(source: str, path: Path, told: Mapping[str, str]) -> Found:
    return Found(source, source if path.stat().st_size <= MOST_BYTES else None, told)


def _roles(names: Sequence[str], rows: Sequence[Sequence[Value]], instead: str = "") -> tuple[str, str, dict[str, str]]:
    """Choose the columns with the id and the text, and say why. Without a key the id is `instead`, or any column."""
    values = {name: [as_text(row[at]) for row in rows] for at, name in enumerate(names) if name}
    if not values:
        raise UsageProblem(
            "the table has no column with a name.", hint="the names of the columns are in the first line"
        )
    text, *others = sorted(values, key=lambda name: -sum(map(len, values[name])))
    keys = sorted((name for name in values if _is_key(values[name])), key=lambda name: not _KEY_NAME.search(name))
    key = next((name for name in keys if name != text), instead or next(iter(keys), [text, *others][-1]))
    looked = f"in {'the first ' if len(rows) >= MOST_ROWS else ''}{len(rows):,} rows"
    why = (
        f"without gaps and repeats {looked}"
        if key in keys
        else f"since no other column is without gaps and repeats {looked}"
    )
    about = ", ".join(names) + ": {{ doc.<column> }} in the prompt"
    return key, text, {"columns": about, "id": f"{key}, {why}", "text": f"{text}, the longest column"}


def _is_key(values: Sequence[str]) -> bool:
    return all(values) and len(set(values)) == len(values) and max(map(len, values), default=0) <= _LONGEST_KEY
