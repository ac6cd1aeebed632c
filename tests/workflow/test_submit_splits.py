"""Long documents: each part is a request of its own, and the answers become one row."""

import json
import re
from typing import Any

import duckdb
import pytest
from scripted_provider import ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request

pytestmark = pytest.mark.slow

ITEMS = '{ type = "object", fields = { name = "string", amount = "integer" } }'
FIELDS = f'title = "string"\nentries = {{ type = "array", items = {ITEMS}, merge_key = "name" }}'
ENTRY = re.compile(r"(entry \d+): (\d+)\.")


def source(**keys: str) -> str:
    return "\n".join(['type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "split"', *keys.values()])


def pages(count: int, entries: int) -> str:
    """A text of pages with planted entries, evenly spread over filler."""
    lines = []
    for number in range(entries):
        lines.append(f"entry {number}: {number * 7}.")
        lines += ["Nothing of interest stands in this line of filler text."] * max(1, count * 40 // entries)
    return "\n\n".join(lines)


async def reads(request: Request) -> Reply:
    """Answer with every entry that the part has."""
    prompt = json.loads(request.body)["messages"][0]["content"]
    found = [{"name": name, "amount": int(amount)} for name, amount in ENTRY.findall(prompt)]
    return answer({"title": f"{len(found)} entries", "entries": found})


@pytest.fixture
def long(project: TrialProject) -> TrialProject:
    project.job(
        source=source(tokens="split_tokens = 2_000", overlap="split_overlap_tokens = 100"), output_fields=FIELDS
    )
    project.document("long.txt", pages(20, 100))
    project.document("short.txt", "entry 7: 49.")
    return project


def rows(project: TrialProject) -> dict[str, Any]:
    with duckdb.connect(str(project.database), read_only=True) as connection:
        return dict(connection.execute("select doc_id, entries from trial").fetchall())


def test_every_entry_is_in_the_row_once(long: TrialProject) -> None:
    provider = ScriptedProvider(default=reads)

    summary = long.submit(provider)

    assert summary.exit_code is ExitCode.OK
    assert len(provider.sent) > 5
    assert long.plans[-1].in_parts == (1, len(provider.sent) - 1)
    assert long.plans[-1].notes == {}, "that a document is a part is nothing to be told of the source"
    assert rows(long).keys() == {"docs/long.txt", "docs/short.txt"}
    assert rows(long)["docs/long.txt"] == [{"name": f"entry {number}", "amount": number * 7} for number in range(100)]


def test_a_second_submit_sends_nothing_and_opens_no_file(long: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    long.submit(ScriptedProvider(default=reads))
    before = rows(long)
    again = ScriptedProvider()

    assert long.submit(again).exit_code is ExitCode.OK
    assert again.sent == []
    assert rows(long) == before


def test_a_part_that_fails_leaves_no_row_and_is_mended_by_a_retry(long: TrialProject) -> None:
    sent = ScriptedProvider(default=reads)

    async def one_fails(request: Request) -> Reply:
        if "entry 50:" in json.loads(request.body)["messages"][0]["content"]:
            return answer("no JSON")
        return await reads(request)

    assert long.submit(ScriptedProvider(default=one_fails)).exit_code is ExitCode.SOME_FAILED
    assert rows(long).keys() == {"docs/short.txt"}
    with duckdb.connect(str(long.database), read_only=True) as connection:
        (found,) = connection.execute(
            "select status, reason from _batchrun.documents where doc_id = 'docs/long.txt'"
        ).fetchall()
    assert found[0] == "errored"
    assert re.match(r"part \d of \d+ has no answer: ", found[1])

    retried = long.submit(sent, Selection(again=frozenset({Outcome.INVALID})))
    assert retried.exit_code is ExitCode.OK
    assert 1 <= len(sent.sent) <= 2, "the entry may stand in the overlap"
    assert len(rows(long)["docs/long.txt"]) == 100


def test_a_document_that_is_short_now_has_its_own_answer(long: TrialProject) -> None:
    long.submit(ScriptedProvider(default=reads))
    long.document("long.txt", "entry 1: 7.")

    assert long.submit(ScriptedProvider(default=reads)).exit_code is ExitCode.OK
    assert rows(long)["docs/long.txt"] == [{"name": "entry 1", "amount": 7}]

    long.document("long.txt", pages(20, 60))
    assert long.submit(ScriptedProvider(default=reads)).exit_code is ExitCode.OK
    assert len(rows(long)["docs/long.txt"]) == 60


def test_another_rule_merges_again_for_nothing(long: TrialProject) -> None:
    long.submit(ScriptedProvider(default=reads))
    long.job(
        source=source(tokens="split_tokens = 2_000", overlap="split_overlap_tokens = 100"),
        output_fields=FIELDS.replace('title = "string"', 'title = { type = "string", merge = "concat" }'),
    )
    again = ScriptedProvider()

    assert long.submit(again).exit_code is ExitCode.OK
    assert again.sent == []
    with duckdb.connect(str(long.database), read_only=True) as connection:
        (title,) = connection.execute("select title from trial where doc_id = 'docs/long.txt'").fetchone() or ()
    assert title.count(" entries") > 5


def test_a_run_that_stopped_goes_on_with_the_parts_that_are_left(long: TrialProject) -> None:
    answered = list[str]()

    async def three_times(request: Request) -> Reply:
        if len(answered) == 3:
            return await first._follow(status(401, "no"), request)
        answered.append(json.loads(request.body)["messages"][0]["content"])
        return await reads(request)

    first = ScriptedProvider(default=three_times)
    assert long.submit(first).exit_code is not ExitCode.OK
    assert "docs/long.txt" not in rows(long)
    second = ScriptedProvider(default=reads)

    assert long.submit(second).exit_code is ExitCode.OK
    assert not set(answered) & set(second.sent)
    assert len(rows(long)["docs/long.txt"]) == 100


def test_provenance_says_which_parts_gave_a_value(long: TrialProject) -> None:
    long.submit(ScriptedProvider(default=reads))
    with long.opened() as opened:
        (provenance,) = opened.ledger.connection.execute("select provenance from wholes").fetchone()
    items = json.loads(provenance)["entries"]["items"]
    assert len(items) == 100
    assert items[0] == [1]
    assert items[-1][0] > 5


def test_a_document_that_is_as_short_as_before_has_its_old_answer_again(long: TrialProject) -> None:
    long.document("long.txt", "entry 1: 7.")
    long.submit(ScriptedProvider(default=reads))
    long.document("long.txt", pages(20, 60))
    long.submit(ScriptedProvider(default=reads))
    assert len(rows(long)["docs/long.txt"]) == 60
    long.document("long.txt", "entry 1: 7.")
    again = ScriptedProvider()

    assert long.submit(again).exit_code is ExitCode.OK
    assert again.sent == []
    assert rows(long)["docs/long.txt"] == [{"name": "entry 1", "amount": 7}]
