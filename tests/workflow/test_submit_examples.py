"""Submits with examples: what every request carries is planned, cached, answered and billed as planned."""

import json

import pytest
from command_line import CommandLine, serving, talking_to
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.document import Document
from batchrun.errors import ExitCode
from batchrun.simulator.requests.model_cards import find_model
from batchrun.simulator.requests.token_count import count_prompt
from batchrun.workflow.open_job import open_job

pytestmark = pytest.mark.slow

LEASE = "This lease of 3 May 2024 is between Ada and Bo, and rent is paid in advance. "
FENCED = 'user = "{{ doc.text }}"\nfence = true\n'
MODEL = 'name = "claude-sonnet-5-5"\nmax_tokens = 400\neffort = "low"'


def examples(count: int, size: int = 1) -> str:
    """So many examples, each of so many sentences."""
    return "".join(
        f'[[prompt.example]]\ndocument = "{number} {LEASE * size}"\noutput = {{ title = "Lease {number}" }}\n'
        for number in range(count)
    )


@pytest.mark.parametrize(
    ("fence", "mode"),
    [("", "json_schema"), ("fence = true\n", "json_schema"), ("fence = true\n", "tool"), ("fence = true\n", "xml")],
    ids=["bare", "fenced", "fenced tool", "fenced xml"],
)
def test_examples_are_read_from_the_cache_by_all_requests_but_one(
    project: TrialProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fence: str, mode: str
) -> None:
    project.documents(10)
    project.job(model=MODEL, prompt=f'user = "{{{{ doc.text }}}}"\n{fence}{examples(4, 20)}', output=f'mode = "{mode}"')
    monkeypatch.chdir(project.root)
    with serving() as api:
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        ran = CommandLine(capsys)("submit jobs/trial.toml")
        books = api.books.summary()

    assert ran.code == ExitCode.OK, ran.words
    assert books["cache_write_5m_tokens"] > 1_000
    assert books["cache_read_tokens"] == 9 * books["cache_write_5m_tokens"]
    assert len(project.rows()) == 10


@pytest.mark.parametrize("prompt", [FENCED, FENCED + examples(20), FENCED + examples(3, 40)], ids=["0", "20", "long"])
@pytest.mark.parametrize("text", ["", "a", LEASE * 50, "\u202e\x1b" * 500], ids=["none", "one", "prose", "controls"])
def test_the_bound_of_a_prompt_is_above_what_is_billed(project: TrialProject, prompt: str, text: str) -> None:
    with open_job(project.job(model=MODEL, prompt=prompt), simulated=False, to_run=False) as opened:
        planner = opened.planner()
        built = planner.builder.build(Document("a", "a", text))
    params = json.loads(built.request.body)
    card = find_model(params["model"])
    assert card is not None
    billed = count_prompt(params, card.tokenizer)

    assert billed <= planner.estimator.most_prompt_tokens(built.tokens, body_bytes=len(built.request.body))
    if text == LEASE * 50:
        assert billed <= planner.estimator.input(built.tokens).high


def test_examples_take_their_room_from_the_documents(project: TrialProject) -> None:
    limits = []
    for prompt in (FENCED, FENCED + examples(5, 100)):
        with open_job(project.job(prompt=prompt), simulated=False, to_run=False) as opened:
            limits.append(opened.planner().builder.limit.tokens)
    assert limits[0] - limits[1] > 5 * 100 * 15


def test_a_changed_example_is_new_work_and_the_same_is_not(project: TrialProject) -> None:
    project.documents(3)
    project.job(prompt=FENCED + examples(2))
    assert project.submit(ScriptedProvider()).plan.to_send == 3
    assert project.submit(ScriptedProvider()).plan.to_send == 0
    project.job(prompt=FENCED + examples(3))
    assert project.submit(ScriptedProvider()).plan.to_send == 3
