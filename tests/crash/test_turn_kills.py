"""Runs that are killed between the turns of their answers: nothing is paid for twice, and no turn is lost."""

import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from submits import SubmitServer
from trial_project import TrialProject

sys.path += [str(Path(__file__).parents[1] / name) for name in ("golden", "workflow")]

from known_answers import REPAIRED, Standin, seldom
from known_contracts import FIELDS, known_contract
from recording_api import KEY, Answer, RecordingApi

from batchrun import cli
from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow

CONCURRENCY, KILLS = 4, 10
PAYMENTS = (
    'payments = { type = "array", items = { type = "object", fields = { due = "date", amount = "number" } }, '
    "page_size = 50 }"
)


class KnownApi(RecordingApi):
    """The API over HTTP with a stand-in behind it, which takes a moment for each answer."""

    def __init__(self, standin: Standin) -> None:
        super().__init__()
        self.standin = standin
        self.answers = 0
        self.one_at_a_time = threading.Lock()

    def message(self, params: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        """Answer as the stand-in does."""
        with self.one_at_a_time:
            reply = self.standin.reply(dict(params))
            self.answers += 1
        time.sleep(0.01)
        assert reply.usage is not None
        usage = {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens}
        text = [{"type": "text", "text": reply.text}] if reply.text else []
        return super().message(params, answer) | {"content": text, "stop_reason": reply.stop_reason, "usage": usage}


def test_kill_between_the_turns(project: TrialProject, submits: SubmitServer) -> None:
    contracts = {f"docs/{number:04}.txt": known_contract(number, payments=260, clauses=2) for number in range(24)}
    for doc_id, contract in contracts.items():
        project.document(doc_id.removeprefix("docs/"), contract.text)
    project.job(
        model='name = "claude-haiku-4-5"\nmax_tokens = 3000',
        prompt='user = "{{ doc.id }}\\n{{ doc.text }}"',
        output="max_repairs = 3\ngroups = 2",
        output_fields="\n".join([*FIELDS.values(), PAYMENTS]),
        run=f"max_concurrency = {CONCURRENCY}",
        budget="max_cost_usd = 100",
    )
    draw, api = random.Random(20261130), KnownApi(Standin(contracts, damage=seldom(0.14, *REPAIRED)))
    with api.serving():
        environment = {"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": KEY}
        in_flight = 0
        for _ in range(KILLS):
            submit, seen = submits.submit(project.root, environment), api.answers
            wanted = seen + draw.randint(1, 16)
            submit.wait_until(lambda wanted=wanted: api.answers >= wanted)
            submit.signal(signal.SIGKILL)
            assert submit.end()[0] == -signal.SIGKILL, "it was still running"
            in_flight += project.ask("select count(*) from attempts where state = 'open'")[0][0]
        code, _, err = submits.submit(project.root, environment).end()

    assert (code, "Traceback" in err) == (ExitCode.OK, False), err
    found = project.rows("select doc_id, to_json(payments)::varchar, term, buyer from trial order by doc_id")
    assert [(doc_id, json.loads(payments), term, buyer) for doc_id, payments, term, buyer in found] == [
        (doc_id, contract.payments, contract.values["term"], contract.values["buyer"])
        for doc_id, contract in contracts.items()
    ]
    ((attempts, unknown),) = project.ask("select count(*), count(*) filter (where state = 'unknown') from attempts")
    assert unknown == in_flight, "only what was in flight is in doubt"
    assert api.answers <= attempts
    times = Counter(map(json.dumps, api.standin.bodies))
    assert times.total() - len(times) <= in_flight, "nothing else was asked twice"
    told = project.ask("select sum(json_extract(findings, '$.attempts')), count(*) from requests")
    assert told[0][0] == attempts - unknown
    with contextlib.chdir(project.root):
        assert cli.run(["verify"]) == ExitCode.OK
