"""Runs that are killed between votes: no vote that is there is asked again, and the rows are the majority of all."""

import json
import random
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from submits import SubmitServer
from trial_project import TrialProject

sys.path.append(str(Path(__file__).parents[1] / "golden"))

from recording_api import KEY, Answer, RecordingApi

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow

DOCUMENTS, KILLS = 20, 2


class UnsureApi(RecordingApi):
    """The API over HTTP with a model that says one of two things, as a draw has it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.draw = random.Random(20261130)
        self.one_at_a_time = threading.Lock()

    def message(self, params: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        with self.one_at_a_time:
            self.asked[params["messages"][0]["content"]] += 1
            said = json.dumps({"title": self.draw.choice(["A", "B"])})
        return super().message(params, answer) | {"content": [{"type": "text", "text": said}]}


def test_kill_between_votes(project: TrialProject, submits: SubmitServer) -> None:
    project.documents(DOCUMENTS)
    project.job(output="votes = 3")
    draw, api = random.Random(20261130), UnsureApi()
    with api.serving():
        environment = {"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": KEY}
        in_flight = 0
        for _ in range(KILLS):
            submit, wanted = submits.submit(project.root, environment), api.asked.total() + draw.randint(1, 20)
            submit.wait_until(lambda wanted=wanted: api.asked.total() >= wanted)
            submit.signal(signal.SIGKILL)
            assert submit.end()[0] == -signal.SIGKILL, "it was still running"
            in_flight += project.ask("select count(*) from attempts where state = 'open'")[0][0]
        code, _, err = submits.submit(project.root, environment).end()

    assert (code, "Traceback" in err) == (ExitCode.OK, False), err
    said = defaultdict[str, list[str]](list)
    for doc_id, raw in project.ask(
        "select doc_id, raw from attempts join replies using (attempt_no) order by attempt_no"
    ):
        said[doc_id].append(json.loads(json.loads(raw)["content"][0]["text"])["title"])
    rows = project.rows("select doc_id, title, (_agreement ->> 'title')::double, _attempts from trial")
    assert len(rows) == DOCUMENTS
    for doc_id, title, share, replies in rows:
        ((most, number),) = Counter(said[doc_id]).most_common(1)
        assert (title, round(number / len(said[doc_id]), 4), len(said[doc_id])) == (most, share, replies)
        assert replies == (2 if share == 1 else 3), "a third vote where two differ, and only there"
    assert {replies for *_, replies in rows} == {2, 3}
    assert api.asked.total() <= sum(map(len, said.values())) + in_flight, "only what was in flight is asked again"
