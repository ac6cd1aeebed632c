"""Evidence of long documents that are asked in parts: each passage says in which part it stands."""

import json
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.reply import Reply
from batchrun.request import Request

pytestmark = pytest.mark.slow

TERM = "The initial term of this Agreement is twenty-four (24) months from its date."
PARTY = "The party of number {0} in this list is called Alder {0} Limited."
SOURCE = 'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "split"\nsplit_tokens = 2_000'
NONE = {"term_quote": "", "term": None, "parties": []}
PARTIES = 'parties = { type = "array", items = { type = "object", fields = { name = "string" } } }'


def given(project: TrialProject, *, output: str = "evidence = true", merge: str = "") -> None:
    filler = "Nothing of interest stands in this line of filler text.\n\n" * 120
    text = filler + "".join(PARTY.format(number) + "\n\n" + filler for number in range(4)) + TERM + "\n"
    project.document("long.txt", text)
    model = 'name = "claude-haiku-4-5"\nmax_tokens = 2_000'
    fields = f'term = "integer?"\n{PARTIES}'
    project.job(source=f"{SOURCE}\n{merge}", output=output, output_fields=fields, model=model)


async def reads(request: Request) -> Reply:
    prompt = json.loads(request.body)["messages"][0]["content"]
    numbers = [number for number in range(4) if PARTY.format(number) in prompt]
    entries = [{"quote": PARTY.format(number), "name": f"Alder {number} Limited"} for number in numbers]
    term = {"term_quote": TERM, "term": 24} if TERM in prompt else {}
    return answer(NONE | term | {"parties": entries})


def row(project: TrialProject) -> tuple[int, dict[str, Any]]:
    ((attempts, told),) = project.rows("select _attempts, _evidence::varchar from trial")
    return attempts, json.loads(told)


def test_every_passage_says_in_which_part_it_stands(project: TrialProject) -> None:
    given(project)
    provider = ScriptedProvider(default=reads)

    project.submit(provider)

    attempts, told = row(project)
    assert attempts == len(provider.sent) > 3
    assert (told["term"]["status"], told["term"]["part"]) == ("exact", attempts)
    assert [one["status"] for one in told["parties"]] == ["exact"] * 4
    assert [one["part"] for one in told["parties"]] == sorted(one["part"] for one in told["parties"])
    ((parties,),) = project.rows("select parties from trial")
    assert [one["name"] in passage["text"] for one, passage in zip(parties, told["parties"], strict=True)] == [True] * 4


def test_what_is_not_believed_in_the_part_that_gave_it_is_told_of_the_row(project: TrialProject) -> None:
    given(project, output='evidence = true\nunsupported = "null"')

    async def changes(request: Request) -> Reply:
        reply = await reads(request)
        return answer(json.loads(reply.text.replace("(24)", "(36)").replace('"term": 24', '"term": 36')))

    project.submit(ScriptedProvider(default=changes))

    attempts, told = row(project)
    ((findings,),) = project.ask("select findings from wholes")
    assert project.rows("select term from trial") == [(None,)]
    assert "its quote differs from the document" in json.loads(findings)["problems"]["term"]
    assert (told["term"]["status"], told["term"]["part"]) == ("differs", attempts)


def test_repairs_of_parts_are_counted_in_the_row(project: TrialProject) -> None:
    given(project, output="evidence = true\nmax_repairs = 1")

    broken = [answer({"term": "soon"})]

    async def mends(request: Request) -> Reply:
        if TERM in json.loads(request.body)["messages"][0]["content"] and broken:
            return broken.pop()
        return await reads(request)

    provider = ScriptedProvider(default=mends)
    project.submit(provider)

    attempts, told = row(project)
    ((parts,),) = project.ask("select parts from wholes")
    assert attempts == parts + 1
    assert told["term"]["status"] == "exact"


def test_a_row_that_a_request_has_merged_counts_all_replies(project: TrialProject) -> None:
    given(project, merge='merge = "model"')
    provider = ScriptedProvider(default=reads)

    project.submit(provider)

    ((attempts,),) = project.rows("select _attempts from trial")
    assert attempts == len(provider.sent)
