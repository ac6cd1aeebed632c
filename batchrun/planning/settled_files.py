"""Files that have not changed since all their documents were settled: their documents are planned without opening them.

The ledger remembers the size, times and inode of each file as the file was listed before its documents were read, and
the hash of the bytes that each of these documents was read from: a document is settled only while the ledger has the
document from these bytes. A document's `settings` are the digest of the job that its request followed from. The joins
are written as cross joins, which SQLite carries out in the order written: SQLite would begin with the largest table.
"""

import json
import time
from dataclasses import replace

from batchrun.documents import FoundFile, Shard
from batchrun.documents.formats import FORMATS, IMAGE, all_readers
from batchrun.planning.plan_numbers import FILE_STEP, first_no
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import explained
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import Kind

TICK_NS, COARSE_TICK_NS = 50_000_000, 2_000_000_000
"""How old a file's time must be, so that a later change surely gives another time; the second for whole seconds."""
STATUS = "size", "mtime_ns", "ctime_ns", "inode"
"""What is remembered of a file; fields of FoundFile as well."""
FOUND = "select " + ", ".join(f"value->>{at} as {name}" for at, name in enumerate(("first_no", "file", *STATUS)))
PLAN_SETTLED = f"""
insert into planned (planned_no, doc_id, source, place, content_sha, kind, reason, outcome, known_outcome, request_id,
    model, max_tokens, asks_for, counted_tokens, guessed, text_class, same_text, note, pages, reader, bytes_sha, whole,
    older)
select w.first_no + j.key, d.doc_id, d.source, d.place, d.content_sha,
    case when d.left_out is not null then d.left_out when r.outcome = 'succeeded' then '{Kind.REUSABLE}'
        else '{Kind.FAILED}' end,
    iif(d.left_out is null, null, d.reason), d.outcome, coalesce(d.outcome, r.outcome), r.request_id,
    r.model, d.max_tokens, r.max_tokens, r.counted_tokens, coalesce(r.guessed, 0), r.text_class, 1, d.note, d.pages,
    d.reader, d.bytes_sha, d.whole, d.bytes_sha != '' and d.left_out is null
        and d.reader not in (select value from json_each(:readers))
from ({FOUND} from json_each(:files)) w
cross join read_files f on f.job = :job and f.file = w.file and {" and ".join(f"f.{one} = w.{one}" for one in STATUS)}
cross join json_each(f.had) j
cross join documents d on d.job = :job and d.doc_id = j.value->>0 and d.bytes_sha = j.value->>1
left join requests r on r.request_no = d.request_no
where d.settings = :settings
    and case
        when d.left_out = '{Kind.UNREADABLE}' then d.reader = :all_readers
        when d.left_out is not null then d.reader in (select value from json_each(:readers))
        else d.outcome is null and r.outcome is not null
            and not (r.model != :last_model and r.outcome in (select value from json_each(:fallback_on)))
        end
"""
PARTLY = f"""
select w.first_no from ({FOUND} from json_each(:files)) w
left join read_files f on f.job = :job and f.file = w.file
where json_array_length(coalesce(f.had, '[]')) = 0 or json_array_length(f.had) !=
    (select count(*) from planned p where p.planned_no >= w.first_no and p.planned_no < w.first_no + {FILE_STEP})
"""
READ = f"""
select :job as job, w.file, {", ".join(f"w.{one}" for one in STATUS)},
    json_group_array(json_array(w.doc_id, w.bytes_sha)) as had
from (
    select w.*, p.doc_id, p.bytes_sha from listed_files w
    cross join planned p on p.planned_no >= w.first_no and p.planned_no < w.first_no + {FILE_STEP}
    order by p.planned_no
) w
group by w.first_no having min(w.bytes_sha) != ''
"""
REMEMBER = f"insert or replace into read_files {READ}"
OUTDATED = """
from planned p
where documents.job = :job and p.doc_id = documents.doc_id and p.chosen and p.bytes_sha != ''
    and (documents.settings is not :settings or documents.bytes_sha != p.bytes_sha or documents.reader != p.reader
        or documents.source != p.source or documents.note is not p.note)
    and documents.content_sha = p.content_sha and documents.outcome is p.outcome
    and documents.request_no is (select r.request_no from requests r where r.request_id = p.request_id)
"""
"""The documents of the plan that the ledger has with the same request, but read in another way."""
RENEW = f"""
update documents set settings = :settings, source = p.source, place = p.place, note = p.note, pages = p.pages,
    reader = p.reader, bytes_sha = p.bytes_sha, left_out = case when p.outcome is not null then p.kind end,
    seq = case when documents.note is p.note then documents.seq else :seq end
{OUTDATED}
"""
NEWS = f"""
select 1 where exists ({READ} except select * from read_files where job = :job)
    or exists (select 1 {OUTDATED.replace("from planned p", "from planned p cross join documents", 1)})
"""


class SettledFiles:
    """The files of one plan on a ledger's connection."""

    def __init__(self, ledger: Ledger, job: str, *, settings: str, chain: ModelChain) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        readers = json.dumps([one.reader for one in (*FORMATS.values(), IMAGE)])
        # The process that had an answer may have died before another model was asked.
        passed_on = {"last_model": chain.models[-1].price.name, "fallback_on": json.dumps(sorted(chain.fallback_on))}
        self._named = {"job": job, "settings": settings, "readers": readers, "all_readers": all_readers(), **passed_on}
        self._connection.execute("drop table if exists temp.listed_files")
        self._connection.execute(
            "create temp table listed_files"
            f" (first_no integer primary key, file text, {', '.join(f'{one} integer' for one in STATUS)})"
        )
        self._listed = False
        self._nothing = not self._one("select 1 from read_files where job = :job limit 1")

    def plan(self, shard: Shard) -> tuple[int, Shard]:
        """Plan the settled files of a shard. Returns how many documents they have, and the shard without them."""
        if self._nothing or not shard.files:
            return 0, shard
        files = self._named | {"files": json.dumps([_row(file) for file in shard.files])}
        with explained(self._ledger.path):
            self._connection.execute("begin")
            planned = self._connection.execute(PLAN_SETTLED, files).rowcount
            unsettled = {number for (number,) in self._connection.execute(PARTLY, files)} if planned else None
            if unsettled:
                self._forget(unsettled)
            self._connection.execute("commit")
        if unsettled is None:
            return 0, shard
        rest = tuple(file for file in shard.files if first_no(file) in unsettled)
        return self._count(shard), replace(shard, files=rest, size=sum(file.size for file in rest))

    def _forget(self, first_numbers: set[int]) -> None:
        """Take back the documents of files that are settled only in part."""
        self._connection.execute(
            "delete from planned where exists (select 1 from json_each(?)"
            f" where planned_no >= value and planned_no < value + {FILE_STEP})",
            (json.dumps(list(first_numbers)),),
        )

    def _count(self, shard: Shard) -> int:
        """Count the planned documents of a shard, a document in parts once."""
        query = "select count(distinct coalesce(whole, doc_id)) from planned where planned_no >= ? and planned_no < ?"
        first, last = first_no(shard.files[0]), first_no(shard.files[-1])
        return int(self._connection.execute(query, (first, last + FILE_STEP)).fetchone()[0])

    def list(self, shard: Shard) -> None:
        """Note the files of a shard of which all documents are read now, as the files were when they were listed."""
        self._listed, now = True, time.time_ns()
        rows = [_row(file) for file in shard.files if _is_still(file, now)]
        self._connection.executemany("insert or ignore into listed_files values (?, ?, ?, ?, ?, ?)", rows)

    def anything_to_remember(self) -> bool:
        """Whether this plan has read something that the ledger does not know, or knows in another way."""
        return self._listed and self._one(NEWS)

    def remember(self) -> None:
        """Record, in a transaction, how the files and documents of this plan were read."""
        self._connection.execute(REMEMBER, self._named)
        self._connection.execute(RENEW, self._named | {"seq": self._ledger.next_seq()})

    def _one(self, query: str) -> bool:
        return self._connection.execute(query, self._named).fetchone() is not None


def _row(file: FoundFile) -> tuple[int, str, int, int, int, int]:
    return first_no(file), file.source, file.size, file.mtime_ns, file.ctime_ns, file.inode


def _is_still(file: FoundFile, now_ns: int) -> bool:
    """Whether a later change of the file would surely change the file's time."""
    changed_ns = file.ctime_ns or file.mtime_ns
    tick_ns = COARSE_TICK_NS if changed_ns % 1_000_000_000 == 0 else TICK_NS
    return changed_ns + tick_ns < now_ns
